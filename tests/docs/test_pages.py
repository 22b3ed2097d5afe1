"""The pages say what the code does: their Python runs, their tables equal it, their links lead somewhere.

A Python block runs behind the set-up of its page, or as part of a program that the top of the page
describes. A comment before the block makes it something else::

    <!-- bot -->        a program that answers messages and ends with SIGTERM and with Ctrl-C
    <!-- friend -->     a program that writes to the bot of its page, and prints the answer
    <!-- script -->     a program that ends by itself, with status 0
    <!-- test file -->  a file of tests for pytest
    <!-- django … -->   a part of a file of a project, made and run by test_django_page.py
    <!-- flask … -->    a part of a file of an application, made and run by test_flask_page.py
    <!-- celery … -->   a file of a program, run by test_celery_page.py in tests/interop/relay
    <!-- setup -->      the lines that the blocks of its page begin with; in an index.md, those of its folder
    <!-- compared -->   these lines, and the call of another language in Python: run by test_comparisons.py
    <!-- tutorial … --> a file, or a part of one, of the tutorial, made and run by test_tutorial_page.py
    <!-- mirror -->     a program that copies messages, run by test_admin_page.py
    <!-- excerpt -->    needs what a test does not have; it is only compiled
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import itertools
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import attrs
import pytest
from attrs import frozen

import connectycube
from connectycube import Chat, Config, ConnectyCube, ReconnectPolicy, models
from connectycube.chat.protocol.core import PERMANENT
from connectycube.cli import emulator as emulator_command
from connectycube.cli import exec as exec_command
from connectycube.emulator import Emulator
from connectycube.errors import ArgumentValueError, ClientClosedError
from tests.support.inside import signals_of
from tests.support.paths import ROOT
from tests.support.people import FAST, Events, Person, logged_in
from tests.support.waiting import TIMEOUT, wait_until
from tests.unit.test_house import MAY_KNOW, OUTSIDERS

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md")), *sorted(DOCS.glob("*/**/*.md"))]
DJANGO = ("settings", "handlers", "models", "views", "urls", "tests")
FLASK = ("app", "views", "tests")
TUTORIAL = ("bot", "friend", "tests", "slow", "settings", "views", "urls", "django tests")
KINDS = (
    *("bot", "friend", "script", "test file", "excerpt", "mirror"),
    *(f"django {name}" for name in DJANGO),
    *(f"flask {name}" for name in FLASK),
    *(f"tutorial {name}" for name in TUTORIAL),
    *("celery bot", "celery tasks", "setup", "compared"),
)
PASSWORD = "a password"

_BLOCK = re.compile(
    r"^(?:<!-- (?P<kind>[a-z ]+) -->\n)?```(?P<language>[\w-]+)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^#+ (?P<title>.+)$", re.MULTILINE)


@frozen
class Block:
    """One Python block: where it is, what it is, its code."""

    page: Path
    line: int
    kind: str
    code: str

    @property
    def place(self) -> str:
        """File and line."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks_of(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in _BLOCK.finditer(text):
        if found["language"] == "python":
            line = text.count("\n", 0, found.start("code")) + 1
            yield Block(page, line, found["kind"] or "", found["code"])


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def blocks(kind: str) -> pytest.MarkDecorator:
    chosen = [block for block in BLOCKS if block.kind == kind]
    return pytest.mark.parametrize("block", chosen, ids=lambda block: block.place)


