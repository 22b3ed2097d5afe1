"""What a connection tells its durable store, without a connection."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from attrs import evolve

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
    SendDeferredError,
    SendHandle,
    SystemMessage,
)
from connectycube.chat import beginning as beginning_module
from connectycube.chat.answers import InboxEntry
from connectycube.chat.beginning import Beginning
from connectycube.chat.chat_signals import ChatSignals
from connectycube.chat.durable import mode as mode_module
from connectycube.chat.durable.dead_letters import DeadLetters
from connectycube.chat.durable.mode import DURABLE_SIGNALS, Durability, Saved
from connectycube.chat.durable.records import Kept, Outcome
from connectycube.chat.protocol.decoding import Delivery
from connectycube.chat.protocol.events import OutcomeKnown
from connectycube.chat.protocol.iq import Answer
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
    *,
    service_time: Callable[[], float | None] = lambda: None,
    has_history: bool = True,
    **options: Any,
) -> Durability:
    config = Config(app_id=1, auth_key="k", chat_host="localhost", durable=path, **options)
    failed = (failures if failures is not None else []).append
    warn = (warnings if warnings is not None else []).append
    return Durability(config, service_time, handle_of, failed, warn, has_history=has_history)


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


def test_a_login_is_the_first_one_of_a_file_without_a_byte(path, kept):
    assert not durability(None).is_new
    new = path.with_name("new.db")
    assert durability(new).is_new
    new.touch()
    assert durability(new).is_new
    assert not durability(path).is_new


def test_statistics_show_what_is_in_the_file_also_once_it_is_closed(kept):
    gave_up(kept)
    [entry] = commit(kept, "one")
    commit(kept, "two")
    kept.accept(submission("sent"), b"<message/>")
    assert kept.kept == Kept(inbox=2, outbox=1, dead_letters=1)
    kept.handled(entry, keep=False)
    kept._in_hand.clear()
    kept.release()
    assert kept._store is None
    assert kept.kept == Kept(inbox=1, outbox=1, dead_letters=1)
    assert durability(None).kept == Kept()


def test_a_process_logs_in_with_the_resource_of_the_dead_one(kept, path):
    resource = kept.resource
    assert resource is not None and resource.startswith("python-")
    kept.release()
    assert kept.resource is None
    kept.open(5)
    assert kept.resource == resource


def test_a_forked_child_leaves_the_file_to_its_parent(kept):
    store, kept._store = kept._store, StoreOfParent()
    kept._lock.acquire()
    kept.abandon()
    assert kept._store is None and StoreOfParent.is_abandoned
    kept.leave_parked(PEER)  # with a lock of its own
    kept.release()
    kept.abandon()
    kept._store = store


class StoreOfParent:
    is_abandoned = False

    def abandon(self) -> None:
        StoreOfParent.is_abandoned = True


def test_a_file_that_fails_as_it_is_closed_is_a_warning(path, monkeypatch):
    warnings: list[Exception] = []
    kept = durability(path, warnings=warnings)
    kept.open(5)
    close = kept._store.close

    def fail(*_: object) -> None:
        raise DurableStoreError("full", path=str(path))

    with monkeypatch.context() as patch:
        patch.setattr(kept._store, "set_cursor", fail)
        patch.setattr(kept._store, "close", lambda: close() or fail())
        kept.release()
    assert [str(warning) for warning in warnings] == ["full"] * 2
    kept.release()
    kept.open(5)
    kept.release()
    assert len(warnings) == 2 and kept._store is None


def test_an_event_that_the_queue_rejects_is_not_in_the_file(kept):
    first, second = commit(kept, "a", "b")
    kept.withdraw([])
    kept.withdraw([second])
    assert [row.n for row in kept._store.inbox()] == [first.n]
    assert kept._in_hand == {first}
    durability(None).withdraw([second])


# --- the cursor -----------------------------------------------------------------------------------


class Clocks:
    """The service's clock and the monotonic one."""

    def __init__(self, monkeypatch) -> None:
        self.service: float | None = 1_000.0
        self.monotonic = 50.0
        times = SimpleNamespace(monotonic=lambda: self.monotonic)
        monkeypatch.setattr(mode_module, "time", times)
        monkeypatch.setattr(beginning_module, "time", times)

    def advance(self, seconds: float) -> None:
        assert self.service is not None
        self.service += seconds
        self.monotonic += seconds


