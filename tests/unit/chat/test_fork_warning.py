"""At the first fork after a login, one warning names the receivers that the child will not call."""

from __future__ import annotations

import gc
import logging
from types import SimpleNamespace

import pytest

from connectycube import Message
from connectycube.chat.fork_warning import ForkWarning
from connectycube.chat.signals import Signal


def of(*signals):
    """What has these signals, as a chat has its own."""
    return SimpleNamespace(_signals=lambda: list(signals))


@pytest.fixture
def received():
    return Signal("message_received", Message, "")


@pytest.fixture
def fork_warning(received):
    return ForkWarning("connectycube-1", lambda: True, of(received))


def warnings_of(caplog):
    return [record.message for record in caplog.records if record.levelno == logging.WARNING]


def answer(chat, message):
    pass


def test_the_warning_names_receivers_and_signal(fork_warning, received, caplog):
    received.connect(answer)
    fork_warning._before_fork()
    (warning,) = warnings_of(caplog)
    assert f"{answer.__module__}.answer (message_received)" in warning
    assert "chat.login()" in warning


def test_the_warning_is_given_once_for_each_login(fork_warning, received, caplog):
    received.connect(answer)
    fork_warning._before_fork()
    fork_warning._before_fork()
    assert len(warnings_of(caplog)) == 1
    fork_warning.renew()
    fork_warning._before_fork()
    assert len(warnings_of(caplog)) == 2


def test_the_child_does_not_repeat_the_warning_of_its_parent(fork_warning, received, caplog):
    received.connect(answer)
    fork_warning._before_fork()
    fork_warning.give()
    assert len(warnings_of(caplog)) == 1


def test_the_child_of_a_fork_in_c_is_warned_itself(fork_warning, received, caplog):
    received.connect(answer)
    fork_warning.give()
    assert len(warnings_of(caplog)) == 1


def test_there_is_no_warning_without_receivers(fork_warning, caplog):
    fork_warning._before_fork()
    assert warnings_of(caplog) == []


def test_there_is_no_warning_without_a_connection(received, caplog):
    received.connect(answer)
    ForkWarning("connectycube-1", lambda: False, of(received))._before_fork()
    assert warnings_of(caplog) == []


def test_the_warning_names_no_receiver_that_is_gone(fork_warning, received, caplog):
    def gone(chat, message):
        pass

    received.connect(gone, weak=True)
    del gone
    gc.collect()
    fork_warning._before_fork()
    assert warnings_of(caplog) == []
