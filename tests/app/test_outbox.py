"""Notifications: what stores put into the outbox, and what arrives at a webhook and by e-mail, whatever fails."""

from comments.schemas import NewComment
from comments.stores import CommentStore
from comments.stores.base import CREATED, EDITED
from tests.app.conftest import UNKNOWN
from tests.app.test_stores import ONCE, add_comment

TARGETS = ("webhook", "mail")


def listed(store: CommentStore, target: str = "webhook") -> list[tuple[str, str]]:
    return [(each.event, each.comment_id) for each in store.list_outbox(target, limit=100)]


# The outbox of a store


def test_new_pending_and_edited_comments_notify_each_target(store: CommentStore) -> None:
    add_comment(store, "before there were targets")
    store.targets = TARGETS
    first, pending = add_comment(store, "first"), add_comment(store, "pending", held=True)
    once = [store.add(ONCE, key="k") for _ in range(2)][0]
    assert store.edit(1, first["id"], "edited", "2026-12-01T00:00:00.000Z")
    assert not store.edit(1, UNKNOWN, "no such comment", "2026-12-01T00:00:00.000Z")
    expected = [(CREATED, first["id"]), (CREATED, pending["id"]), (CREATED, once["id"]), (EDITED, first["id"])]
    assert [listed(store, target) for target in TARGETS] == [expected] * 2
    ids = {each.id for target in TARGETS for each in store.list_outbox(target, limit=100)}
    assert len(ids) == 8
    # Approved and imported comments, and deletions, notify no one.
    assert store.approve(1, pending["id"])
    assert store.delete(1, once["id"])
    store.restore([once])
    oldest = store.list_outbox("mail", limit=1)[0]
    store.remove_from_outbox("mail", oldest.id)
    store.remove_from_outbox("mail", oldest.id)
    assert [listed(store, target) for target in TARGETS] == [expected, expected[1:]]


def test_one_of_several_processes_gets_the_lease(store: CommentStore) -> None:
    assert store.replace_lease("someone", "me") == ""
    assert store.replace_lease("", "me") == "me"
    assert store.replace_lease("", "you") == "me"
    assert store.replace_lease("me", "me again") == "me again"
    assert store.replace_lease("me", "me") == "me again"
