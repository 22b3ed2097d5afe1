"""What the comparison counts: each planted breach of the promise, and nothing else."""

from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from tests.soak.comparison import (
    FAILED,
    PENDING,
    SENT,
    UNKNOWN,
    Lane,
    Received,
    Sent,
    Verdict,
    compare,
)

ALICE, BOB, CLEO = 1, 2, 3
LANE = Lane("group", ALICE, 0)
OTHER_THREAD = Lane("group", ALICE, 1)
COUNT = 10


def receivers(lane):
    return {ALICE, BOB, CLEO} - {lane.sender}


def sent(number, outcome=SENT, lane=LANE):
    return Sent(lane, number, f"id{number} {lane.thread}", outcome=outcome, settled_at=1.0)


def received(message, by=BOB):
    return Received(by, message.lane, message.number, message.id)


@pytest.fixture
def messages():
    """What Alice has sent, all of it with the outcome 'sent'."""
    return [sent(number) for number in range(COUNT)]


@pytest.fixture
def receipts(messages):
    """All of it, as Bob and Cleo received it."""
    return [received(message, by) for message in messages for by in (BOB, CLEO)]


@pytest.fixture
def stored(messages):
    """All of it, as history has it."""
    return {"group": [message.id for message in messages]}


def found(verdict):
    """The four counts of breaches."""
    counts = breaches(verdict)
    assert len(verdict.problems) == sum(counts)
    assert verdict.is_kept == (not any(counts))
    return counts


def breaches(verdict):
    return (verdict.lost, verdict.repeated, verdict.misordered, verdict.untrue)


def test_a_kept_promise_has_no_breach(messages, receipts, stored):
    verdict = compare(messages, receipts, receivers, stored)
    assert found(verdict) == (0, 0, 0, 0)
    assert verdict.counts == {SENT: COUNT, "received": 2 * COUNT}


@pytest.mark.parametrize("place", [0, 7, 2 * COUNT - 1])
def test_a_planted_loss_is_counted_and_named(messages, receipts, stored, place):
    gone = receipts.pop(place)
    verdict = compare(messages, receipts, receivers, stored)
    assert found(verdict) == (1, 0, 0, 0)
    assert f"message {gone.number} of 1" in verdict.problems[0]
    assert verdict.problems[0].endswith(f"{gone.by} never had it")


@pytest.mark.parametrize("later", [1, 5])
def test_a_planted_repetition_is_counted(messages, receipts, stored, later):
    receipts.insert(4 + later, receipts[4])
    assert found(compare(messages, receipts, receivers, stored)) == (0, 1, 0, 0)


def test_a_planted_misorder_is_counted(messages, receipts, stored):
    receipts[4], receipts[6] = receipts[6], receipts[4]
    assert found(compare(messages, receipts, receivers, stored)) == (0, 0, 1, 0)


def test_order_counts_within_a_thread_and_conversation_alone(messages):
    mixed = [*messages, sent(0, lane=OTHER_THREAD)]
    receipts = [received(m, by) for m in reversed(mixed[-2:]) for by in (BOB, CLEO)]
    receipts = [*(received(m, by) for m in messages[:-1] for by in (BOB, CLEO)), *receipts]
    assert found(compare(mixed, receipts, receivers)) == (0, 0, 0, 0)


def test_what_came_late_for_a_reason_is_counted_apart(messages):
    def late_by_the_server(message, receipt, before):
        return "by the server" if receipt.came > before.came else None

    receipts = [evolve(received(message), came=message.number) for message in messages]
    late = receipts.pop(2)
    to_bob = {"receivers": lambda lane: {BOB}, "late": late_by_the_server}
    verdict = compare(messages, [*receipts, evolve(late, came=COUNT)], **to_bob)
    assert found(verdict) == (0, 0, 0, 0)
    assert verdict.counts["misordered by the server"] == 1
    assert found(compare(messages, [*receipts, late], **to_bob)) == (0, 0, 1, 0)


def test_a_failed_message_is_nowhere_and_an_unknown_one_anywhere(messages, receipts, stored):
    missing, there = (sent(number, UNKNOWN) for number in (COUNT, COUNT + 1))
    failed = sent(COUNT + 2, FAILED)
    messages += [missing, there, failed]
    receipts.append(received(there))
    verdict = compare(messages, receipts, receivers, stored)
    assert found(verdict) == (0, 0, 0, 0)
    assert (verdict.counts[UNKNOWN], verdict.counts["unknown that arrived"]) == (2, 1)
    for arrived, history in (
        ([received(failed)], stored),
        ([], {"group": [*stored["group"], failed.id]}),
    ):
        assert found(compare(messages, [*receipts, *arrived], receivers, history)) == (0, 0, 0, 1)


def test_a_sent_message_is_in_history_once(messages, receipts, stored):
    assert found(compare(messages, receipts, receivers, {"group": stored["group"][1:]})) == (
        0,
        0,
        0,
        1,
    )
    twice = {"group": [*stored["group"], stored["group"][0]]}
    assert found(compare(messages, receipts, receivers, twice)) == (0, 1, 0, 0)


def test_a_message_without_outcome_is_untrue(messages, receipts):
    assert found(compare([*messages, sent(COUNT, PENDING)], receipts, receivers)) == (0, 0, 0, 1)


@pytest.mark.parametrize(
    "wrong",
    [{"id": "another"}, {"number": COUNT + 5}, {"by": ALICE}, {"lane": Lane("group", BOB, 0)}],
)
def test_what_nobody_has_sent_there_is_untrue(messages, receipts, wrong):
    receipts.append(evolve(receipts[-1], **wrong))
    assert found(compare(messages, receipts, receivers)) == (0, 0, 0, 1)


def test_an_excused_loss_is_counted_apart(messages, receipts):
    del receipts[:4]
    verdict = compare(
        messages,
        receipts,
        receivers,
        None,
        lambda message, receiver: "early" if message.number < 1 else None,
    )
    assert found(verdict) == (2, 0, 0, 0)
    assert verdict.counts["lost early"] == 2


@given(st.lists(st.sampled_from(["lose", "repeat", "keep"]), max_size=40))
def test_as_many_as_are_planted_are_found(plan):
    messages = [sent(number) for number in range(len(plan))]
    receipts = []
    for message, what in zip(messages, plan, strict=True):
        times = {"lose": 0, "repeat": 2, "keep": 1}[what]
        receipts += [received(message, CLEO), *[received(message)] * times]
    verdict = compare(messages, receipts, receivers)
    assert found(verdict) == (plan.count("lose"), plan.count("repeat"), 0, 0)


def test_verdicts_add_up():
    total = Verdict()
    for name in ("lost", "lost", "repeated", "misordered", "untrue"):
        one = Verdict()
        one.breach(name, "words")
        one.counts["sent"] += 2
        total.add(one)
    assert found(total) == (2, 1, 1, 1)
    assert total.counts["sent"] == 10