@pytest.fixture
def clocks(monkeypatch) -> Clocks:
    return Clocks(monkeypatch)


def next_process(path: Path, clocks: Clocks, **options: Any) -> Durability:
    return durability(path, service_time=lambda: clocks.service, **options)


FIRST = Beginning(900.0, older=((PEER, 7, "old"),))


@pytest.mark.parametrize(("begins_gap", "cursor"), [(True, -50.0), (False, None)])
def test_a_first_login_begins_where_it_is_told(path, clocks, begins_gap, cursor):
    beginning = evolve(FIRST, begins_gap=begins_gap)
    for made in (next_process(path, clocks), next_process(None, clocks)):
        state = made.open(5, beginning)
        assert (state.beginning, tuple(state.older)) == (900.0, FIRST.older)
        assert state.cursor == cursor
        assert state.service_cursor == (900.0 if begins_gap or made.path == "" else None)
        made.release()


def test_only_the_first_login_of_a_file_begins_it(path, clocks):
    kept = next_process(path, clocks)
    assert kept.open(5).beginning is None
    kept.release()
    assert kept.open(5, FIRST).beginning == 900.0
    kept.release()
    state = kept.open(5, evolve(FIRST, at=950.0, begins_gap=True))
    assert (state.beginning, state.service_cursor) == (900.0, None)
    kept.release()


def test_the_next_process_begins_where_a_login_in_vain_was_told_to(path, clocks):
    kept = next_process(path, clocks)
    kept.open(5, evolve(FIRST, begins_gap=True))
    kept.note_cursor(-50.0, 100.0)
    kept.release()
    other = next_process(path, clocks)
    assert other.open(5).service_cursor == 900.0
    other.release()


def test_a_file_with_a_cursor_is_not_begun_again(path, clocks):
    kept = next_process(path, clocks)
    kept.open(5)
    kept.commit([delivery("a")], 40.0)
    kept._in_hand.clear()
    kept.release()
    other = next_process(path, clocks)
    state = other.open(5, evolve(FIRST, begins_gap=True))
    assert (state.beginning, state.service_cursor) == (None, 990.0)
    other.release()


def test_the_next_process_goes_on_at_the_cursor_by_the_services_clock(path, clocks):
    kept = next_process(path, clocks)
    assert kept.open(5).cursor is None
    kept.commit([delivery("a")], 40.0)
    kept._in_hand.clear()
    kept.release()
    clocks.advance(100.0)
    other = next_process(path, clocks)
    state = other.open(5)
    assert (state.cursor, state.service_cursor) == (40.0, 990.0)
    clocks.monotonic += 7.0  # the clocks drift: the value of the file stays
    other.commit([delivery("b")], state.cursor)
    assert other._store.cursor == 990.0
    other.commit([delivery("c")], 141.0)
    assert other._store.cursor == 1_084.0
    other._in_hand.clear()
    other.release()


def test_a_later_login_of_a_process_has_the_cursor_of_its_core(path, clocks):
    kept = next_process(path, clocks)
    kept.open(5)
    kept.note_cursor(50.0, 50.0)
    kept.release()
    state = kept.open(5)
    assert (state.cursor, state.service_cursor) == (None, None)
    kept.release()
    kept.forget_last_login()
    assert kept.open(5).service_cursor == 1_000.0
    kept.release()


def test_the_cursor_of_one_user_is_none_of_another(path, clocks):
    kept = next_process(path, clocks)
    kept.open(5)
    kept.note_cursor(40.0, 50.0)
    kept.release()
    path.unlink()
    kept.open(6)
    kept.release()
    assert next_process(path, clocks).open(6).service_cursor is None


