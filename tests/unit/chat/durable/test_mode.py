"""What a connection tells its durable store, without a connection."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectycube import Config, DialogRef, DurableStoreError, Message, SendHandle
from connectycube.chat.durable.mode import Durability
from connectycube.chat.protocol.decoding import Delivery
from connectycube.chat.protocol.events import OutcomeKnown
from connectycube.chat.protocol.outbox import Submission

PEER = "7-1@localhost"
OTHER = "8-1@localhost"


def handle_of(message_id: str, message: Message) -> SendHandle[Message]:
    return SendHandle(message_id, message, 1.0, None)  # type: ignore[arg-type]


def durability(
    path: Path | None,
    failures: list[Exception] | None = None,
    warnings: list[Exception] | None = None,
) -> Durability:
    config = Config(app_id=1, auth_key="k", chat_host="localhost", durable=path)
    failed = (failures if failures is not None else []).append
    warn = (warnings if warnings is not None else []).append
    return Durability(config, lambda: None, handle_of, failed, warn, has_history=True)


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "bot.db"


@pytest.fixture
def kept(path) -> Iterator[Durability]:
    made = durability(path)
    made.open(5)
    yield made
    if made._store is not None:
        made._close()


def delivery(name: str) -> Delivery:
    message = Message(id=name, body=name)
    return Delivery(signal="message_received", event=message, key=(PEER, 7, name))


def submission(message_id: str, to: str = PEER) -> Submission:
    message = Message(id=message_id, body="x", dialog=DialogRef.private(7))
    return Submission(
        message_id, to, DialogRef.private(7), message, waiter=handle_of(message_id, message)
    )


def test_without_a_file_there_is_nothing_to_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    off = durability(None)
    assert off.open(5).seen == ()
    assert off.commit([delivery("a")], 1.0) == {}
    off.accept(submission("a"), b"<message/>")
    assert off.known(submission("a")) is None
    assert off.load_saved() == []
    assert off.message_id(PEER) != off.message_id(PEER)
    off.release()
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_message_or_has_no_id_is_not_kept(kept):
    edit = Delivery(signal="message_edited", event="e", key=(PEER, 7, "a"))
    nameless = Delivery(signal="message_received", event=Message(body="x"))
    assert kept.commit([edit, nameless], 1.0) == {}


def test_what_receivers_have_in_hand_is_not_left_for_the_next_login(kept):
    places = kept.commit([delivery("a"), delivery("b")], None)
    kept.release()
    kept.open(5)
    assert kept.load_saved() == []
    kept.handled(places[PEER, 7, "a"], keep=True)
    kept.open(5)
    assert [left.event.id for left, _ in kept.load_saved()] == ["a"]


def test_the_file_is_let_go_of_when_the_last_of_them_has_returned(kept, path):
    places = kept.commit([delivery("a"), delivery("b")], None)
    kept.release()
    for name in "ab":
        with pytest.raises(DurableStoreError, match="has it open"):
            durability(path).open(5)
        kept.handled(places[PEER, 7, name], keep=False)
    other = durability(path)
    other.open(5)
    other.release()


def test_another_user_has_to_wait_for_them(kept):
    kept.commit([delivery("a")], None)
    kept.release()
    with pytest.raises(DurableStoreError, match="receivers of user 5 are still running"):
        kept.open(6)


def test_a_broken_store_is_opened_anew_and_those_in_hand_stay_so(kept):
    kept.commit([delivery("a")], None)
    broken = kept._store
    broken._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(DurableStoreError):
        kept.commit([delivery("b")], None)
    kept.open(5)
    assert kept._store is not broken
    assert kept.load_saved() == []
    assert list(kept.commit([delivery("b")], None)) == [(PEER, 7, "b")]


def test_a_message_of_a_file_that_is_gone_removes_nothing_from_the_new_one(kept, path):
    old = kept.commit([delivery("a")], None)[PEER, 7, "a"]
    path.unlink()
    with pytest.raises(DurableStoreError):
        kept.commit([delivery("b")], None)
    kept.open(5)
    new = kept.commit([delivery("c")], None)[PEER, 7, "c"]
    assert (new.n, new.store_id == old.store_id) == (old.n, False)
    kept.handled(old, keep=False)
    assert [entry.key[2] for entry in kept._store.inbox()] == ["c"]


def test_what_cannot_be_noted_is_told_and_stays(path):
    failures: list[Exception] = []
    kept = durability(path, failures)
    kept.open(5)
    place = kept.commit([delivery("a")], None)[PEER, 7, "a"]
    kept._store._connection.execute("PRAGMA query_only = ON")
    kept.handled(place, keep=False)
    assert [type(failure) for failure in failures] == [DurableStoreError]
    kept.open(5)
    assert [left.event.id for left, _ in kept.load_saved()] == ["a"]
    kept._in_hand.clear()
    kept.release()


def test_ids_count_by_recipient_and_only_what_was_accepted(kept):
    place = kept.commit([delivery("a")], None)[PEER, 7, "a"]
    with kept.handling(place, (PEER, 7, "a")):
        first, to_other = kept.message_id(PEER), kept.message_id(OTHER)
        assert kept.message_id(PEER) == first
        kept.accept(submission(first), b"1")
        second = kept.message_id(PEER)
        assert len({first, second, to_other}) == 3
        assert kept.message_id(OTHER) == to_other
    with kept.handling(place, (PEER, 7, "a")):
        assert kept.message_id(PEER) == first
        assert kept.known(submission(first)) is not None
        assert kept.message_id(PEER) == second
    assert kept.message_id(PEER) not in (first, second)


def test_an_outcome_is_noted_once_and_a_refused_message_may_be_sent_again(kept):
    for name in ("sent", "refused"):
        kept.accept(submission(name), b"x")
    sent, refused = (kept._pending[name].submission for name in ("sent", "refused"))
    kept.commit([OutcomeKnown(sent), OutcomeKnown(refused, ValueError("no"))], None)
    assert kept._store.outbox() == []
    assert kept.known(submission("sent")).done()
    assert kept.known(submission("refused")) is None
    with pytest.raises(ValueError, match="was used for a message to 7-1"):
        kept.known(submission("sent", to=OTHER))
