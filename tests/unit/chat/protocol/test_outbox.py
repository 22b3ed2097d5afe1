from __future__ import annotations

from collections import deque

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from connectycube.chat.protocol.outbox import Outbound, Outbox, Submission
from connectycube.config import Limits
from connectycube.errors import StreamProtocolError
from connectycube.models import DialogRef, Message


def outbox(*, stanzas: int = 3, size: int = 100) -> Outbox:
    return Outbox(Limits(outbound_stanzas=stanzas, outbound_bytes=size))


def filled(*data: bytes) -> Outbox:
    """An outbox whose stanzas were all written."""
    box = outbox()
    for each in data:
        box.add(Outbound(each))
    list(box.take())
    return box


def names(stanzas: object) -> list[bytes]:
    return [stanza.data for stanza in stanzas]  # type: ignore[attr-defined]


def test_stanzas_are_taken_in_order_and_marked_as_attempted() -> None:
    box = outbox()
    box.add(Outbound(b"a"))
    box.add(Outbound(b"b"))
    assert not any(stanza.attempted for stanza in box)
    taken = list(box.take())
    assert names(taken) == [b"a", b"b"]
    assert all(stanza.attempted for stanza in taken)
    assert not box.waiting and names(box.unacknowledged) == [b"a", b"b"]


def test_what_is_written_at_once_counts_before_what_waits() -> None:
    box = outbox()
    box.add(Outbound(b"waiting"))
    box.add_written(Outbound(b"now"))
    assert names(box) == [b"now", b"waiting"]
    assert box.sent == 1
    assert names(box.acknowledge(1)) == [b"now"]


def test_acknowledging_returns_what_the_server_has_handled_since() -> None:
    box = filled(b"a", b"b", b"c")
    assert names(box.acknowledge(2)) == [b"a", b"b"]
    assert names(box.acknowledge(2)) == []
    assert box.sent == 3
    assert names(box.acknowledge(3)) == [b"c"]


@pytest.mark.parametrize(("acknowledged", "h"), [(2, 1), (3, 0)])
def test_a_count_that_goes_back_is_refused_in_true_words(acknowledged: int, h: int) -> None:
    box = filled(b"a", b"b", b"c")
    box.acknowledge(acknowledged)
    with pytest.raises(StreamProtocolError, match=f"went back, from {acknowledged} to {h}"):
        box.acknowledge(h)
    assert len(box) == 3 - acknowledged


@pytest.mark.parametrize(("acknowledged", "h"), [(0, 4), (3, 4), (0, 2**32 - 1)])
def test_a_count_beyond_what_was_sent_is_refused(acknowledged: int, h: int) -> None:
    box = filled(b"a", b"b", b"c")
    box.acknowledge(acknowledged)
    with pytest.raises(StreamProtocolError, match=f"acknowledged {h} stanzas, more than the 3"):
        box.acknowledge(h)
    assert len(box) == 3 - acknowledged


def test_the_count_wraps_at_two_to_the_32() -> None:
    box = outbox()
    box._acknowledged = 2**32 - 2
    for each in (b"a", b"b", b"c"):
        box.add(Outbound(each))
    list(box.take())
    assert box.sent == 1
    assert names(box.acknowledge(2**32 - 1)) == [b"a"]
    assert names(box.acknowledge(1)) == [b"b", b"c"]


def test_a_new_session_counts_from_zero_and_returns_what_is_left_in_order() -> None:
    box = filled(b"a", b"b", b"c")
    box.acknowledge(1)
    assert names(box.begin_session()) == [b"b", b"c"]
    assert box.sent == 0 and not len(box)


def test_what_is_put_back_goes_first_and_was_not_attempted() -> None:
    box = filled(b"a", b"b")
    box.add(Outbound(b"c"))
    left = box.begin_session()
    box.put_back(left)
    assert names(box.waiting) == [b"a", b"b", b"c"]
    assert not any(stanza.attempted for stanza in box)


def test_clear_returns_everything_in_order() -> None:
    box = filled(b"a", b"b")
    box.add(Outbound(b"c"))
    assert names(box.clear()) == [b"a", b"b", b"c"]
    assert not len(box) and box.has_room(100)


def test_there_is_room_up_to_the_bound_on_stanzas() -> None:
    box = filled(b"a", b"b")
    assert box.has_room(1)
    box.add(Outbound(b"c"))
    assert not box.has_room(1)
    box.acknowledge(1)
    assert box.has_room(1)


def test_there_is_room_up_to_the_bound_on_bytes() -> None:
    box = filled(b"x" * 60)
    assert box.has_room(40) and not box.has_room(41)


def test_stanzas_of_no_caller_take_no_room_from_those_of_callers() -> None:
    limits = Limits(
        outbound_stanzas=3, outbound_bytes=100, background_stanzas=5, background_bytes=50
    )
    box = Outbox(limits)
    for _ in range(5):
        assert box.has_background_room(10)
        box.add(Outbound(b"x" * 10, background=True))
    assert not box.has_background_room(1)
    assert box.has_room(100)
    box.add(Outbound(b"y" * 60))
    assert box.has_room(40) and not box.has_room(41)
    left = [*box.take()]
    box.acknowledge(4)
    assert box.has_background_room(40) and not box.has_background_room(41)
    box.put_back(box.begin_session())
    assert box.has_background_room(40) and not box.has_background_room(41)
    assert not box.has_room(41)
    assert len(left) == 6 and len(box.clear()) == 2
    assert box.has_background_room(50) and box.has_room(1000)


