"""The emulator's page in Chromium: what happens is shown at once, and a person makes it happen."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from connectycube import ChatState
from connectycube.emulator import Emulator
from connectycube.emulator.control.faults import FAULTS
from tests.support.browser import SECONDS, Window, window
from tests.support.people import FAST, Person
from tests.support.ports import emulator_ports, free_port
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.referee("chromium"), pytest.mark.time_limit(300)]

BODY = "#messages .body"
CLIPBOARD = ["clipboardReadWrite", "clipboardSanitizedWrite"]
LAST_MARKS = "#messages li:last-child .tag"
HOSTILE = "<script>window.taken = true</script><img src=x onerror='window.taken = true'>"


@pytest.fixture(scope="module")
def _window() -> Iterator[Window]:
    with window() as opened:
        yield opened


@pytest.fixture
def emulator(_window) -> Iterator[Emulator]:
    # One for each test: the browser keeps connections to it, which end with it.
    with Emulator(ui_port=free_port(), **emulator_ports()) as running:
        yield running
        _window.open("about:blank")


@pytest.fixture
def page(_window, emulator) -> Window:
    """The page of an emulator, in a window of 1440 pixels, connected."""
    _window.resize(1440, "light")
    _window.open(emulator.ui_url)
    _window.wait_for("#connection", "Connected")
    _window.complaints()
    return _window


@pytest.fixture
def people(emulator):
    """Alice and Bob, who are in the chat."""
    with ExitStack() as stack:
        found = []
        for name in ("alice", "bob"):
            emulator.add_user(name, "a password", full_name=name.title())
            person = Person.in_chat(emulator, name, "a password", reconnect=FAST)
            stack.callback(person.cube.close)
            stack.callback(person.chat.logout)
            found.append(person)
        yield found


def click_text(page: Window, selector: str, text: str) -> None:
    """Click on the element with this text."""
    wait_until(lambda: any(text in each for each in page.shown(selector)), timeout=SECONDS)
    page.driver.execute_script(
        "[...document.querySelectorAll(arguments[0])]"
        ".find((each) => each.innerText.includes(arguments[1])).click()",
        selector,
        text,
    )


def choose(page: Window, selector: str, value: str) -> None:
    """Choose an option, as a person does."""
    from selenium.webdriver.support.ui import Select

    Select(page._element(selector)).select_by_value(value)


def seconds_until(condition) -> float:
    began = time.monotonic()
    wait_until(condition, timeout=SECONDS)
    return time.monotonic() - began


class TestLive:
    def test_two_clients_talk_and_each_step_is_shown_within_a_second(self, page, people):
        alice, bob = people
        page.wait_for("#people .name", "Alice", "Bob")
        handle = alice.chat.send_private(bob.id, "Hello 0")
        handle.result(SECONDS)
        page.wait_for("#dialogs .dialog")
        page.click("#dialogs .dialog")
        page.wait_for(BODY, "Hello 0")
        times = []
        for number in range(1, 4):
            alice.chat.send_private(bob.id, f"Hello {number}").result(SECONDS)
            times.append(seconds_until(lambda n=number: f"Hello {n}" in page.shown(BODY)))
            bob.events.wait_for("message_received", number + 1)
            bob.chat.mark_read(bob.events.of("message_received")[-1])
            times.append(seconds_until(lambda: page.shown(LAST_MARKS) == ["read by Bob"]))
        # A slow machine delays some of them; the page itself delays none.
        assert sorted(times)[len(times) // 2] < 1.0

    def test_a_click_cuts_a_connection_which_comes_back(self, page, people, emulator):
        alice, _ = people
        page.wait_for("#people .cut", "Cut", "Cut")
        page.click(f"[data-user='{alice.id}'] .cut")
        alice.wait_for_state(ChatState.FORCE_CLOSED)
        alice.wait_for_state(ChatState.RESUMED)
        page.wait_for("#people .cut", "Cut", "Cut")

    def test_a_connection_that_stays_away_is_shown_waiting(self, page, emulator, people):
        alice, _ = people
        emulator.faults.refuse(user="alice")
        took = []
        page.click(f"[data-user='{alice.id}'] .cut")
        took.append(seconds_until(lambda: page.shown(".link.waiting button") == ["Forget"]))
        page.click(".link.waiting button")
        took.append(seconds_until(lambda: page.shown(".link.waiting") == []))
        assert min(took) < 1.0

    def test_a_fault_of_the_form_acts_and_is_shown(self, page, people, emulator):
        alice, _ = people
        page.click("#tab-faults")
        choose(page, "#fault-form [name=name]", "server_error")
        choose(page, "#fault-form [name=user]", str(alice.id))
        page.write("#fault-form [name=times]", "2")
        page.driver.find_element("css selector", "[name=parameter-status]").clear()
        page.write("[name=parameter-status]", "503")
        page.click("#fault-form .primary")
        took = [seconds_until(lambda: page.shown("#faults .name") == ["server_error"])]
        assert page.shown("#count-faults") == ["1"]
        (fault,) = emulator.faults.active
        assert (fault.user, fault.times, fault.parameters) == (alice.id, 2, {"status": 503})
        assert alice.cube.users.get(alice.id).id == alice.id  # repeated until it is answered
        assert emulator.faults.active == ()
        none = "None. What goes wrong in the field goes wrong here on demand."
        took.append(seconds_until(lambda: page.shown("#faults li") == [none]))
        # A slow machine delays one of them; the page itself delays none.
        assert min(took) < 1.0
        page.click("#tab-exchanges")
        wait_until(lambda: page.shown(".row .status").count("503") == 2, timeout=SECONDS)

    def test_every_fault_and_every_switch_is_offered(self, page, emulator):
        page.click("#tab-faults")
        names = "return [...document.forms['fault-form'].elements.name.options].map((o) => o.value)"
        wait_until(lambda: page.driver.execute_script(names) == list(FAULTS), timeout=SECONDS)
        for name in FAULTS:
            choose(page, "#fault-form [name=name]", name)
            fields = page.driver.find_elements("css selector", "#fault-parameters [name]")
            names = [each.get_attribute("name").removeprefix("parameter-") for each in fields]
            assert names == list(FAULTS[name].parameters)
        page.click("#tab-switches")
        shown = [
            name.replace(" ", "_").removesuffix("changed") for name in page.shown(".switch label")
        ]
        assert shown == [name for name, switch in emulator.switches.items() if name in shown]
        assert len(shown) == len(page.driver.execute_script("return [...document.forms.switches]"))

    def test_a_switch_is_set_and_shown_wherever_it_was_set(self, page, emulator):
        page.click("#tab-switches")
        page.click("#switch-room_echo")
        wait_until(lambda: emulator.switches["room_echo"] is False, timeout=SECONDS)
        page.wait_for("#count-switches", "1")
        emulator.set_switches(room_echo=True, session_seconds=60.0)
        changed = (
            "[...document.querySelectorAll('.switch.changed')].map((each) => each.dataset.switch)"
        )
        wait_until(
            lambda: page.driver.execute_script(f"return {changed}") == ["session_seconds"],
            timeout=SECONDS,
        )

    def test_the_clock_moves_and_pushes_and_mails_are_shown(self, page, emulator):
        choose(page, "#advance-seconds", "7201")
        page.click("#advance button")
        page.wait_for("#advanced", "+ 2 h 1 s")
        assert emulator.clock.advanced == 7201


class TestExchanges:
    def test_requests_and_stanzas_are_listed_filtered_and_copied(self, page, people):
        alice, bob = people
        page.click("#tab-exchanges")
        alice.cube.users.get(bob.id)
        click_text(page, ".row", f"GET /users/{bob.id}")
        page.wait_for("#detail-title", f"GET /users/{bob.id}")
        page.wait_for("#copy-curl", "Copy as curl")
        shown = " ".join(page.shown("#detail pre"))
        assert "CB-Token: ***" in shown
        assert alice.cube.session.token not in shown
        choose(page, "#exchange-user", str(bob.id))
        choose(page, "#exchange-side", "chat")
        alice.chat.send_private(bob.id, "Hello").result(SECONDS)
        bob.events.wait_for("message_received")
        wait_until(lambda: any("<message>" in each for each in page.shown(".row")), timeout=SECONDS)
        assert {each.split("\n")[2] for each in page.shown(".row") if "\n" in each} == {"Bob"}
        page.write("#exchange-text", "no such thing")
        page.wait_for(
            "#exchange-note", "No exchange fits. Recorded while this page is open, without secrets."
        )

    def test_the_copied_command_repeats_the_request(self, page, people):
        alice, bob = people
        page.driver.execute_cdp_cmd("Browser.grantPermissions", {"permissions": CLIPBOARD})
        page.click("#tab-exchanges")
        alice.cube.users.get(bob.id)
        click_text(page, ".row", f"GET /users/{bob.id}")
        page.click("#copy-curl")
        page.wait_for("#toast", "Copied.")
        read = "navigator.clipboard.readText().then(arguments[0])"
        command = page.driver.execute_async_script(read)
        assert alice.cube.session.token not in command
        environ = {**os.environ, "CB_TOKEN": alice.cube.session.token, "NO_PROXY": "127.0.0.1"}
        words = ["sh", "-c", f"{command} --silent"]
        done = subprocess.run(words, env=environ, capture_output=True, text=True, timeout=SECONDS)
        assert json.loads(done.stdout)["user"]["login"] == "bob"

    def test_nothing_is_recorded_once_the_page_is_closed(self, page, emulator):
        assert emulator.exchanges.active
        page.open("about:blank")
        wait_until(lambda: not emulator.exchanges.active, timeout=SECONDS)


class TestPeople:
    def test_a_person_adds_users_and_a_dialog_and_writes_as_both(self, page, emulator):
        page.click("#add-user")
        for login in ("carol", "dave"):
            page.write("#user-form [name=login]", f"{login}\n")
            wait_until(lambda n=login: n in [user["login"] for user in emulator.users()])
        page.click("#add-dialog")
        choose(page, "#dialog-form [name=owner]", "1")
        choose(page, "#dialog-form [name=others]", "2")
        page.click("#dialog-form .primary")
        page.wait_for("#messages-title", "carol, dave")
        page.write("#composer textarea", "Hello dave\n")
        page.wait_for(BODY, "Hello dave")
        choose(page, "#composer [name=sender]", "2")
        page.write("#composer textarea", "Hello carol\n")
        page.wait_for(BODY, "Hello dave", "Hello carol")
        (dialog,) = emulator.dialogs()
        assert [one["sender_id"] for one in emulator.messages(dialog["_id"])] == [1, 2]

    def test_texts_of_others_are_text(self, page, emulator):
        ids = [
            emulator.add_user(name, "a password", full_name=HOSTILE, custom_data=HOSTILE)
            for name in ("<b>x</b>", "another")
        ]
        dialog = emulator.add_dialog("group", ids[0], ids[1:], name=HOSTILE)
        emulator.send_message(dialog, ids[0], HOSTILE, {"colour": HOSTILE, "_": "1"})
        emulator.faults.delay(seconds=0, user=HOSTILE, connection=HOSTILE)
        click_text(page, ".dialog", HOSTILE)
        page.wait_for(BODY, HOSTILE)
        for view in ("exchanges", "faults", "switches", "pushes", "connect", "chat"):
            page.click(f"#tab-{view}")
        assert HOSTILE in page.shown("#people .name")[0]
        assert page.shown("#messages-title") == [HOSTILE]
        assert page.driver.execute_script("return window.taken") is None
        assert (
            page.driver.execute_script(
                "return document.querySelectorAll('main img, main script').length"
            )
            == 0
        )
        assert page.complaints() == []

    def test_a_file_is_loaded_and_the_emulator_is_reset(self, page, emulator, tmp_path):
        file = tmp_path / "people.json"
        users = [{"login": name, "password": "a password"} for name in ("erin", "frank")]
        messages = [{"dialog": ["erin", "frank"], "sender": "erin", "message": "Loaded"}]
        file.write_text(json.dumps({"users": users, "messages": messages}))
        page.driver.find_element("css selector", "#load-file").send_keys(str(file))
        page.wait_for("#people .name", "erin", "frank")
        page.click("#reset")
        page.wait_for("#ask-title", "Reset the emulator?")
        page.click("#ask-yes")
        page.wait_for("#people li", "No users yet. Add one, or let your program sign up.")
        assert emulator.users() == []
        file.write_text("{")
        page.driver.find_element("css selector", "#load-file").send_keys(str(file))
        wait_until(lambda: "is not JSON" in str(page.shown("#toast")), timeout=SECONDS)


class TestCalm:
    def test_a_thousand_messages_move_nothing_that_is_looked_at(self, page, emulator):
        alice, bob = (emulator.add_user(name, "a password") for name in ("alice", "bob"))
        dialog = emulator.add_dialog("private", alice, [bob])
        for number in range(60):
            emulator.send_message(dialog, alice, f"before {number}")
        click_text(page, ".dialog", "alice, bob")
        wait_until(lambda: len(page.shown(BODY)) == 60, timeout=SECONDS)
        page.driver.execute_script(
            """
            window.shifts = [];
            new PerformanceObserver((list) => {
              for (const entry of list.getEntries()) window.shifts.push(entry.value);
            }).observe({ type: "layout-shift" });
            document.getElementById("messages").scrollTop = 800;
            """
        )
        looked_at = (
            "const list = document.getElementById('messages').getBoundingClientRect();"
            "const found = document.elementFromPoint(list.left + 80, list.top + 60).closest('li');"
            "return [found.innerText, found.getBoundingClientRect().top]"
        )
        before = page.driver.execute_script(looked_at)
        for number in range(100):
            emulator.send_message(dialog, bob, f"live {number}")
        page.wait_for("#newer", "100 new messages")
        assert page.driver.execute_script(looked_at) == before
        page.click("#newer")
        wait_until(lambda: page.shown(BODY)[-1] == "live 99", timeout=SECONDS)
        for number in range(900):
            emulator.send_message(dialog, bob, f"more {number}")
        wait_until(lambda: page.shown(BODY)[-1] == "more 899", timeout=SECONDS)
        assert len(page.shown(BODY)) == 200
        assert page.driver.execute_script("return document.querySelectorAll('.row').length") <= 500
        assert sum(page.driver.execute_script("return window.shifts")) < 0.1
        assert page.complaints() == []

    def test_it_is_used_by_keyboard_alone(self, page, emulator):
        from selenium.webdriver.common.keys import Keys

        def press(*keys):
            page.driver.switch_to.active_element.send_keys(*keys)

        def focused():
            return page.driver.execute_script("return document.activeElement.id")

        page.driver.execute_script("document.getElementById('tab-chat').focus()")
        press(Keys.ARROW_RIGHT)
        assert focused() == "tab-exchanges"
        press(Keys.ARROW_LEFT, Keys.ARROW_LEFT)
        assert focused() == "tab-connect"
        assert page.shown("[role=tabpanel]") == page.shown("#view-connect")
        press(Keys.ARROW_RIGHT)
        assert focused() == "tab-chat"
        press(Keys.TAB)
        assert focused() == "add-user"
        press(Keys.ENTER)
        press("gina", Keys.ENTER)
        page.wait_for("#people .name", "gina")

    def test_the_focus_stays_while_lists_change(self, page, emulator, people):
        _, bob = people
        page.wait_for("#people .cut", "Cut", "Cut")
        label = page.driver.execute_script(
            "const cut = document.querySelector(`[data-user='${arguments[0]}'] .cut`);"
            "cut.focus(); return cut.getAttribute('aria-label')",
            bob.id,
        )
        emulator.add_user("another", "a password")
        page.wait_for("#people .name", "Alice", "Bob", "another")
        active = "return document.activeElement.getAttribute('aria-label')"
        assert page.driver.execute_script(active) == label

    @pytest.mark.parametrize("width", [1440, 390])
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_no_view_is_wider_than_its_window(self, page, emulator, width, scheme):
        alice, bob = (
            emulator.add_user(name, "a password", full_name=name * 20) for name in ("ann", "ben")
        )
        dialog = emulator.add_dialog("group", alice, [bob], name="word" * 60)
        emulator.send_message(dialog, alice, "x" * 500, {"custom": "y" * 300})
        emulator.faults.delay(seconds=1, user=alice, connection="z" * 100)
        page.resize(width, scheme)
        page.driver.refresh()
        for view in ("chat", "exchanges", "faults", "switches", "pushes", "connect"):
            page.click(f"#tab-{view}")
            page.wait_for(f"#view-{view}")
            assert not page.overflows(), view
        page.click("#tab-chat")
        click_text(page, ".dialog", "word")
        page.wait_for(BODY, "x" * 500)
        assert not page.overflows()
        assert page.complaints() == []


class TestDoors:
    def test_without_the_token_the_page_asks_for_it(self, page, emulator):
        page.driver.execute_script("sessionStorage.clear()")
        page.open("about:blank")
        page.open(emulator.ui_url.partition("#")[0])
        page.wait_for("#token-title", "The control token")
        page.write("#token-form [name=token]", f"{emulator.control_token}\n")
        page.wait_for("#connection", "Connected")
        assert emulator.control_token not in page.driver.current_url

    def test_a_page_of_another_origin_can_change_nothing(self, page, emulator):
        emulator.add_user("alice", "a password")
        page.open("data:text/html,<p>elsewhere</p>")
        base = f"http://127.0.0.1:{emulator.ui_port}/__emulator__/reset"
        outcome = page.driver.execute_async_script(
            """
            const [base, token, done] = arguments;
            const headers = { Authorization: `Bearer ${token}`, "X-ConnectyCube-Emulator": "x" };
            const attempts = [
              fetch(base, { method: "POST", headers }),
              fetch(base, { method: "POST", mode: "no-cors" }).then((answer) => answer.text()),
            ];
            Promise.allSettled(attempts).then((all) => done(all.map((each) => each.value ?? each.status)));
            """,
            base,
            emulator.control_token,
        )
        assert outcome == ["rejected", "rejected"]
        assert len(emulator.users()) == 1

    def test_the_page_goes_on_when_the_emulator_comes_back(self, page, emulator):
        emulator.add_user("alice", "a password")
        page.wait_for("#people .name", "alice")
        emulator.stop()
        page.wait_for("#connection", "The emulator has ended")
        emulator.start()
        page.wait_for("#connection", "Connected")
        page.wait_for("#people li", "No users yet. Add one, or let your program sign up.")


@contextmanager
def running(*options: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """The command, and the variables that it has written."""
    words = [sys.executable, "-m", "connectycube", "emulator", *options]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            lines = list(iter(process.stdout.readline, "ready\n"))
            pairs = (line.removeprefix("export ").strip().split("=", 1) for line in lines)
            yield process, {name: value.strip("'") for name, value in pairs}
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(SECONDS)


def test_the_command_has_the_page_and_ends_while_it_is_open(_window):
    page = _window
    with running("--ui-port", "0", "--auth-key", "k3y") as (process, variables):
        page.open(variables["CONNECTYCUBE_UI_URL"])
        page.wait_for("#connection", "Connected")
        page.click("#tab-connect")
        (shown,) = page.shown("#exports")
        assert f"CONNECTYCUBE_API_URL={variables['CONNECTYCUBE_API_URL']}" in shown
        assert "k3y" not in shown
        assert variables["CONNECTYCUBE_CONTROL_TOKEN"] not in shown
        (javascript,) = page.shown("#javascript")
        assert variables["CONNECTYCUBE_WEBSOCKET_URL"] in javascript
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(SECONDS) == 0
        assert process.stderr is not None
        words = process.stderr.read()
        assert f"Look at it on {variables['CONNECTYCUBE_UI_URL']}" in words
        assert "Traceback" not in words
    page.wait_for("#connection", "The emulator has ended")
    page.open("about:blank")