def prose_of(page: Path) -> str:
    """A page's text without its code blocks."""
    return _BLOCK.sub("", page.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def service() -> Iterator[Emulator]:
    """An emulator for this module, without users: a program of the pages makes those that it needs."""
    with Emulator() as running:
        yield running


@pytest.fixture
def environment(service, monkeypatch) -> dict[str, str]:
    """The emulator's variables, set."""
    for name, value in service.environment().items():
        monkeypatch.setenv(name, value)
    return {**os.environ, "PYTHONWARNINGS": "error", "PYTHONPATH": str(ROOT)}


# --- the control API in other languages ---------------------------------------------------------

_CONTROL = re.compile(
    r"^<!-- control -->\n```(?P<language>\w+)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)


def missing(program: str) -> None:
    """Skip a test for want of a program, which continuous integration must have."""
    (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"{program} is missing")


_PROGRAMS = {
    "sh": ("curl", ["sh", "-euc"]),
    "javascript": ("node", ["node", "--input-type=module", "--eval"]),
}


@pytest.mark.parametrize("language", _PROGRAMS)
def test_the_control_api_is_used_as_the_page_shows(language, own_emulator):
    program, command = _PROGRAMS[language]
    if shutil.which(program) is None:
        missing(program)
    page = (DOCS / "emulator" / "control.md").read_text(encoding="utf-8")
    (code,) = [found["code"] for found in _CONTROL.finditer(page) if found["language"] == language]
    variables = {
        "CONNECTYCUBE_CONTROL_URL": own_emulator.control_url,
        "CONNECTYCUBE_CONTROL_TOKEN": own_emulator.control_token,
    }
    done = subprocess.run(
        [*command, code],
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    assert own_emulator.clock.advanced > 0
    with pytest.raises(ArgumentValueError, match="login"):  # carol is there
        own_emulator.add_user("carol", PASSWORD)


# --- examples that are part of a program --------------------------------------------------------


@pytest.fixture
def bob(service) -> Iterator[Person]:
    """The other person of the examples, logged in."""
    person = Person.new(service)
    with logged_in(person):
        yield person


@pytest.fixture
def alice(service) -> Iterator[ConnectyCube]:
    """The client of the examples, with a session and logged in to the chat."""
    with ConnectyCube(config=service.config(reconnect=FAST)) as cube:
        cube.login(login="alice", password=PASSWORD)
        cube.chat.login()
        yield cube


SETUPS = {block.page: block for block in BLOCKS if block.kind == "setup"}


def setup_of(page: Path) -> Block | None:
    """The block that the examples of a page begin with: its own, or that of its folder's index."""
    return SETUPS.get(page) or SETUPS.get(page.parent / "index.md")


SELF_CONTAINED = {ROOT / "README.md", DOCS / "index.md"}


@pytest.fixture
def names(request, environment, bob):
    """What an example has: the names of its set-up, and no other; else those that its page tells of.

    Clients and databases that they hold are closed.
    """
    block = getattr(request.node, "callspec", None) and request.node.callspec.params.get("block")
    names: dict[str, object] = {"__name__": "example"}
    setup = None if block is None else setup_of(block.page)
    if setup is not None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ConnectyCube, "from_env", partial(ConnectyCube.from_env, reconnect=FAST))
            exec(setup.code, names)
    elif block is None or block.page not in SELF_CONTAINED:
        add_told_names(names, request.getfixturevalue("alice"), bob)
    before = list(names.values())
    yield names
    for value in [*names.values(), *before]:  # an example may give a name to another client
        if isinstance(value, (ConnectyCube, sqlite3.Connection)):
            value.close()


def add_told_names(names: dict[str, object], alice: ConnectyCube, bob: Person) -> None:
    events = Events(alice.chat.message_received)
    bob.chat.send_private(alice.user.id, "Hello Alice").result(TIMEOUT)
    names |= {
        "cube": alice,
        "chat": alice.chat,
        "bob_id": bob.id,
        "dialog": alice.dialogs.create_private(bob.id),
        "message": events.wait_for("message_received")[0],
        "group": alice.dialogs.create_group("Hikers", [bob.id]),
    }


@blocks("")
def test_an_example_runs_and_its_receivers_work(block, names, bob, service, request):
    alice = names["cube"] if "cube" in names else request.getfixturevalue("alice")
    failures = [Events(alice.chat.callback_failed)]
    events = Events(*signals_of(alice.chat))
    group = alice.dialogs.create_group("Everybody", [bob.id])

    exec(compile("\n" * (block.line - 1) + block.code, str(block.page), "exec"), names)

    for other in [value for value in names.values() if isinstance(value, ConnectyCube)]:
        if other is not alice:
            with contextlib.suppress(ClientClosedError):  # the example may have closed it
                failures.append(Events(other.chat.callback_failed))
            let_a_message_come(other, bob)
    if alice.chat.is_ready and alice.session is not None:
        live_through_everything(alice.chat, events, bob, service, group)
    alice.chat.logout()
    assert [failed.of("callback_failed") for failed in failures] == [[]] * len(failures)


def let_a_message_come(cube: ConnectyCube, bob: Person) -> None:
    """Let a client that an example made receive a message, if it has a user; close it."""
    if cube.user is not None and cube.chat.message_received.receivers:
        cube.chat.login()
        bob.chat.send_private(cube.user.id, "Hello to the example").result(TIMEOUT)
        cube.chat.logout()  # waits for the receivers
    cube.close()


def live_through_everything(
    chat: Chat, events: Events, bob: Person, service: Emulator, group: connectycube.DialogRef
) -> None:
    """Let every signal of the chat speak."""
    me = chat.user.id
    live_through_a_group(chat, events, bob, service, group)
    bob.chat.send_typing(connectycube.DialogRef.private(me))
    bob.chat.send_stop_typing(connectycube.DialogRef.private(me))
    bob.chat.contacts.add(me)
    events.wait_for("contact_requested")
    bob.chat.contacts.remove(me)
    events.wait_for("contact_cancelled")
    before = len(events.of("message_received"))
    bob.chat.send_private(me, "Hello again").result(TIMEOUT)
    events.wait_for("message_received", before + 1)
    chat.send_private(bob.id, "And you?").result(TIMEOUT)
    bob.chat.mark_read(
        bob.events.wait(lambda e: [m for m in e.of("message_received") if m.body == "And you?"])[0]
    )
    events.wait_for("message_read")
    service.faults.refuse_resume(user=me, times=1)
    service.cut(me)
    events.wait_for("recovery_finished")  # a receiver that answers needs the connection
    assert chat.wait_until_idle(TIMEOUT)


def live_through_a_group(
    chat: Chat, events: Events, bob: Person, service: Emulator, group: connectycube.DialogRef
) -> None:
    """Let everything happen that happens in a group, and a system message."""
    me = chat.user.id
    chat.join(group)
    bob.chat.join(group)
    sent = bob.chat.send_message(group, "Hello group").result(TIMEOUT)
    bob.chat.edit_message(group, sent, "Hello all").result(TIMEOUT)
    bob.chat.delete_message(group, sent).result(TIMEOUT)
    bob.chat.leave(group)
    bob.chat.send_system_message(me, {"reload": "albums"}).result(TIMEOUT)
    service.kick(group.id, me)
    for name in (
        "occupant_joined",
        "message_edited",
        "message_deleted",
        "occupant_left",
        "system_message_received",
        "room_left",
    ):
        events.wait_for(name)


def test_the_first_kind_of_reconnection_manager_comes_back(environment, service, monkeypatch):
    code = next(block.code for block in BLOCKS if "Timer(5.0, chat.relogin)" in block.code)
    names = {"__name__": "example"}
    exec(code.replace("5.0", "0.05"), names)
    with names["cube"] as cube:
        events = Events(cube.chat.state_changed)
        service.cut(cube.user.id)

        def changes_since_the_cut(seen):
            names = [change.state.name for change in seen.of("state_changed")]
            # The READY of the login may come late, to receivers connected after it.
            since = names[names.index("FORCE_CLOSED") :] if "FORCE_CLOSED" in names else []
            return since if "READY" in since else None

        assert events.wait(changes_since_the_cut) == [
            *("FORCE_CLOSED", "CLOSED", "RECONNECTING", "AUTHENTICATED", "READY")
        ]
        cube.chat.logout()
        assert cube.chat.state.name == "CLOSED", "a logout is no reason to come back"


def test_the_network_watcher_of_the_docs_reconnects_without_the_delay(service):
    code = next(block.code for block in BLOCKS if "def network_is_back" in block.code)
    person = Person.new(service, reconnect=ReconnectPolicy(delay=3600))
    names = {"__name__": "example", "chat": person.chat}
    exec(code, names)
    with logged_in(person):
        service.cut(person.id)
        person.wait_for_state(connectycube.ChatState.FORCE_CLOSED)
        names["network_is_back"](person.chat)
        person.chat.wait_until_ready(TIMEOUT)


def test_the_filled_gap_of_the_page_is_noted_and_a_failure_told(names, alice, service, capsys, bob):
    exec(next(block.code for block in BLOCKS if "def read_it_yourself" in block.code), names)
    said: list[str] = []

    def lose_session() -> None:
        service.faults.refuse_resume(user=alice.user.id, times=1)
        service.cut(alice.user.id)

    def wait_for(words: str, times: int = 1) -> None:
        wait_until(
            lambda: said.append(capsys.readouterr().out) or "".join(said).count(words) == times
        )

    dialog_id = names["dialog"].id
    service.add_messages(dialog_id, [{"sender_id": bob.id, "message": "in the gap"}])
    lose_session()
    wait_for("the gap is filled; messages from history: ")
    assert "in the gap" in "".join(said)
    service.faults.server_error(on="rest", user=alice.user.id, times=1)
    lose_session()
    wait_for("some dialogs could not be read")
    wait_for("(repeated)\n")
    wait_for("the gap is filled; messages from history: ", times=2)


# --- examples that are programs -----------------------------------------------------------------


_SAID = re.compile(r"alice is online; Ctrl-C ends the bot|user \d+ wrote 'ping'")
"""What bots of the pages print about what they do."""


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT], ids=lambda one: one.name)
@blocks("bot")
def test_a_bot_of_the_pages_answers(block, ending, bob, service, environment, tmp_path):
    password = re.search('login="alice", password="(.*?)"', block.code)[1]
    login = f"alice-{block.place}-{ending.name}"  # one bot for each example, and one answer
    service.add_user(login, password)
    script = tmp_path / "bot.py"
    script.write_text(block.code.replace('"alice"', f'"{login}"'), encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, script],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as bot:
        try:
            bot_id = wait_until(lambda: bot_session(service, bob.id))
            bob.chat.send_private(bot_id, "ping").result(TIMEOUT)
            assert bob.events.wait_for("message_received")[0].body == "you said ping"
            wait_until(lambda: handles_signals(bot))
            bot.send_signal(ending)
            output = bot.communicate(timeout=TIMEOUT)[0].decode()
            assert bot.returncode == 0, output
            assert [line for line in output.splitlines() if not _SAID.fullmatch(line)] == []
            assert bot_session(service, bob.id) is None, "it logged out"
        finally:
            bot.kill()
            bot.communicate()


