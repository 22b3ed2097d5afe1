"""The bell: every process with a stream is woken, and nothing is left of those that are gone."""

from __future__ import annotations

import os
import socket
import stat
import tempfile

import pytest

from connectycube.contrib.flask.bell import Bell
from connectycube.contrib.flask.run_folder import RunFolder
from connectycube.errors import ArgumentValueError
from tests.support.waiting import TIMEOUT


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory() as name:
        yield name


@pytest.fixture
def bell(folder):
    """Makes bells as other processes have them."""
    return lambda is_ending=lambda: False: Bell(
        lambda: RunFolder(folder, is_temporary=True), is_ending
    )


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
    one = Bell(lambda: RunFolder("/proc/nothing", is_temporary=True), lambda: False)
    for _ in range(2):
        waiter = one.wait_for("dialog")
        one.ring("dialog")
        assert waiter.rung.is_set()  # within the process
        one.forget(waiter)
    warnings = [record for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 1
    assert "by polling history alone" in warnings[0].getMessage()


def test_a_folder_is_made_for_this_user_alone(folder):
    made = RunFolder(os.path.join(folder, "run"), is_temporary=True).made()
    assert stat.S_IMODE(os.stat(made).st_mode) == 0o700


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_a_temporary_folder_of_another_user_is_refused(folder):
    strange, link = os.path.join(folder, "strange"), os.path.join(folder, "link")
    os.mkdir(strange)
    os.chown(strange, 12_345, 12_345)
    os.symlink(folder, link)
    for path in (strange, link):
        with pytest.raises(ArgumentValueError, match="belongs to another user"):
            RunFolder(path, is_temporary=True).made()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as thief:
        thief.bind(os.path.join(strange, "1-abcdef.bell"))
        thief.setblocking(False)
        Bell(lambda: RunFolder(strange, is_temporary=True), lambda: False).ring("dialog")
        with pytest.raises(BlockingIOError):
            thief.recv(100)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_a_folder_that_is_named_may_be_shared(folder):
    os.chown(folder, 12_345, 12_345)
    shared = Bell(lambda: RunFolder(folder, is_temporary=False), lambda: False)
    waiter = shared.wait_for("dialog")
    (name,) = os.listdir(folder)
    assert stat.S_IMODE(os.stat(os.path.join(folder, name)).st_mode) == 0o666
    shared.forget(waiter)