@pytest.mark.parametrize(("stanzas", "size"), [(100, 1000), (1000, 100)])
def test_an_outbox_is_crowded_beyond_a_tenth_of_a_bound(stanzas: int, size: int) -> None:
    box = outbox(stanzas=stanzas, size=size)
    for _ in range(10):
        box.add_written(Outbound(b"x"))
    assert not box.is_crowded
    box.add_written(Outbound(b"x"))
    assert box.is_crowded


def test_background_stanzas_are_bounded_by_number() -> None:
    box = Outbox(Limits(background_stanzas=2, background_bytes=100))
    box.add_written(Outbound(b"of a caller"))
    box.add_written(Outbound(b"a", background=True))
    assert box.has_background_room(1)
    box.add(Outbound(b"b", background=True))
    assert not box.has_background_room(1)


# --- replays and suspects -------------------------------------------------------------------------


def test_a_resumed_session_writes_again_what_the_server_lacks() -> None:
    box = filled(b"a", b"b", b"c")
    assert names(box.handled(1)) == [b"a"]
    assert box.replays and box.is_held and not any(stanza.attempted for stanza in box)
    assert names(box.replay()) == [b"b", b"c"]
    assert not box.replays and not box.is_held and all(stanza.attempted for stanza in box)


def test_a_resumed_session_that_lacks_nothing_replays_nothing() -> None:
    box = filled(b"a")
    box.handled(1)
    assert not box.replays and list(box.replay()) == []


def test_no_new_stanza_is_written_before_the_replayed_ones() -> None:
    box = filled(b"a")
    box.handled(0)
    assert box.take_at_once(Outbound(b"b")) is False
    box.add(Outbound(b"b"))
    assert list(box.take()) == []
    list(box.replay())
    assert names(box.take()) == [b"b"]


def test_a_replay_that_was_interrupted_writes_the_rest_only() -> None:
    box = filled(b"a", b"b")
    box.handled(0)
    assert next(box.replay()).data == b"a"
    assert names(box.replay()) == [b"b"]


@pytest.mark.parametrize("h", [2, 3])
def test_a_stanza_is_not_acknowledged_before_it_is_written_again(h: int) -> None:
    box = filled(b"a", b"b", b"c")
    box.handled(0)
    next(box.replay())
    with pytest.raises(StreamProtocolError, match="more than the 1"):
        box.acknowledge(h)
    assert names(box.acknowledge(1)) == [b"a"]


def test_a_suspect_is_sent_when_all_before_it_are_acknowledged() -> None:
    box = filled(b"a")
    box.add(Outbound(b"suspect", suspect=True))
    assert list(box.take()) == [] and not box.is_held
    box.acknowledge(1)
    assert names(box.take()) == [b"suspect"]


def test_nothing_is_sent_until_a_suspect_is_acknowledged() -> None:
    box = outbox()
    box.add(Outbound(b"suspect", suspect=True))
    list(box.take())
    assert box.is_held and box.take_at_once(Outbound(b"a")) is False
    box.add(Outbound(b"a"))
    assert list(box.take()) == []
    box.acknowledge(1)
    assert names(box.take()) == [b"a"]


def test_a_suspect_is_replayed_alone() -> None:
    box = filled(b"a", b"b", b"c")
    box.unacknowledged[1].suspect = True
    box.handled(0)
    for h, expected in ((1, b"a"), (2, b"b"), (3, b"c")):
        assert names(box.replay()) == [expected]
        assert list(box.replay()) == []
        box.acknowledge(h)
    assert not box.is_held


def test_the_first_unacknowledged_stanza_outlives_its_session() -> None:
    box = outbox()
    assert box.first_unacknowledged is None
    box.add_written(Outbound(b"presence", session_only=True))
    assert box.first_unacknowledged is None
    message, other = Outbound(b"message"), Outbound(b"other")
    assert box.take_at_once(message) and box.take_at_once(other)
    assert box.first_unacknowledged is message
    box.handled(0)
    assert box.first_unacknowledged is None


def test_a_waiting_stanza_of_the_old_session_is_dropped_with_its_room() -> None:
    limits = Limits(outbound_bytes=100, background_bytes=50)
    box = Outbox(limits)
    box.add(Outbound(b"x" * 60, session_only=True))
    box.add(Outbound(b"y" * 50, session_only=True, background=True))
    box.add(Outbound(b"message"))
    assert box.begin_session() == [] and names(box) == [b"message"]
    assert box.has_room(93) and not box.has_room(94)
    assert box.has_background_room(50)


def test_a_new_session_replays_nothing() -> None:
    box = filled(b"a")
    box.handled(0)
    box.put_back(box.begin_session())
    assert not box.is_held and names(box.take()) == [b"a"]