def handles_signals(process: subprocess.Popen[bytes]) -> bool:
    """Whether the process is inside ``chat.wait(signals=…)``: before, a signal just ends it (Linux only).

    The bot answers as soon as it is logged in, which may be before that call.
    """
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    caught = int(re.search(r"^SigCgt:\s*(\w+)", status, re.MULTILINE)[1], 16)
    is_asleep = re.search(r"^State:\s*S", status, re.MULTILINE) is not None
    return is_asleep and bool(caught >> (signal.SIGTERM - 1) & 1)


def bot_session(service: Emulator, bob_id: int) -> int | None:
    """The user of the one session that is not Bob's and can receive; None if there is none."""
    others = [
        entry["user_id"]
        for entry in service.sessions()
        if entry["user_id"] != bob_id and entry["available"]
    ]
    return others[0] if others else None


@blocks("bot")
def test_a_bot_of_the_pages_does_not_answer_itself(block, service, environment, tmp_path):
    password = re.search('login="alice", password="(.*?)"', block.code)[1]
    login = f"alice-{block.place}-twice"
    me, bob = service.add_user(login, password), service.add_user(f"bob-{block.place}", PASSWORD)
    script = tmp_path / "bot.py"
    script.write_text(block.code.replace('"alice"', f'"{login}"'), encoding="utf-8")
    other_device = Person(me, service.config(reconnect=FAST), password=password)
    friend = Person(bob, service.config(reconnect=FAST), password=PASSWORD)
    with (
        logged_in(other_device, friend),
        subprocess.Popen([sys.executable, script], cwd=tmp_path, env=environment) as bot,
    ):
        try:
            wait_until(lambda: len([s for s in service.sessions() if s["user_id"] == me]) == 2)
            wait_until(lambda: all(s["available"] for s in service.sessions()))
            for body in ("by my other device", "ping"):
                sender = other_device if body != "ping" else friend
                sender.chat.send_private(bob if body != "ping" else me, body).result(TIMEOUT)
            friend.events.wait_for("message_received", 2)
            assert friend.bodies == ["by my other device", "you said ping"]
            wait_until(lambda: handles_signals(bot))
            bot.terminate()
            assert bot.wait(TIMEOUT) == 0
        finally:
            bot.kill()