def test_a_cursor_is_committed_alone_after_a_while_without_a_commit(path, clocks):
    kept = next_process(path, clocks)
    kept.open(5)
    kept.note_cursor(None, 1_000.0)
    assert kept._store.cursor is None
    kept.commit([delivery("a")], 40.0)
    kept.note_cursor(45.0, 79.9)
    assert kept._store.cursor == 990.0
    kept.note_cursor(None, 80.0)
    assert kept._store.cursor == 995.0
    kept.note_cursor(50.0, 109.9)
    assert kept._store.cursor == 995.0
    kept._in_hand.clear()
    kept.release()
    kept.note_cursor(60.0, 200.0)


def test_a_cursor_is_not_written_while_the_services_time_is_unknown(path, clocks):
    clocks.service = None
    kept = next_process(path, clocks)
    kept.open(5)
    kept.note_cursor(40.0, 100.0)
    assert kept._store.cursor is None
    kept.release()


# --- what receivers may send ----------------------------------------------------------------------


def test_typing_statuses_and_states_are_not_kept(kept):
    names = {signal.name for signal in signals_of(ChatSignals())} - DURABLE_SIGNALS
    assert {"typing_started", "message_read", "state_changed"} <= names
    others: list[Any] = [
        Delivery(signal=name, event=Message(id="a"), key=(PEER, 7, "a")) for name in names
    ]
    others.append(Answer("waiter"))
    assert kept.commit(others, 1.0) == {}
    assert list(kept.commit([*others, one := delivery("one")], 1.0)) == [one]


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
    again = kept._store
    kept.open(5)
    assert kept._store is again, "it is whole"
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
    kept.note_done(old, {"one"})
    kept.put_back(old)
    kept.handled(old, keep=False)
    assert [(entry.key[2], entry.done) for entry in kept._store.inbox()] == [("c", frozenset())]


def test_what_cannot_be_noted_is_told_and_stays(path):
    failures: list[Exception] = []
    kept = durability(path, failures)
    kept.open(5)
    [place] = commit(kept, "a")
    kept._store._connection.execute("PRAGMA query_only = ON")
    kept.handled(place, keep=False)
    assert [type(failure) for failure in failures] == [DurableStoreError]
    broken = kept._store
    kept.open(5)
    assert kept._store is not broken
    assert saved_ids(kept) == ["a"]
    broken, [place] = kept._store, commit(kept, "b")
    broken._connection.execute("PRAGMA query_only = ON")
    kept.note_done(place, {"one"})
    assert len(failures) == 2
    kept.open(5)
    assert kept._store is not broken
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


def test_the_next_process_has_the_messages_without_an_outcome(kept, path):
    first, second = submission("first"), submission("second", to=OTHER)
    kept.accept(first, b"1")
    kept.accept(second, b"2")
    kept.accept(sent := submission("sent"), b"3")
    assert first.durable
    kept.commit([delivery("a"), OutcomeKnown(sent)], None)
    deferred = OutcomeKnown(first, SendDeferredError("at the end"))
    marker = OutcomeKnown(Submission("first", PEER, DialogRef.private(7)))
    assert kept.commit([deferred, marker], None) == {}
    kept._in_hand.clear()
    kept.release()
    other = durability(path)
    state = other.open(5)
    assert [(each.id, each.to, each.durable, data) for each, data in state.outbox] == [
        ("first", PEER, True, b"1"),
        ("second", OTHER, True, b"2"),
    ]
    assert state.outbox[0][0].dialog == DialogRef.private(7)
    assert isinstance(state.outbox[0][0].waiter, SendHandle)
    assert other.known(submission("first")) is state.outbox[0][0].waiter
    with pytest.raises(ValueError, match="was used for a message to 8-1"):
        other.known(submission("second"))
    assert list(state.seen) == [(PEER, 5, "sent"), (PEER, 7, "a")]
    other.release()


