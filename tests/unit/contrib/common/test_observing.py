"""Observers of all clients: beside the application's, and gone without a trace."""

from __future__ import annotations

import pytest
from attrs import evolve

from connectycube import ArgumentTypeError, Config, Observer, RequestRecord
from connectycube.contrib.common import observing
from tests.support.observing import METHODS, Recorder, raising

RECORD = RequestRecord(method="GET", url="https://example.org/", seconds=0.0)


@pytest.fixture
def watching():
    """An observer of all clients."""
    observer = Recorder()
    observing.watch(observer)
    yield observer
    observing.unwatch(observer)


def config(**fields):
    return Config(app_id=1, auth_key="key", **fields)


def test_a_watching_observer_is_told_before_that_of_the_application(watching):
    own, order = Recorder(), []
    watching.note = lambda *call: order.append("watching")
    own.note = lambda *call: order.append("own")
    config(observer=own).observer.request_finished(RECORD)
    assert order == ["watching", "own"]


def test_what_begins_first_ends_last(watching):
    own, order = Recorder(), []
    watching.note = lambda method, *call: order.append(f"watching {method}")
    own.note = lambda method, *call: order.append(f"own {method}")
    both = config(observer=own).observer
    both.receiver_began(None, "message_received", None, "receive")
    both.receiver_ended(None, "message_received", None, "receive", None)
    assert order == [
        *("watching receiver_began", "own receiver_began"),
        *("own receiver_ended", "watching receiver_ended"),
    ]


@pytest.mark.parametrize("method", METHODS)
def test_each_method_reaches_each_observer_whatever_one_raises(watching, method):
    wrong = raising(lambda name: ValueError(name))
    both = config(observer=wrong).observer
    count = Observer.__dict__[method].__code__.co_argcount - 1
    with pytest.raises(ValueError, match=method):
        getattr(both, method)(*range(count))
    (call,) = watching.calls
    assert (call.method, call.arguments) == (method, tuple(range(count)))
    assert wrong.called == {method}


def test_a_configuration_made_from_another_is_watched_once(watching):
    own = Recorder()
    first = config(observer=own)
    second = evolve(first, workers=2)
    assert second.observer.members == first.observer.members == (watching, own)


def test_what_is_no_observer_is_refused_as_ever(watching):
    with pytest.raises(ArgumentTypeError, match="observer must be an object of a subclass"):
        config(observer=5)


def test_the_last_one_that_ends_leaves_nothing_behind():
    before, one, other = Config.__init__, Recorder(), Recorder()
    observing.watch(one)
    observing.watch(other)
    observing.unwatch(one)
    assert config().observer.members == (other,)
    observing.unwatch(other)
    assert Config.__init__ is before
    assert config().observer is None


def test_a_wrapper_of_somebody_else_is_left_in_place():
    one, before = Recorder(), Config.__init__
    observing.watch(one)
    ours = Config.__init__
    Config.__init__ = theirs = lambda self, **fields: ours(self, **fields)
    try:
        observing.unwatch(one)
        assert Config.__init__ is theirs
        assert config().observer is None
    finally:
        Config.__init__ = before


@pytest.mark.parametrize("is_on", [True, False], ids=["on", "off"])
def test_a_wrong_configuration_shows_no_secret(is_on):
    one, before = Recorder(), Config.__init__
    observing.watch(one)
    if not is_on:  # left in place, under a wrapper of somebody else
        ours = Config.__init__
        Config.__init__ = lambda self, **fields: ours(self, **fields)
        observing.unwatch(one)
    try:
        with pytest.raises(ArgumentTypeError, match="workers") as caught:
            Config(app_id=1, auth_key="a key that nobody may see", workers="many")
    finally:
        observing.unwatch(one)
        Config.__init__ = before
    frames = []
    entry = caught.value.__traceback__
    while entry is not None:
        if "connectycube/contrib/common/" in entry.tb_frame.f_code.co_filename:
            frames.append(repr(entry.tb_frame.f_locals))
        entry = entry.tb_next
    assert frames
    assert not [frame for frame in frames if "nobody may see" in frame]
