"""An update replaces and renames nothing that the last release deployed."""

from tests.app.contract.recorded_resources import STAGES, entries, recorded


def test_no_resource_of_the_last_release_is_replaced_renamed_or_removed() -> None:
    present = entries()
    lost = {
        (entry, stage)
        for entry, stages in recorded().items()
        for stage in set(stages) & set(STAGES) - set(present.get(entry, ()))
        # Previews of pull requests had a role and a repository in 1.0.0.
        if "Preview" not in entry[1]
    }
    assert lost == set()