@blocks("friend")
def test_a_friend_of_the_pages_gets_an_answer_of_the_bot(block, service, environment, tmp_path):
    bot = next(one for one in BLOCKS if (one.page, one.kind) == (block.page, "bot"))
    password = re.search('login="alice", password="(.*?)"', bot.code)[1]
    scripts = {"bot": bot.code, "friend": block.code}
    for name, code in scripts.items():  # with users of their own
        code = code.replace('"alice"', '"alice-of-a-friend"').replace('"bob"', '"friend"')
        (tmp_path / f"{name}.py").write_text(code, encoding="utf-8")
    service.add_user("alice-of-a-friend", password)
    service.add_user("friend", PASSWORD)
    with subprocess.Popen([sys.executable, "bot.py"], cwd=tmp_path, env=environment) as running:
        try:
            wait_until(lambda: [s for s in service.sessions() if s["available"]])
            done = subprocess.run(
                [sys.executable, "friend.py"],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                timeout=TIMEOUT * 3,
            )
            wait_until(lambda: handles_signals(running))
            running.terminate()
            assert (done.returncode, done.stdout, done.stderr) == (0, "you said Hello\n", "")
            assert running.wait(TIMEOUT) == 0
        finally:
            running.kill()


@blocks("script")
def test_a_script_of_the_pages_ends_well(block, environment, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(block.code, encoding="utf-8")
    environment["PYTHONWARNINGS"] = "error,ignore:This process:DeprecationWarning"
    done = subprocess.run(
        [sys.executable, script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "alice" in done.stdout
    if "ping" in block.code:
        assert "seconds" in done.stdout


@blocks("test file")
def test_a_test_file_of_the_pages_passes(block, tmp_path):
    (tmp_path / "test_example.py").write_text(block.code, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *("-p", "connectycube.testing.plugin", tmp_path),
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{block.code.count('def test_')} passed" in done.stdout


SHELL = [
    pytest.param(found["code"], id=page.name)
    for page in PAGES
    for found in _BLOCK.finditer(page.read_text(encoding="utf-8"))
    if found["language"] == "sh" and "-- python my_bot.py" in found["code"]
]


@pytest.mark.skipif(os.name != "posix", reason="this is for a POSIX shell")
@pytest.mark.parametrize("code", SHELL)
def test_the_shell_commands_start_an_emulator_that_a_program_finds(code, tmp_path):
    (tmp_path / "my_bot.py").write_text(
        "from connectycube import ConnectyCube\n"
        "import pathlib\n"
        "assert 'CONNECTYCUBE_API_URL' in pathlib.Path('emulator.env').read_text()\n"
        "with ConnectyCube.from_env() as cube:\n"
        "    print('session of', cube.login(login='alice', password='a password').login)\n"
        "    print('state', cube.chat.login() and cube.chat.state.name)\n"
    )
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    assert shutil.which("connectycube", path=programs), "the package is not installed"
    done = subprocess.run(
        ["sh", "-e", "-c", code],
        cwd=tmp_path,
        env={"PATH": programs, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.stdout == "session of alice\nstate READY\n", done.stderr
    assert done.returncode == 0
    assert not (tmp_path / "emulator.env").exists()


@pytest.mark.skipif(os.name != "posix", reason="this is for a POSIX shell")
@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize("code", SHELL)
def test_the_shell_commands_end_if_the_emulator_cannot_start(code, shell, tmp_path):
    if shutil.which(shell) is None:
        missing(shell)
    (tmp_path / "my_bot.py").write_text("print('it runs all the same')")
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    hosted = {"CONNECTYCUBE_API_URL": "https://api.connectycube.com"}
    done = subprocess.run(
        [shell, "-c", code],
        cwd=tmp_path,
        env={"PATH": programs, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path), **hosted},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.stdout == ""
    assert "CONNECTYCUBE_API_URL names the hosted service" in done.stderr
    assert done.returncode != 0


def test_both_pages_about_the_emulator_show_its_command():
    assert [parameter.id for parameter in SHELL] == ["README.md", "commands.md"]


@blocks("excerpt")
def test_an_excerpt_is_at_least_python(block):
    compile(block.code, block.place, "exec")


def test_every_block_is_of_a_known_kind_and_all_kinds_are_met():
    assert {block.kind for block in BLOCKS} == {"", *KINDS}


def test_the_readmes_bot_is_a_bot():
    first = next(block for block in BLOCKS if block.page.name == "README.md")
    assert first.kind == "bot"
    assert len(first.code.split("\n\n")[0].splitlines()) == 1, "the import alone"
    assert len([line for line in first.code.splitlines() if line]) <= 12, "a dozen lines"
    assert "print(" in first.code, "it says what it does"


# --- tables -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def generate():
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_generated_parts_are_what_the_code_says(generate):
    for page in generate.PARTS:
        text = (DOCS / page).read_text(encoding="utf-8")
        assert generate.generated(page, text) == text, f"run `make docs`: {page} is out of date"


def test_the_json_schema_is_what_the_code_says(generate):
    text = (DOCS / "models.schema.json").read_text(encoding="utf-8")
    assert generate.schema() == text, "run `make docs`"


def test_a_change_of_the_code_would_be_noticed(generate, monkeypatch):
    text = (DOCS / "chat" / "login.md").read_text(encoding="utf-8")
    monkeypatch.setattr(
        generate,
        "TRANSITIONS",
        {**generate.TRANSITIONS, connectycube.ChatState.CLOSED: frozenset()},
    )
    with pytest.raises(ValueError, match="CLOSED cannot become"):
        generate.generated("chat/login.md", text)
    monkeypatch.setattr(generate, "COURSES", {"none": ()})
    assert generate.generated("chat/login.md", text) != text


def test_the_table_of_who_vouches_has_every_event_of_a_signal(generate):
    chat = Chat(Config(app_id=1, auth_key="key"))
    told = {signal.event for signal in signals_of(chat)}
    assert told == {*generate.VOUCHED, *generate.LOCAL}


def test_the_table_of_who_vouches_refuses_a_field_that_it_lacks(generate, monkeypatch):
    generate.vouched()
    monkeypatch.setitem(generate.VOUCHED, models.Typing, {"server": ("user_id",)})
    with pytest.raises(ValueError, match="Typing: its fields"):
        generate.vouched()


def test_every_generated_part_has_its_place_and_no_other(generate):
    for page in PAGES:
        marked = re.findall(r"<!-- (\w+): made by docs/generate.py -->", page.read_text())
        name = str(page.relative_to(DOCS)) if page.is_relative_to(DOCS) else page.name
        assert sorted(marked) == sorted(generate.PARTS.get(name, {}))


def rows(page: Path, heading: str) -> list[list[str]]:
    """The rows of the first table below a heading, as cells without their backticks."""
    section = page.read_text(encoding="utf-8").split(f"# {heading}\n")[1]
    table = itertools.dropwhile(lambda line: not line.startswith("|"), section.splitlines())
    lines = list(itertools.takewhile(lambda line: line.startswith("|"), table))[2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_the_table_of_signals_names_all_of_them_with_events_and_fields():
    chat = Chat(Config(app_id=1, auth_key="key"))
    table = rows(DOCS / "chat" / "signals.md", "Signals and events")
    assert [row[0] for row in table] == [f"`{signal.name}`" for signal in signals_of(chat)]
    for one, (_, event, _) in zip(signals_of(chat), table, strict=True):
        cls, *fields = re.findall(r"`(\w+)`", event)
        model = getattr(connectycube, cls)
        if fields:
            assert fields == [entry.name for entry in attrs.fields(model)]
        assert model is one.event


def test_the_tables_of_errors_name_what_the_tree_has():
    known = {name for name in connectycube.__all__ if name.endswith("Error")}
    pages = {"chat": sorted((DOCS / "chat").glob("*.md")), "rest": [DOCS / "rest.md"]}
    named = {
        part: {name for page in found for name in re.findall(r"`(\w+Error)`", page.read_text())}
        for part, found in pages.items()
    }
    for part, names in named.items():
        assert names - {"TimeoutError", "TypeError", "ValueError"} <= known, part
    api = {n for n in known if issubclass(getattr(connectycube, n), connectycube.ApiError)}
    chat = {n for n in known if issubclass(getattr(connectycube, n), connectycube.ChatError)}
    assert api <= named["rest"] | {"ApiResponseError"}
    assert chat - named["chat"] == {"LivenessError"} - named["chat"]


def test_the_permanent_conditions_are_those_of_the_core():
    text = (DOCS / "chat" / "reconnection.md").read_text(encoding="utf-8")
    sentence = text.split("whose condition is")[1].split(".")[0]
    assert set(re.findall(r"`([a-z-]+)`", sentence)) == PERMANENT


def test_the_options_of_the_emulator_command_are_those_of_its_parser():
    class Recorder:
        def __init__(self):
            self.names = []

        def add_argument(self, name, **_):
            self.names.append(name)

        def add_argument_group(self, title, *_):
            return Recorder() if title == "switches" else self  # they have a table of their own

    parser = Recorder()
    emulator_command.add_arguments(parser)
    table = rows(DOCS / "emulator" / "commands.md", "For several programs")
    assert [re.findall(r"--[\w-]+", row[0])[0] for row in table] == parser.names


def test_the_options_of_exec_are_those_of_its_parser():
    parser = argparse.ArgumentParser()
    exec_command.add_arguments(parser)
    options = [action.option_strings for action in parser._actions]
    table = rows(DOCS / "emulator" / "commands.md", "For one program")
    assert [row[0].split()[0] for row in table] == [
        *("`" + names[0] for names in options if names and "--help" not in names),
        "`--",
    ]


def test_the_members_of_the_emulator_are_named():
    text = (DOCS / "emulator" / "python.md").read_text(encoding="utf-8")
    for name in (name for name in vars(Emulator) if not name.startswith("_")):
        assert re.search(rf"`{name}[`(]", text), name


def test_the_rules_of_the_house_are_told_of_every_package():
    table = rows(DOCS / "design.md", "The packages")
    told = {name.strip("`") for row in table for name in row[0].split(", ")}
    folders = {
        path.parent.name for path in Path(connectycube.__file__).parent.glob("*/__init__.py")
    }
    assert folders <= told <= {*MAY_KNOW, *OUTSIDERS}


def test_files_that_the_pages_name_exist():
    not_there_yet = {"tests/a/test_b.py", "docs/_build/html"}
    for page in PAGES:
        for name in re.findall(
            r"`((?:tests|docs|chat|emulator|models|cli)/[\w/.]*)`", page.read_text()
        ):
            places = (ROOT / name, ROOT / "connectycube" / name)
            assert name in not_there_yet or any(place.exists() for place in places), (page, name)


# --- links and the build ------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """The anchors that a code host, and the built pages, make of the headings."""
    titles = [found["title"].lower() for found in _HEADING.finditer(prose_of(page))]
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_internal_links_lead_somewhere(page):
    for found in _LINK.finditer(prose_of(page)):
        target, _, anchor = found["target"].partition("#")
        if target.startswith("https:"):
            continue
        file = (page.parent / target).resolve() if target else page
        assert file.is_file(), found["target"]
        if anchor:
            assert anchor in anchors(file), found["target"]


def trees_of(page: Path) -> set[Path]:
    """The pages in the tables of contents of a page."""
    lines = [
        line
        for tree in re.findall(
            r"^```{toctree}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL
        )
        for line in tree.splitlines()
        if line and not line.startswith(":")
    ]
    return {page.parent / f"{line}.md" for line in lines}


def test_the_pages_are_all_reachable_from_the_first():
    reached, pending = set(), [DOCS / "index.md"]
    while pending:
        page = pending.pop()
        reached.add(page)
        pending += trees_of(page) - reached
    assert reached == {*DOCS.glob("**/*.md")}


@pytest.mark.time_limit(330)  # about 8 s alone, two minutes beside much other work
def test_the_pages_build_without_a_warning(site):
    assert (site / "reference" / "chat.html").is_file()
