"""What a connection tells its durable store, without a connection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from connectycube import (
    Config,
    DialogRef,
    DurableStoreError,
    Limits,
    Message,
    MessageDeletion,
    MessageEdit,
    ReactionChange,
    ReceiverGaveUp,
    SendHandle,
    SystemMessage,
)
from connectycube.chat.answers import InboxEntry
from connectycube.chat.chat_signals import ChatSignals
from connectycube.chat.durable.dead_letters import DeadLetters
from connectycube.chat.durable.mode import DURABLE_SIGNALS, Durability, Saved
from connectycube.chat.protocol.decoding import Delivery
from connectycube.chat.protocol.events import OutcomeKnown
from connectycube.chat.protocol.outbox import Submission
from tests.support.inside import signals_of

PEER = "7-1@localhost"
OTHER = "8-1@localhost"


def handle_of(message_id: str, message: Message) -> SendHandle[Message]:
    return SendHandle(message_id, message, 1.0, None)  # type: ignore[arg-type]


def durability(
    path: Path | None,
    failures: list[Exception] | None = None,
    warnings: list[Exception] | None = None,
    **options: Any,
) -> Durability:
    config = Config(app_id=1, auth_key="k", chat_host="localhost", durable=path, **options)
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


def commit(kept: Durability, *names: str) -> list[InboxEntry]:
    return list(kept.commit([delivery(name) for name in names], None).values())


def saved_ids(kept: Durability) -> list[str]:
    saved, unread = kept.load_saved()
    assert unread == []
    return [left.event.id for left, _ in saved]


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
    assert off.load_saved() == ([], [])
    assert off.message_id(PEER) != off.message_id(PEER)
    off.release()
    assert list(tmp_path.iterdir()) == []


def test_typing_statuses_and_states_are_not_kept(kept):
    names = {signal.name for signal in signals_of(ChatSignals())} - DURABLE_SIGNALS
    assert {"typing_started", "message_read", "state_changed"} <= names
    others = [Delivery(signal=name, event="e", key=(PEER, 7, "a")) for name in names]
    assert kept.commit(others, 1.0) == {}


@pytest.mark.parametrize(
    ("event", "key", "words"),
    [
        (Message(custom={"a": object()}), (PEER, 7, "odd"), "which JSON cannot carry"),
        (Message(reactions={"a": float("nan")}), (PEER, 7, "odd"), "must be finite"),
        (Message(body="x"), (PEER, 7, "\ud800"), "surrogates"),
        ("no model", None, "to_dict"),
    ],
)
def test_an_event_that_the_file_cannot_hold_costs_itself(path, event, key, words):
    warnings: list[Exception] = []
    kept = durability(path, warnings=warnings)
    kept.open(5)
    odd = Delivery(signal="message_received", event=event, key=key)
    one, two = delivery("one"), delivery("two")
    assert list(kept.commit([one, odd, two], None)) == [one, two]
    assert [row.event.body for row in kept._store.inbox()] == ["one", "two"]
    [warning] = warnings
    assert "cannot be written" in str(warning) and words in str(warning)
    assert "it is given to receivers" in str(warning)
    kept._close()


def test_an_event_that_cannot_be_read_costs_itself(path):
    warnings: list[Exception] = []
    kept = durability(path, warnings=warnings)
    kept.open(5)
    entries = commit(kept, "one", "odd", "two", "three")
    kept._store._connection.execute(
        "UPDATE arrivals SET message = '{' WHERE n = ?", (entries[1].n,)
    )
    kept._close()
    kept._in_hand.clear()
    kept.open(5)
    assert saved_ids(kept) == ["one", "two", "three"]
    [warning] = warnings
    assert f"event {entries[1].n} in {path} cannot be read, and stays there" in str(warning)
    kept._close()


def test_an_event_that_cannot_be_read_does_not_hide_those_behind_it(path):
    warnings: list[Exception] = []
    kept = durability(
        path, warnings=warnings, limits=Limits(queued_events=4)
    )  # two of a conversation in memory
    kept.open(5)
    entries = commit(kept, "one", "odd", "two", "three", "four")
    kept._store._connection.execute(
        "UPDATE arrivals SET message = '{' WHERE n = ?", (entries[1].n,)
    )
    kept.park([entries[0]])
    kept._in_hand.clear()
    read, has_more = [], True
    while has_more:
        found, has_more = kept.read_back(PEER, 100)
        read += [left.event.id for left, _ in found]
    assert read == ["one", "two", "three", "four"]
    assert len(warnings) == 1
    kept._close()


@pytest.mark.parametrize(
    ("signal", "event"),
    [
        ("message_received", Message(body="x")),
        ("system_message_received", SystemMessage(id=None, recipient_id=5, custom={"a": "1"})),
        (
            "message_edited",
            MessageEdit(user_id=7, message_id="m", body="y", dialog=DialogRef.private(7)),
        ),
        (
            "message_deleted",
            MessageDeletion(user_id=7, message_id="m", dialog=DialogRef.private(7)),
        ),
        ("reaction_changed", ReactionChange(user_id=7, message_id="m", added=("like",))),
    ],
)
def test_an_event_without_a_key_is_kept_and_comes_back(kept, signal, event):
    one, two = (Delivery(signal=signal, event=event, conversation=PEER) for _ in range(2))
    entries = kept.commit([one, two], None)
    assert entries[one].key != entries[two].key
    assert kept._store.seen() == []
    kept.handled(entries[two], keep=False)
    kept.handled(entries[one], keep=True)
    kept.open(5)
    [(left, entry)], _ = kept.load_saved()
    assert entry == entries[one]
    assert (left.signal, left.conversation, left.key) == (signal, PEER, None)
    assert getattr(left.event, "redelivered", True)
    kept.handled(entry, keep=False)


def test_what_receivers_have_in_hand_is_not_left_for_the_next_login(kept):
    first, _ = commit(kept, "a", "b")
    kept.release()
    kept.open(5)
    assert kept.load_saved() == ([], [])
    kept.handled(first, keep=True)
    kept.open(5)
    assert saved_ids(kept) == ["a"]


def test_the_file_is_let_go_of_when_the_last_of_them_has_returned(kept, path):
    places = commit(kept, "a", "b")
    kept.release()
    for place in places:
        with pytest.raises(DurableStoreError, match="has it open"):
            durability(path).open(5)
        kept.handled(place, keep=False)
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
    assert kept.load_saved() == ([], [])
    assert [place.key for place in commit(kept, "b")] == [(PEER, 7, "b")]


def test_a_message_of_a_file_that_is_gone_removes_nothing_from_the_new_one(kept, path):
    [old] = commit(kept, "a")
    path.unlink()
    with pytest.raises(DurableStoreError):
        kept.commit([delivery("b")], None)
    kept.open(5)
    [new] = commit(kept, "c")
    assert (new.n, new.store_id == old.store_id) == (old.n, False)
    kept.handled(old, keep=False)
    assert [entry.key[2] for entry in kept._store.inbox()] == ["c"]


def test_what_cannot_be_noted_is_told_and_stays(path):
    failures: list[Exception] = []
    kept = durability(path, failures)
    kept.open(5)
    [place] = commit(kept, "a")
    kept._store._connection.execute("PRAGMA query_only = ON")
    kept.handled(place, keep=False)
    assert [type(failure) for failure in failures] == [DurableStoreError]
    kept.open(5)
    assert saved_ids(kept) == ["a"]
    kept._in_hand.clear()
    kept.release()


@contextmanager
def running(kept: Durability, inbound: Delivery, entry: InboxEntry | None, receiver: str = "r"):
    """An attempt of a receiver; what it sent in earlier ones is known by the store alone."""
    kept.running.delivery, kept.running.entry = inbound, entry
    kept.running.receiver, kept.running.answers = receiver, None
    yield
    kept.running.delivery = kept.running.answers = None


def test_ids_count_by_recipient_and_only_what_was_accepted(kept):
    inbound = delivery("a")
    place = kept.commit([inbound], None)[inbound]
    with running(kept, inbound, place):
        first, to_other = kept.message_id(PEER), kept.message_id(OTHER)
        assert kept.message_id(PEER) == first
        kept.accept(submission(first), b"1")
        second = kept.message_id(PEER)
        assert len({first, second, to_other}) == 3
        assert kept.message_id(OTHER) == to_other
    with running(kept, inbound, place):
        assert kept.message_id(PEER) == first
        assert kept.known(submission(first)) is not None
        assert kept.message_id(PEER) == second
    assert kept.message_id(PEER) not in (first, second)


def test_two_receivers_of_an_event_never_use_the_same_id(kept):
    inbound = delivery("a")
    place = kept.commit([inbound], None)[inbound]
    ids = []
    for receiver in ("one", "two", "one"):
        with running(kept, inbound, place, receiver):
            ids.append(kept.message_id(PEER))
    assert ids[0] == ids[2] != ids[1]


def test_without_a_file_ids_derive_from_the_connection():
    inbound, ids = delivery("a"), []
    for off in (durability(None), durability(None)):
        for _ in range(2):
            with running(off, inbound, None):
                ids.append(off.message_id(PEER))
    assert ids[0] == ids[1] != ids[2] == ids[3]


def test_without_a_file_an_attempt_gets_the_handle_of_an_earlier_one():
    off, inbound = durability(None), delivery("a")
    with running(off, inbound, None):
        first = submission(off.message_id(PEER))
        assert off.known(first) is None
        off.accept(first, b"1")
        answers = off.running.answers
        answers.begin()
        again = submission(off.message_id(PEER))
        assert again.id == first.id
        assert off.known(again) is first.waiter
        to_other = submission(first.id, to=OTHER)
        assert off.known(to_other) is None
        first.waiter.settle(ValueError("refused"))
        answers.begin()
        assert off.known(submission(off.message_id(PEER))) is None, "it may be sent again"


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


# --- receivers that run again ------------------------------------------------------------------------


def test_what_a_receiver_has_handled_is_known_to_the_next_process(kept, path):
    [entry] = commit(kept, "a")
    kept.note_done(entry, {"one", "two"})
    kept.handled(entry, keep=True)
    kept.release()
    other = durability(path)
    other.open(5)
    [(_, left)], _ = other.load_saved()
    assert left.done == {"one", "two"}
    assert (left.store_id, left.n, left.key) == (entry.store_id, entry.n, entry.key)
    other.handled(left, keep=False)
    other.release()


@pytest.fixture
def small(path) -> Iterator[Durability]:
    """A store of which two events of a conversation are kept in memory."""
    made = durability(path, limits=Limits(queued_events=4))
    made.open(5)
    yield made
    if made._store is not None:
        made._close()


def bodies(saved: Sequence[Saved]) -> list[str]:
    return [delivery.event.body for delivery, _ in saved]


def test_parked_events_are_read_back_in_order_with_those_that_join_them(small):
    entries = commit(small, *"abcdef")
    assert not small.joins_parked(entries[1])
    small.park([entries[1]])
    assert all(small.joins_parked(entry) for entry in entries[2:])
    batches = [small.read_back(PEER, 100) for _ in range(4)]
    assert [(bodies(saved), more) for saved, more in batches] == [
        (["b", "c"], True),
        (["d", "e"], True),
        (["f"], False),
        ([], False),
    ]
    assert not batches[0][0][0][0].event.redelivered, "no receiver has had it"
    assert not small.joins_parked(commit(small, "g")[0])


def test_what_is_taken_out_of_memory_is_read_back_before_what_was_parked(small):
    entries = commit(small, *"abcdef")
    assert small.park([entries[4]])
    assert small.joins_parked(entries[5])
    assert not small.park(entries[1:4]), "it is to be read back already"
    assert small._in_hand == {entries[0]}
    batches = [small.read_back(PEER, room) for room in (0, 1, 100, 100)]
    assert [bodies(saved) for saved, _ in batches] == [["b"], ["c"], ["d", "e"], ["f"]]


def test_of_a_dead_process_no_more_is_read_however_many_conversations(path):
    left = durability(path, limits=Limits(queued_events=8))
    left.open(5)
    people = [f"{number}-1@chat.test" for number in range(6)]
    for peer in people:
        outputs = [
            Delivery(
                signal="message_received",
                event=Message(id=name, body=name),
                conversation=peer,
                key=(peer, 7, name),
            )
            for name in "ab"
        ]
        left.commit(outputs, None)
    left._in_hand.clear()
    left.release()
    born = durability(path, limits=Limits(queued_events=8))
    born.open(5)
    saved, unread = born.load_saved()
    assert [entry.key[0] for _, entry in saved] == [people[0]] * 2 + [people[1]] * 2
    assert unread == people[2:]
    assert [bodies(born.read_back(peer, 100)[0]) for peer in unread] == [["a", "b"]] * 4
    born._in_hand.clear()
    born.release()


def test_of_a_dead_process_the_first_events_of_each_conversation_are_read(small, path):
    commit(small, *"abcde")
    small._in_hand.clear()
    small.release()
    born = durability(path, limits=Limits(queued_events=4))
    born.open(5)
    assert born.has_saved
    saved, unread = born.load_saved()
    assert (bodies(saved), unread) == (["a", "b"], [PEER])
    [entry] = commit(born, "f")
    assert born.joins_parked(entry)
    assert [bodies(born.read_back(PEER, 100)[0]) for _ in range(2)] == [["c", "d"], ["e", "f"]]
    born._in_hand.clear()
    born.release()


def test_a_login_does_not_read_what_is_parked_twice(small):
    entries = commit(small, *"abc")
    small.park([entries[1]])
    small.joins_parked(entries[2])
    small.open(5)
    assert small.load_saved() == ([], [])
    small.leave_parked(PEER)
    small.leave(entries[0])
    small.open(5)
    saved, unread = small.load_saved()
    assert (bodies(saved), unread) == (["a", "b"], [PEER])


# --- dead letters ------------------------------------------------------------------------------------


def gave_up(kept: Durability, name: str = "a", receiver: str = "bot.answer") -> InboxEntry:
    """An event that a receiver has given up."""
    [entry] = commit(kept, name)
    failure = ReceiverGaveUp(
        event=delivery(name).event,
        signal="message_received",
        receiver=receiver,
        error=ValueError("wrong"),
        attempts=1,
    )
    kept.bury(entry, failure)
    kept.handled(entry, keep=False)
    return entry


def test_a_marked_letter_comes_back_for_its_receiver_alone(kept):
    entry = gave_up(kept)
    assert kept.take_marked(lambda signal, receiver: True) == []
    [letter] = kept.dead_letters
    kept.dead_letters.retry(letter.id)
    assert kept.take_marked(lambda signal, receiver: False) == []
    [(back, again)] = kept.take_marked(lambda *names: names == ("message_received", "bot.answer"))
    assert (back.event.id, back.event.redelivered, back.key) == ("a", True, (PEER, 7, "a"))
    assert (again.receiver, again.key) == ("bot.answer", entry.key)
    assert again.n != entry.n
    assert [(each.id, each.is_marked) for each in kept.dead_letters] == [(letter.id, True)]
    assert kept.take_marked(lambda *names: True) == [], "it is taken already"
    kept.handled(again, keep=False)
    assert kept._store.inbox() == []
    assert list(kept.dead_letters) == []


def retried(kept: Durability) -> InboxEntry:
    """The entry of a letter that was given up, marked and taken."""
    gave_up(kept)
    [letter] = kept.dead_letters
    kept.dead_letters.retry(letter.id)
    [(_, entry)] = kept.take_marked(lambda *names: True)
    return entry


def test_a_letter_whose_receiver_is_missing_waits_in_its_file(kept):
    kept.put_back(retried(kept))
    assert kept._store.inbox() == []
    assert kept.take_marked(lambda *names: False) == []
    assert [each.is_marked for each in kept.dead_letters] == [True]
    [(_, entry)] = kept.take_marked(lambda *names: True)
    kept.handled(entry, keep=False)
    assert list(kept.dead_letters) == []


def test_an_event_whose_letter_is_gone_is_not_put_back_but_stays(kept):
    entry = retried(kept)
    kept.dead_letters.drop(next(iter(kept.dead_letters)).id)
    kept.put_back(entry)
    assert len(kept._store.inbox()) == 1


def test_a_letter_that_cannot_be_removed_leaves_its_event_for_later(kept, monkeypatch, caplog):
    entry = retried(kept)

    def fail(self, ids):
        raise DurableStoreError("full", path=self.path)

    with monkeypatch.context() as patch:
        patch.setattr(DeadLetters, "remove", fail)
        kept.handled(entry, keep=False)
    assert "full; the event is left to the next login" in caplog.text
    assert len(kept._store.inbox()) == len(kept.dead_letters) == 1


def test_a_letter_that_is_given_up_again_is_replaced(kept):
    entry = retried(kept)
    [before] = kept.dead_letters
    failure = ReceiverGaveUp(
        event=before.event,
        signal=before.signal,
        receiver=before.receiver,
        error=ValueError("again"),
        attempts=1,
    )
    kept.bury(entry, failure)
    kept.handled(entry, keep=False)
    [letter] = kept.dead_letters
    assert (str(letter.error), letter.is_marked, letter.id != before.id) == ("again", False, True)
    assert kept._store.inbox() == []


def test_an_event_that_is_given_up_again_has_one_letter(kept):
    gave_up(kept)
    kept._store._connection.execute(
        "DELETE FROM arrivals"
    )  # the store died before it noted the first
    gave_up(kept)
    assert [letter.receiver for letter in kept.dead_letters] == ["bot.answer"]
