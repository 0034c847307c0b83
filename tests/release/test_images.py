"""Tags and digests in a registry like AWS's, and which image a stage may run."""

import pytest

from infra.config import STAGES
from release.aws import Aws
from release.command import NotReadyError, ReleaseError
from release.images import Images, require_releasable
from tests.release.account import store_image

COMMIT = "0123456789ab"
DIGEST = "sha256:" + "1" * 64


def test_a_tag_is_set_once_and_never_moved(aws: Aws, images: Images) -> None:
    first, second = store_image(aws, "aaaaaaaaaaaa"), store_image(aws, "bbbbbbbbbbbb")
    for _ in range(2):  # a repeated release, or one at the same time
        images.add_tag(first, "dev-aaaaaaaaaaaa")
    assert images.tags(first) == ["aaaaaaaaaaaa", "dev-aaaaaaaaaaaa"]
    with pytest.raises(ReleaseError, match=f"already names {first}"):
        images.add_tag(second, "dev-aaaaaaaaaaaa")
    with pytest.raises(ReleaseError, match="no longer has"):
        images.add_tag(DIGEST, f"dev-{COMMIT}")


def test_an_account_without_a_registry_has_no_image(aws: Aws) -> None:
    with pytest.raises(NotReadyError, match="no image"):
        require_releasable(STAGES["dev"], COMMIT, Images(aws))


def test_prod_takes_what_dev_has_run_and_nothing_else(aws: Aws, images: Images) -> None:
    with pytest.raises(NotReadyError, match=f"no image {COMMIT}: deploy it to dev first"):
        require_releasable(STAGES["prod"], COMMIT, images)
    digest = store_image(aws, COMMIT)
    for tag in (f"other-{COMMIT}", f"try.dev-{COMMIT}"):
        images.add_tag(digest, tag)
    with pytest.raises(NotReadyError, match="deploy this commit to dev first"):
        require_releasable(STAGES["prod"], COMMIT, images)
    images.add_tag(digest, f"dev-{COMMIT}")
    require_releasable(STAGES["prod"], COMMIT, images)


def test_a_rollback_is_offered_to_the_latest_other_images_and_first_to_the_one_before(aws: Aws, images: Images) -> None:
    older, before, latest = (store_image(aws, digits * 12) for digits in "abc")
    for number in range(6):
        images.add_tag(latest, f"dev-{number:012}")
    images.add_tag(older, f"dev-{'a' * 12}")
    images.add_tag(before, f"dev-{'b' * 12}")
    images.add_tag(store_image(aws, "d" * 12), f"try.dev-{'d' * 12}")
    assert images.verified_in("dev", other_than=latest, first=older) == [f"dev-{'a' * 12}", f"dev-{'b' * 12}"]
    assert images.verified_in("dev", other_than=latest, first=before)[0] == f"dev-{'b' * 12}"
