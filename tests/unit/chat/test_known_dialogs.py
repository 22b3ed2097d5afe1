"""Dialogs by their id: asked for once, and what is asked of whom."""

from __future__ import annotations

import pytest

from connectycube._deadline import Deadline
from connectycube.chat import known_dialogs
from connectycube.chat.known_dialogs import KnownDialogs
from connectycube.errors import ArgumentValueError
from connectycube.models import Dialog, DialogRef, DialogType

ME, PEER = 1001, 1002
GROUP = Dialog(id="g", type=DialogType.GROUP)
PRIVATE = Dialog(id="p", type=DialogType.PRIVATE, occupants_ids=(ME, PEER))


class Rest:
    """What REST knows; it notes each question."""

    def __init__(self, *dialogs: Dialog) -> None:
        self.dialogs = {dialog.id: dialog for dialog in dialogs}
        self.asked: list[tuple[str, float | None]] = []

    def __call__(self, dialog_id: str, timeout: float | None) -> Dialog:
        self.asked.append((dialog_id, timeout))
        return self.dialogs[dialog_id]


def test_each_dialog_is_asked_for_once():
    rest = Rest(GROUP, PRIVATE)
    known = KnownDialogs(rest)
    for _ in range(3):
        assert known.find("g", ME, Deadline(5)) == DialogRef.room("g")
        assert known.find(" p\n", ME, Deadline(5)) == DialogRef.private(PEER, "p")
    assert [dialog_id for dialog_id, _ in rest.asked] == ["g", "p"]
    assert all(timeout is not None and 0 < timeout <= 5 for _, timeout in rest.asked)


def test_another_user_has_another_peer():
    known = KnownDialogs(Rest(PRIVATE))
    assert known.find("p", ME, Deadline(5)).peer_id == PEER
    assert known.find("p", PEER, Deadline(5)).peer_id == ME


def test_a_failed_look_up_is_made_again():
    rest = Rest()
    known = KnownDialogs(rest)
    with pytest.raises(KeyError):
        known.find("g", ME, Deadline(5))
    rest.dialogs["g"] = GROUP
    assert known.find("g", ME, Deadline(5)) == DialogRef.room("g")


def test_the_dialog_used_longest_ago_is_forgotten_first(monkeypatch):
    monkeypatch.setattr(known_dialogs, "_MOST_KNOWN", 2)
    rest = Rest(*(Dialog(id=name, type=DialogType.GROUP) for name in "abc"))
    known = KnownDialogs(rest)
    for name in "abaca":
        known.find(name, ME, Deadline(5))
    assert [dialog_id for dialog_id, _ in rest.asked] == ["a", "b", "c"]
    known.find("b", ME, Deadline(5))
    assert rest.asked[-1][0] == "b"


def test_without_rest_an_id_is_that_of_a_room():
    assert KnownDialogs(None).find("g", ME, Deadline(5)) == DialogRef.room("g")


def test_only_what_is_missing_is_asked_for():
    rest = Rest(PRIVATE)
    known = KnownDialogs(rest)
    assert known.complete(PRIVATE, ME, Deadline(5)) == DialogRef.private(PEER, "p")
    assert rest.asked == []
    for dialog in (DialogRef(id="p"), DialogRef(id="p", type=DialogType.PRIVATE)):
        assert known.complete(dialog, ME, Deadline(5)) == DialogRef.private(PEER, "p")
    assert len(rest.asked) == 1


@pytest.mark.parametrize("look_up", [None, Rest()])
def test_a_dialog_without_type_and_id_is_refused(look_up):
    with pytest.raises(ArgumentValueError, match="dialog does not say its type"):
        KnownDialogs(look_up).complete(DialogRef(peer_id=None), ME, Deadline(5))


def test_a_dialog_of_an_unknown_type_is_refused():
    with pytest.raises(ArgumentValueError, match="dialog x is of no type that can be written to"):
        KnownDialogs(Rest(Dialog(id="x"))).find("x", ME, Deadline(5))


def test_a_child_has_a_lock_of_its_own():
    known = KnownDialogs(Rest(GROUP))
    known._lock.acquire()
    known._after_fork_in_child()
    assert known.find("g", ME, Deadline(5)) == DialogRef.room("g")
