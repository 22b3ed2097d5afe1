"""Live pages under real web servers: whatever is killed, each page shows each message once, in order."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack

import pytest

from tests.processes.contrib.flask.conftest import SECONDS, SERVERS, kill
from tests.support.event_source import EventSource
from tests.support.waiting import wait_until

MESSAGES = 150
PAGES = 6

pytestmark = pytest.mark.time_limit(300)


def pages_of(stack, place, group, count=PAGES):
    """Open pages, each of which has begun."""
    path = f"/stream/{group}?as=reader"
    pages = [stack.enter_context(EventSource(place.port, path)) for _ in range(count)]
    for page in pages:
        # Nobody has written yet, and the first comment comes after 15 seconds: the begin came at once.
        page.wait_for(lambda page=page: page.has_begun, SECONDS)
    return pages


def check_shown(pages, bodies):
    for page in pages:
        page.wait_for(lambda page=page: len(page.messages) >= len(bodies), SECONDS)
        assert page.bodies == bodies


def test_a_kill_of_each_part_costs_no_page_a_message(place, group, anna, stack):
    bodies = [str(number) for number in range(MESSAGES)]
    listener = stack.enter_context(place.listening())
    site = stack.enter_context(place.serving())
    pages = pages_of(stack, place, group)
    written = iter(bodies)

    def write(count):
        for _ in range(count):
            anna.chat.send_message(group, next(written)).result(SECONDS)

    write(30)
    kill(listener.process.pid)
    listener.process.wait(SECONDS)
    write(30)
    stack.enter_context(place.listening())
    write(20)
    victim = min(place.workers_with_pages())
    kill(victim)
    write(30)
    kill(site.master)
    site.program.process.wait(SECONDS)
    write(20)
    stack.enter_context(place.serving())
    write(20)
    check_shown(pages, bodies)
    assert sum(page.connections for page in pages) > PAGES


@pytest.mark.parametrize("kind", SERVERS)
def test_pages_are_live_and_the_server_ends_while_they_are_open(place, group, anna, stack, kind):
    # Before the fork, where the server loads the application before it forks.
    site = stack.enter_context(place.serving(kind, CLIENT_AT_IMPORT="1"))
    with ExitStack() as open_pages:
        pages = pages_of(open_pages, place, group)
        bodies = [str(number) for number in range(10)]
        for body in bodies:
            anna.messages.create(group, body, send_to_chat=True)
        check_shown(pages, bodies)
        # Other requests are served beside them, with a client that was made before the fork or after it.
        assert site.get_all([f"/user/{anna.user.id}"] * 40) == [str(anna.user.id)] * 40
        assert site.program.ends() == 0
    assert "Traceback" not in site.program.words
    assert "WORKER TIMEOUT" not in site.program.words


def test_a_worker_of_gunicorn_that_is_replaced_lets_its_pages_go(place, group, anna, stack):
    stack.enter_context(place.serving())
    (page,) = pages_of(stack, place, group, 1)
    (worker,) = place.workers_with_pages()
    os.kill(worker, signal.SIGTERM)
    page.wait_for(lambda: page.connections == 2, SECONDS)
    assert page.words().count("end") == 1
    anna.messages.create(group, "hello", send_to_chat=True)
    check_shown([page], ["hello"])
    wait_until(lambda: place.workers_with_pages() - {worker})


def test_a_message_through_one_worker_is_shown_by_all(place, group, stack):
    """The poll of the site is half a second; so ten messages in a row come by the bell."""
    site = stack.enter_context(place.serving())
    pages = pages_of(stack, place, group)
    for number in range(10):
        site.post(f"/send/{group}?as=anna", str(number))
    check_shown(pages, [str(number) for number in range(10)])
