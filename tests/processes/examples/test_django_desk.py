"""docs/examples/django_desk: customers and agents talk in two windows, and with somebody in an app."""

from __future__ import annotations

import signal
import urllib.request
from contextlib import ExitStack, closing, contextmanager

import pytest

from tests.processes.examples.running import running
from tests.support.browser import window
from tests.support.ports import free_port
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.time_limit(300), pytest.mark.referee("chromium")]

LINES = ".chat li p"
GREETING = "Thank you. Somebody of us answers in a moment."
SECONDS = 60.0


class Desk:
    """The example, and windows of people who look at it."""

    def __init__(self, example, port, stack):
        self.example = example
        self.address = f"http://127.0.0.1:{port}"
        self.password = example.wait_for_line("password ").split()[-1]
        self._stack = stack
        wait_until(self._answers, "the web server", SECONDS)

    def _answers(self):
        assert self.example.process.poll() is None, self.example.said
        try:
            with closing(urllib.request.urlopen(f"{self.address}/", timeout=SECONDS)) as answer:
                self.policy = answer.headers["Content-Security-Policy"]
                return True
        except OSError:
            return False

    def visitor(self, page="/"):
        made = self._stack.enter_context(window())
        made.open(self.address + page)
        return made

    def user(self, name, page):
        made = self.visitor(f"/login/?next={page}")
        made.write("[name=username]", name)
        made.write("[name=password]", f"{self.password}\n")
        wait_until(lambda: made.driver.current_url == self.address + page, timeout=SECONDS)
        return made


@contextmanager
def desk(tmp_path):
    port = free_port()
    with running("django_desk", tmp_path, PORT=str(port)) as example, ExitStack() as stack:
        yield Desk(example, port, stack)
        stack.close()
        assert example.end(signal.SIGINT) in (0, 130)
        assert not any("Traceback" in line for line in [*example.lines, *example.errors])


def write(someone, text):
    someone.write(".chat textarea", f"{text}\n")


def test_a_customer_and_an_agent_talk_in_two_windows(tmp_path):
    with desk(tmp_path) as site:
        customer, agent = site.visitor(), site.user("admin", "/desk/")
        write(customer, "<b>My chain</b> jumps.")
        customer.wait_for(LINES, "<b>My chain</b> jumps.", GREETING)
        agent.wait_for("aside .text", "<b>My chain</b> jumps.")
        agent.click("aside li a")
        agent.click(".bar button")  # Take
        write(agent, "Bring it by.")
        customer.wait_for(LINES, "<b>My chain</b> jumps.", GREETING, "Bring it by.")
        write(customer, "At ten?")
        write(customer, "Or at eleven?")
        whole = ["<b>My chain</b> jumps.", GREETING, "Bring it by.", "At ten?", "Or at eleven?"]
        for one in (customer, agent):
            wait_until(
                lambda one=one: len(one.shown(".chat li time")) == len(whole), timeout=SECONDS
            )  # none is on its way
            assert one.shown(LINES) == whole

        other = site.user("ben", "/desk/")
        other.wait_for("aside .agent", "Olga")
        other.click("aside li a")
        other.wait_for(".bar .note", "Olga has it")
        assert other.shown(".chat textarea") == []

        agent.click(".bar button")  # Close
        agent.wait_for("aside .empty", "Nobody waits.")
        write(customer, "One more thing.")
        customer.wait_for(LINES, *whole, "One more thing.", GREETING)
        agent.wait_for("aside .text", "One more thing.")
        for one in (customer, agent, other):
            assert one.complaints() == []
        assert "default-src 'self'" in site.policy


def test_a_customer_of_an_app_is_answered_by_the_desk(tmp_path):
    with desk(tmp_path) as site:
        agent = site.user("ben", "/desk/")
        person = site.example.person("carol")
        try:
            (bot,) = person.cube.users.list(login="desk")
            person.chat.send_private(bot.id, "Do you rent tandems?")
            assert person.events.wait_for("message_received", timeout=SECONDS)[0].body == GREETING
            agent.wait_for("aside strong", f"App user {person.id}")
            agent.click("aside li a")
            agent.click(".bar button")
            write(agent, "We do.")
            answers = person.events.wait_for("message_received", 2, timeout=SECONDS)
            assert [answer.body for answer in answers] == [GREETING, "We do."]
        finally:
            person.cube.close()


def test_the_admin_shows_conversations_and_dead_letters(tmp_path):
    with desk(tmp_path) as site:
        customer = site.user("ann", "/")
        write(customer, "Hello!")
        customer.wait_for(LINES, "Hello!", GREETING)
        admin = site.user("admin", "/admin/")
        admin.open(f"{site.address}/admin/desk/conversation/")
        admin.click("#result_list .field-name a")
        admin.wait_for(".field-text p")
        assert admin.shown(".field-text p")[:2] == ["Hello!", GREETING]
        admin.open(f"{site.address}/admin/connectycube/deadletter/")
        admin.wait_for("#content h1", "Select dead letter to change")
        admin.open(f"{site.address}/admin/connectycube/outgoingmessage/")
        admin.wait_for("#result_list .field-state", "Sent")
        assert admin.complaints() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_fit_a_telephone_and_a_screen(tmp_path, scheme):
    colours = set()
    with desk(tmp_path) as site:
        customer = site.visitor()
        write(customer, "x" * 300)
        customer.wait_for(LINES, "x" * 300, GREETING)
        agent = site.user("admin", "/desk/")
        agent.click("aside li a")
        agent.wait_for(LINES, "x" * 300, GREETING)
        for one in (customer, agent):
            for width in (390, 1440):
                one.resize(width, scheme)
                assert not one.overflows()
                assert one.shown(".chat") != []
            script = "return getComputedStyle(document.body).backgroundColor"
            colours.add(one.driver.execute_script(script))
        agent.resize(390, scheme)
        assert agent.shown("aside") == [], "the conversation alone"
    assert colours == {"rgb(243, 245, 244)" if scheme == "light" else "rgb(16, 22, 21)"}