def test_an_event_of_no_conversation_is_kept_as_such(kept):
    news = SystemMessage(id=None, recipient_id=5, body="restart")
    kept.commit([Delivery(signal="system_message_received", event=news)], None)
    kept._in_hand.clear()
    kept.open(5)
    [(left, _)], _ = kept.load_saved()
    assert (left.conversation, left.key) == (None, None)
    kept._in_hand.clear()


def test_a_message_that_was_deferred_is_known_with_that_outcome(kept):
    kept.accept(first := submission("first"), b"1")
    kept.commit([OutcomeKnown(first, SendDeferredError("at the end"))], None)
    kept.commit([OutcomeKnown(sent := submission("sent"))], None)
    kept._pending.clear()
    known = kept.known(submission("first"))
    assert isinstance(known.exception(1.0), SendDeferredError)
    assert kept.known(sent).result(1.0) is not None


@pytest.mark.parametrize(
    ("has_history", "changes"), [(False, {}), (True, {"save_to_history": False})]
)
def test_what_history_cannot_show_is_in_memory_alone(path, has_history, changes):
    kept = durability(path, has_history=has_history)
    kept.open(5)
    sent = submission("sent")
    sent.message = evolve(sent.message, **changes)
    kept.accept(sent, b"1")
    assert not sent.durable and kept._store.outbox() == []
    assert kept.known(submission("sent")) is sent.waiter
    kept.release()


def test_a_marker_is_neither_kept_nor_known(kept):
    marker = Submission("marker", PEER, DialogRef.private(7))
    kept.accept(marker, b"1")
    assert kept.known(marker) is None and kept._store.outbox() == [] and not kept._pending


def test_an_answer_is_noted_with_its_event(kept):
    inbound = delivery("a")
    entry = kept.commit([inbound], None)[inbound]
    with running(kept, inbound, entry):
        kept.accept(answer := submission(kept.message_id(PEER)), b"1")
    [outgoing] = kept._store.outbox()
    assert outgoing.inbound == entry.n
    [outcome] = kept._plan([OutcomeKnown(answer)]).outcomes
    assert outcome == Outcome(answer.id, PEER, True, entry.n)
    [outcome] = kept._plan([OutcomeKnown(submission("other"), ValueError())]).outcomes
    assert outcome == Outcome("other", PEER, False, None)


# --- receivers that run again ------------------------------------------------------------------------


def test_what_a_receiver_has_handled_is_known_to_the_next_process(kept, path):
    [entry] = commit(kept, "a")
    kept.note_done(entry, {"one", "two"})
    kept.handled(entry, keep=True)
    kept.release()
    other = durability(path)
    other.open(5)
    assert other.has_saved
    [(_, left)], _ = other.load_saved()
    assert not other.has_saved
    assert left.done == {"one", "two"}
    assert (left.store_id, left.n, left.key) == (entry.store_id, entry.n, entry.key)
    other.release()
    assert other._store is not None, "its receivers run"
    other.handled(left, keep=False)
    assert other._store is None


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


def test_no_more_bytes_are_read_back_than_fit_the_memory(small, monkeypatch):
    entries = commit(small, *"abc")
    [size] = {row.size for row in small._store.inbox()}
    monkeypatch.setattr(mode_module, "MOST_BYTES_IN_MEMORY", 2 * size - 1)
    small.park(entries)
    assert [bodies(small.read_back(PEER, 100)[0]) for _ in range(3)] == [["a"], ["b"], ["c"]]
    monkeypatch.setattr(mode_module, "MOST_BYTES_IN_MEMORY", 2 * size)
    small.park(entries)
    assert [bodies(small.read_back(PEER, 100)[0]) for _ in range(2)] == [["a", "b"], ["c"]]
    monkeypatch.setattr(mode_module, "MOST_BYTES_IN_MEMORY", size - 1)
    small.park(entries)
    [(first, _)], has_more = small.read_back(PEER, 100)
    assert has_more and not first.event.redelivered


def test_what_was_parked_is_found_by_the_next_login(small):
    entries = commit(small, *"ab")
    small.park(entries)
    small.release()
    assert small._store is None
    small.open(5)
    assert saved_ids(small) == ["a", "b"]