def test_a_cleared_outbox_is_as_a_new_one() -> None:
    box, submission = outbox(), Submission("m", "c", DialogRef.private(1))
    for _ in range(2):
        assert box.take_at_once(Outbound(b"a", submission))
    box.handled(0)
    box.clear()
    assert not box.is_held and box.refused("m") is None
    assert box.take_at_once(Outbound(b"b", submission))
    assert box.refused("m") is submission and box.refused("m") is None


def test_an_empty_outbox_takes_a_stanza_of_any_size() -> None:
    assert outbox().has_room(10**9)


@pytest.mark.parametrize(
    ("message", "in_history"),
    [
        (Message(), True),
        (Message(save_to_history=False), False),
        (Message(destroy_after=5), False),
        (None, False),
    ],
)
def test_a_submission_knows_whether_history_will_hold_it(
    message: Message | None, in_history: bool
) -> None:
    assert Submission("m", "c", DialogRef.private(1), message).in_history is in_history


@pytest.mark.parametrize(
    ("dialog", "in_room"), [(DialogRef.private(1), False), (DialogRef(id="d"), True)]
)
def test_a_submission_knows_whether_it_goes_to_a_room(dialog: DialogRef, in_room: bool) -> None:
    assert Submission("m", "c", dialog).in_room is in_room


class OutboxAgainstModel(RuleBasedStateMachine):
    """The outbox next to two plain lists and a count that starts just below the wrap."""

    def __init__(self) -> None:
        super().__init__()
        self.box = outbox(stanzas=8, size=50)
        self.waiting: deque[bytes] = deque()
        self.written: deque[bytes] = deque()
        self.acknowledged = self.box._acknowledged = 2**32 - 3
        self.number = 0

    @rule(size=st.integers(1, 12), reported=st.booleans())
    def add(self, size: int, reported: bool) -> None:
        self.number += 1
        data = b"%d" % self.number * size
        everything = [*self.written, *self.waiting]
        room = not everything or (
            len(everything) < 8 and sum(map(len, everything)) + len(data) <= 50
        )
        assert self.box.has_room(len(data)) == room
        if room:
            message_id = f"m{self.number % 3}"  # a caller may give an id again
            submission = Submission(message_id, "c", DialogRef.private(1)) if reported else None
            self.box.add(Outbound(data, submission))
            self.waiting.append(data)

    @rule()
    def go_ahead(self) -> None:
        if self.box.has_room(1):
            self.number += 1
            with self.box.ahead():
                self.box.add(Outbound(b"%d" % (self.number % 10)))
            self.waiting.appendleft(b"%d" % (self.number % 10))

    @rule(number=st.integers(0, 3))
    def write_at_once(self, number: int) -> None:
        if not self.box.has_room(2):
            return
        data, submission = b"%02d" % number, Submission(f"m{number}", "c", DialogRef.private(1))
        if self.box.take_at_once(Outbound(data, submission)):
            assert not self.waiting
            self.written.append(data)
        else:
            assert self.waiting

    @rule()
    def take(self) -> None:
        assert names(self.box.take()) == list(self.waiting)
        self.written += self.waiting
        self.waiting.clear()

    @rule(share=st.floats(0, 1))
    def acknowledge(self, share: float) -> None:
        count = int(share * len(self.written))
        self.acknowledged = (self.acknowledged + count) % 2**32
        expected = [self.written.popleft() for _ in range(count)]
        assert names(self.box.acknowledge(self.acknowledged)) == expected

    @rule(message_id=st.sampled_from(["m0", "m1", "m2", "m3"]))
    def refuse(self, message_id: str) -> None:
        reported = [stanza.submission for stanza in self.box.unacknowledged if stanza.submission]
        expected = next((each for each in reported if each.id == message_id), None)
        assert self.box.refused(message_id) is expected

    @rule(beyond=st.integers(1, 2**31))
    def acknowledge_too_much(self, beyond: int) -> None:
        with pytest.raises(StreamProtocolError):
            self.box.acknowledge((self.acknowledged + len(self.written) + beyond) % 2**32)

    @precondition(lambda self: self.written)
    @rule(again=st.booleans())
    def new_session(self, again: bool) -> None:
        left = self.box.begin_session()
        assert names(left) == list(self.written)
        self.acknowledged = 0
        if again:
            self.box.put_back(left)
            self.waiting.extendleft(reversed(self.written))
        self.written.clear()

    @invariant()
    def same(self) -> None:
        assert names(self.box) == [*self.written, *self.waiting]
        assert self.box.sent == (self.acknowledged + len(self.written)) % 2**32
        assert self.box._bytes == sum(map(len, [*self.written, *self.waiting]))
        reported = [stanza for stanza in self.box.waiting if stanza.submission is not None]
        assert self.box.messages_waiting == len(reported)
        unsettled = [stanza for stanza in self.box.unacknowledged if stanza.submission is not None]
        noted = len(self.box._by_id) + sum(map(len, self.box._namesakes.values()))
        assert noted == len(unsettled)


TestOutboxAgainstModel = OutboxAgainstModel.TestCase
