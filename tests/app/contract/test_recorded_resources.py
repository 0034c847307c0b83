"""An update replaces and renames nothing that the last release deployed."""

from tests.app.contract.recorded_resources import STAGES, entries, recorded


def test_no_resource_of_the_last_release_is_replaced_renamed_or_removed() -> None:
    present = entries()
    lost = {
        (entry, stage)
        for entry, stages in recorded().items()
        for stage in set(stages) & set(STAGES) - set(present.get(entry, ()))
        # The role and the repository of previews have left the account of other stages.
        if stage == "playground" or "Preview" not in entry[1]
    }
    assert lost == set()
