"""The live chat page of the examples: two windows talk, a bot answers, and a killed worker costs nothing."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.processes.examples.running import SECONDS, running
from tests.support.browser import window
from tests.support.ports import free_port
from tests.support.waiting import wait_until

pytestmark = pytest.mark.time_limit(300)

FIRST = ["At six, at the station?", "Seven. Let the bot decide: write /roll"]
TEXT = "#messages p"


def log_in(page, address, login):
    page.open(address)
    page.write("[name=login]", login)
    page.write("[name=password]", "a password\n")
    page.wait_for(TEXT, *FIRST)


def workers_of(example):
    """The processes of gunicorn below the example, without its master."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            words = (folder / "cmdline").read_text().split("\0")
            is_ours = str(example.folder) == os.readlink(folder / "cwd")
            parent = (folder / "status").read_text().split("PPid:\t")[1].split()[0]
        except (OSError, IndexError):
            continue
        if is_ours and any(word.endswith("/gunicorn") for word in words):
            found.append((int(folder.name), int(parent)))
    processes = {process for process, _ in found}
    return [process for process, parent in found if parent in processes]


@pytest.mark.referee("chromium")
def test_two_windows_talk_and_a_killed_worker_costs_nothing(tmp_path):
    port = free_port()
    with running("flask_live", tmp_path, PORT=str(port)) as example, ExitStack() as stack:
        address = example.wait_for_line("http://").split()[0]
        assert address == f"http://127.0.0.1:{port}"
        example.wait_for_line("listens; handlers: live.roll")
        ann, ben = (stack.enter_context(window()) for _ in range(2))
        log_in(ann, address, "ann")
        log_in(ben, address, "ben")
        said = [*FIRST, "Good morning <b>Ben</b>", "and a good one to you"]
        ann.write("#write input", f"{said[2]}\n")
        ben.wait_for(TEXT, *said[:3])
        ben.write("#write input", f"{said[3]}\n")
        ann.wait_for(TEXT, *said)
        ann.wait_for(".name", "You", "Ben", "You", "Ben")
        ben.wait_for(".name", "Ann", "You", "Ann", "You")

        workers = workers_of(example)
        assert len(workers) == 4
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
        wait_until(lambda: len(set(workers_of(example)) - set(workers)) == 4, timeout=SECONDS)
        ann.write("#write input", "still here?\n")
        ben.wait_for(TEXT, *said, "still here?")
        ann.wait_for(TEXT, *said, "still here?")

        ben.write("#write input", "/roll\n")
        for page in (ann, ben):
            page.wait_for("#messages li:nth-child(7) p")
            assert page.shown(TEXT)[5] == "/roll"
            assert page.shown(TEXT)[6] in [f"A {number}" for number in range(1, 7)]
        check_looks(ann)
        assert [line for page in (ann, ben) for line in page.complaints() if "Policy" in line] == []
        assert example.end() == 0  # the pages are open
    assert not any("Traceback" in line for line in example.errors)


def check_looks(page):
    """Nothing sticks out, whatever the window."""
    for width in (390, 1440):
        for scheme in ("light", "dark"):
            page.resize(width, scheme)
            assert not page.overflows()
            assert page.shown("#write button") == ["Send"]


@pytest.mark.referee("chromium")
def test_a_wrong_password_is_told_and_a_login_can_be_left(tmp_path):
    port = free_port()
    with running("flask_live", tmp_path, PORT=str(port)) as example, window() as page:
        address = example.wait_for_line("http://").split()[0]
        example.wait_for_line("listens; handlers: live.roll")
        page.open(address)
        page.write("[name=login]", "ann")
        page.write("[name=password]", "wrong\n")
        page.wait_for(".error", "Wrong login or password")
        log_in(page, address, "ann")
        page.open(address)  # the session outlives a reload
        page.wait_for(TEXT, *FIRST)
        page.click("#logout")
        page.wait_for("#login h1", "Live chat")
        page.open(address)
        page.wait_for("#login h1", "Live chat")
        assert example.end(signal.SIGTERM) == 0


def test_a_worker_that_hangs_does_not_hold_up_the_end(tmp_path):
    with running("flask_live", tmp_path, PORT=str(free_port())) as example:
        example.wait_for_line("listens; handlers: live.roll")
        wait_until(lambda: len(workers_of(example)) == 4, timeout=SECONDS)
        os.kill(workers_of(example)[0], signal.SIGSTOP)
        example.process.send_signal(signal.SIGINT)
        assert example.process.wait(20) == 0, example.said  # gunicorn's own patience is 30 seconds
        example.end(None)


def test_a_port_that_is_taken_ends_the_example(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with running("flask_live", tmp_path, PORT=port) as example:
            assert example.process.wait(120) != 0
            example.end(None)
        assert any("in use" in line for line in example.errors)
