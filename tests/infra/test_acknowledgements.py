from infra.acknowledgements import FILE, render


def test_the_table_of_acknowledged_findings_is_in_date() -> None:
    assert FILE.read_text() == render(), "run python -m infra.acknowledgements and commit docs/acknowledgements.md"