def test_one_long_conversation_leaves_room_for_others(path, monkeypatch):
    monkeypatch.setattr(mode_module, "MOST_IN_MEMORY", 2)
    left = durability(path)
    left.open(5)
    commit(left, *"abc")
    other = Delivery(signal="message_received", event=Message(id="d"), key=(OTHER, 8, "d"))
    left.commit([other], None)
    left._in_hand.clear()
    left.release()
    born = durability(path)
    born.open(5)
    saved, unread = born.load_saved()
    assert ([each.event.id for each, _ in saved], unread) == (["a", "b", "d"], [PEER])
    born._in_hand.clear()
    born.release()


def test_an_event_in_hand_is_not_read_back(small):
    entries = commit(small, *"ab")
    small.park(entries)
    small._in_hand.add(entries[0])
    assert bodies(small.read_back(PEER, 100)[0]) == ["b"]
    small.park([entries[0]])
    assert bodies(small.read_back(PEER, 100)[0]) == ["a"]
    assert small._in_hand == set(entries)


def test_an_event_of_another_conversation_does_not_join_parked_ones(small):
    [entry] = commit(small, "a")
    small.park([entry])
    other = Delivery(signal="message_received", event=Message(id="b"), key=(OTHER, 8, "b"))
    [free] = small.commit([other], None).values()
    assert small.joins_parked(free) is False and small.joins_parked(entry) is True


def test_streams_have_had_the_events_of_this_login_and_dead_letters(path):
    left = durability(path)
    left.open(5)
    commit(left, "a")
    letter = retried(left, "b")
    assert left.was_shown(letter)
    left._in_hand.clear()
    left.release()
    born = durability(path)
    born.open(5)
    saved, _ = born.load_saved()
    [new] = commit(born, "c")
    assert [born.was_shown(entry) for _, entry in saved] == [False, True]
    assert born.was_shown(new)
    born._in_hand.clear()
    born.release()


def test_half_of_the_queue_and_at_least_one_event_is_in_memory(path):
    for events, most in ((1, 1), (4, 2), (10_000, 1_000)):
        assert durability(path, limits=Limits(queued_events=events)).most_in_memory == most


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


def retried(kept: Durability, name: str = "a") -> InboxEntry:
    """The entry of a letter that was given up, marked and taken."""
    gave_up(kept, name)
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
        patch.setattr(DeadLetters, "has", fail)
        kept.put_back(entry)
    assert "full; the event is left to the next login" in caplog.text
    assert len(kept._store.inbox()) == len(kept.dead_letters) == 1


def test_each_receiver_and_each_event_has_a_letter_of_its_own(kept):
    gave_up(kept, "a", "bot.answer")
    gave_up(kept, "a", "bot.count")
    gave_up(kept, "b", "bot.answer")
    assert len(kept.dead_letters) == kept.kept.dead_letters == 3


def test_no_letter_is_taken_once_the_file_is_released(kept):
    retried(kept)
    [entry] = commit(kept, "b")
    gave_up(kept, "c")
    for letter in kept.dead_letters:
        kept.dead_letters.retry(letter.id)
    kept.release()
    assert kept._store is not None, "receivers still run"
    assert kept.take_marked(lambda *names: True) == []
    kept._in_hand = {entry}
    kept.leave(entry)
    assert kept._store is None
    assert kept.take_marked(lambda *names: True) == []


def test_the_last_event_that_is_put_back_lets_go_of_the_file(kept):
    entry = retried(kept)
    kept.release()
    assert kept._store is not None
    kept.put_back(entry)
    assert kept._store is None


def test_a_letter_of_the_last_process_is_removed_with_its_event(kept, path):
    retried(kept)
    kept._in_hand.clear()
    kept.release()
    other = durability(path)
    other.open(5)
    assert other.kept.dead_letters == 1
    [(_, entry)], _ = other.load_saved()
    other.handled(entry, keep=False)
    assert other.kept == Kept() and list(other.dead_letters) == []
    other.release()


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
