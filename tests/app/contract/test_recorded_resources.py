"""An update replaces and renames nothing that the last release deployed."""

from tests.app.contract.recorded_resources import entries, recorded


def test_no_resource_of_the_last_release_is_replaced_renamed_or_removed() -> None:
    present = entries()
    lost = {entry: set(stages) - set(present.get(entry, ())) for entry, stages in recorded().items()}
    assert {entry: stages for entry, stages in lost.items() if stages} == {}
