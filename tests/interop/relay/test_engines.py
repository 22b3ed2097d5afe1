"""What each engine promises, on its real broker: order, one worker at a time, no loss, clear errors."""

from __future__ import annotations

import pytest

from connectycube import ArgumentValueError
from connectycube.contrib.relay import EngineFullError, EngineSettingsError, Letter
from connectycube.contrib.relay.engine import Topic

TOPIC = Topic("events", ("workers",), partitions=4)
WAIT = 10.0


def added(engine, *bodies, topic=TOPIC, key="k"):
    engine.declare(topic)
    for body in bodies:
        engine.add(topic, key, body, body.encode())


def one(subscription):
    """The next event, claimed."""
    claim = subscription.claim(WAIT)
    assert claim is not None
    return claim, claim.deliveries[0].body.decode()


def drained(subscription, count):
    """So many events, each finished."""
    found = []
    while len(found) < count:
        claim, body = one(subscription)
        subscription.ack(claim)
        found.append(body)
        while claim.deliveries:
            found.append(claim.deliveries[0].body.decode())
            subscription.ack(claim)
    return found


@pytest.fixture
def subscribe(new_engine):
    """Begin workers, each with an engine of its own."""
    made = []

    def begin(group="workers", topic=TOPIC, batch=16):
        subscription = new_engine().subscribe(topic, group, batch)
        made.append(subscription)
        return subscription

    yield begin
    for subscription in made:
        subscription.close()


def letter_of(claim, body, group="workers"):
    return Letter(
        "letter", "events", group, claim.partition, "k", body, "Error: no", 1, body.encode()
    )


def test_events_of_a_key_come_in_order(engine, subscribe):
    names = [str(n) for n in range(40)]
    added(engine, *names)
    assert drained(subscribe(), 40) == names


def test_each_group_gets_each_event(engine, subscribe):
    topic = Topic("events", ("one", "two"), partitions=2)
    added(engine, "a", "b", topic=topic)
    for group in topic.groups:
        assert drained(subscribe(group, topic), 2) == ["a", "b"]


def test_a_partition_has_one_worker_at_a_time(engine, subscribe):
    added(engine, "a", "b")
    first = subscribe()
    claim, body = one(first)
    second = subscribe()
    assert (body, second.claim(0.3)) == ("a", None)
    first.ack(claim)
    for _ in range(len(claim.deliveries)):
        first.ack(claim)


@pytest.mark.parametrize("batch", [1, 16])
def test_what_a_worker_did_not_finish_comes_again_in_its_place(engine, subscribe, batch):
    added(engine, "a", "b", "c")
    first = subscribe(batch=batch)
    claim, _ = one(first)
    second = subscribe()
    first.ack(claim)
    if not claim.deliveries:
        claim, _ = one(first)
    assert claim.deliveries[0].body == b"b"
    first.close()  # a killed worker's connections are closed as well
    claim, body = one(second)
    assert body == "b"
    assert claim.deliveries[0].crashes + claim.deliveries[0].may_be_repeated >= 1
    second.ack(claim)
    while claim.deliveries:
        second.ack(claim)


def test_a_worker_that_ends_at_once_has_finished_what_it_finished(engine, subscribe):
    added(engine, "a", "b")
    first = subscribe(batch=1)
    claim, _ = one(first)
    second = subscribe()
    first.ack(claim)
    first.close()
    assert drained(second, 1) == ["b"]


def test_a_failed_event_blocks_its_partition_and_comes_first(engine, subscribe):
    added(engine, "a", "b")
    worker = subscribe()
    claim, _ = one(worker)
    worker.retry(claim, 0.3)
    assert worker.claim(0.05) is None
    claim, body = one(worker)
    assert (body, claim.deliveries[0].failures, claim.deliveries[0].crashes) == ("a", 1, 0)
    worker.ack(claim)
    while claim.deliveries:
        worker.ack(claim)


def test_a_released_claim_counts_no_attempt(engine, subscribe):
    added(engine, "a")
    worker = subscribe()
    claim, _ = one(worker)
    worker.release(claim)
    claim, body = one(worker)
    assert (body, claim.deliveries[0].failures, claim.deliveries[0].crashes) == ("a", 0, 0)
    worker.ack(claim)


def test_a_dead_letter_is_listed_put_back_and_dropped(engine, subscribe):
    added(engine, "a")
    worker = subscribe()
    for _ in range(2):
        claim, body = one(worker)
        worker.ack(claim, letter_of(claim, body))
        (letter,) = engine.letters()
        assert (letter.id, letter.event_id, letter.error) == ("letter", "a", "Error: no")
        engine.retry_letters(["letter"])
        assert engine.letters() == []
    claim, body = one(worker)
    worker.ack(claim, letter_of(claim, body))
    engine.drop_letters(["letter"])
    assert engine.letters() == []
    assert worker.claim(0.1) is None


def test_an_unknown_letter_changes_nothing(engine, subscribe):
    added(engine, "a")
    worker = subscribe()
    claim, body = one(worker)
    worker.ack(claim, letter_of(claim, body))
    for change in (engine.retry_letters, engine.drop_letters):
        with pytest.raises(ArgumentValueError, match="no dead letter other"):
            change(["letter", "other"])
    assert len(engine.letters()) == 1


def test_a_letter_goes_back_to_its_own_group_alone(engine, subscribe):
    topic = Topic("events", ("one", "two"), partitions=1)
    added(engine, "a", topic=topic)
    one_, two = subscribe("one", topic), subscribe("two", topic)
    claim, body = one(one_)
    one_.ack(claim, letter_of(claim, body, "one"))
    assert drained(two, 1) == ["a"]
    engine.retry_letters(["letter"])
    assert drained(one_, 1) == ["a"]
    claim = two.claim(0.2)
    assert claim is None or claim.deliveries[0].body == b""


def test_a_full_partition_refuses_and_loses_nothing(engine, subscribe):
    topic = Topic("small", ("workers",), partitions=1, limit=3)
    added(engine, "a", "b", "c", topic=topic)
    with pytest.raises(EngineFullError):
        for _ in range(3):
            engine.add(topic, "k", "d", b"d")
    found = drained(subscribe("workers", topic), 3)
    assert found[:3] == ["a", "b", "c"]
    assert engine.add(topic, "k", "e", b"e")


def test_other_partitions_are_refused_with_both_numbers(engine):
    engine.declare(TOPIC)
    for partitions in (2, 8):
        with pytest.raises(EngineSettingsError, match=f"4 .*{partitions}|{partitions}.*4"):
            engine.declare(Topic("events", ("workers",), partitions))
    engine.declare(TOPIC)


def test_a_group_that_joins_later_gets_what_is_still_there(engine, subscribe, url):
    added(engine, "a", "b")
    engine.declare(Topic("events", ("late",), partitions=4))
    added(engine, "c")
    assert "c" in drained(subscribe("late"), 1 if "amqp" in url else 3)


def test_the_status_counts_what_waits(engine, subscribe):
    added(engine, "a", "b")
    status = engine.status(TOPIC)
    assert {each.partition for each in status} == {0, 1, 2, 3}
    assert sum(each.waiting for each in status) == 2
    drained(subscribe(), 2)
    assert sum(each.waiting for each in engine.status(TOPIC)) == 0


def test_the_side_store_keeps_the_last_value(engine, new_engine):
    assert engine.load("cursor.bot") is None
    for value in (b"one", b'{"two": 2}' * 10_000):
        engine.save("cursor.bot", value)
    for _ in range(2):
        assert new_engine().load("cursor.bot") == b'{"two": 2}' * 10_000
    assert engine.load("cursor.other") is None
