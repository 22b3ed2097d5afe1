"""The bell: every process with a stream is woken, and nothing is left of those that are gone."""

from __future__ import annotations

import os
import socket
import stat
import tempfile

import pytest

from connectycube.contrib.flask.bell import Bell, ready_folder
from connectycube.errors import ArgumentValueError
from tests.support.waiting import TIMEOUT


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory() as name:
        yield name


@pytest.fixture
def bell(folder):
    """Makes bells as other processes have them."""
    return lambda is_ending=lambda: False: Bell(lambda: folder, is_ending)


def test_a_ring_wakes_the_streams_of_that_dialog_in_every_process(bell):
    bells = [bell() for _ in range(3)]
    waiters = [each.wait_for("one") for each in bells]
    others = [each.wait_for("two") for each in bells]
    bells[0].ring("one")
    assert all(waiter.rung.wait(TIMEOUT) for waiter in waiters)
    assert not any(waiter.rung.is_set() for waiter in others)
    bell().ring(None)
    assert all(waiter.rung.wait(TIMEOUT) for waiter in others)
    for each, *both in zip(bells, waiters, others, strict=True):
        for waiter in both:
            each.forget(waiter)


def test_nothing_is_opened_before_the_first_stream_and_left_after_the_last(bell, folder):
    one = bell()
    one.ring("dialog")
    assert os.listdir(folder) == []
    waiters = [one.wait_for("dialog") for _ in range(2)]
    assert len(os.listdir(folder)) == 1
    for waiter in waiters:
        one.forget(waiter)
        one.forget(waiter)
    assert os.listdir(folder) == []
    waiter = one.wait_for("dialog")
    one.ring("dialog")
    assert waiter.rung.wait(TIMEOUT)
    one.forget(waiter)


def test_the_socket_of_a_process_that_was_killed_is_removed(bell, folder):
    path = os.path.join(folder, "1-abcdef.bell")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as killed:
        killed.bind(path)
    assert os.path.exists(path)
    bell().ring("dialog")
    assert os.listdir(folder) == []


def test_a_process_that_does_not_read_holds_nobody_up(bell, folder):
    path = os.path.join(folder, "1-abcdef.bell")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
        deaf.bind(path)
        for _ in range(2_000):
            bell().ring("dialog")


def test_the_end_of_the_server_wakes_every_stream(bell):
    ends = []
    one = bell(lambda: bool(ends))
    waiter = one.wait_for("dialog")
    assert not waiter.rung.is_set() and not one.is_ending
    ends.append(True)
    assert waiter.rung.wait(TIMEOUT)
    assert one.is_ending
    one.forget(waiter)


def test_a_folder_that_cannot_be_used_leaves_the_polling(caplog):
    one = Bell(lambda: "/proc/nothing", lambda: False)
    for _ in range(2):
        waiter = one.wait_for("dialog")
        one.ring("dialog")
        assert waiter.rung.is_set()  # within the process
        one.forget(waiter)
    warnings = [record for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 1
    assert "by polling history alone" in warnings[0].getMessage()


def test_a_folder_is_made_for_this_user_alone(folder):
    made = ready_folder(os.path.join(folder, "run"))
    assert stat.S_IMODE(os.stat(made).st_mode) == 0o700


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_is_refused(folder):
    strange = os.path.join(folder, "strange")
    os.mkdir(strange)
    os.chown(strange, 12_345, 12_345)
    with pytest.raises(ArgumentValueError, match="belongs to another user"):
        ready_folder(strange)
    link = os.path.join(folder, "link")
    os.symlink(folder, link)
    with pytest.raises(ArgumentValueError, match="belongs to another user"):
        ready_folder(link)
