"""The pages of docs/how-to: what their programs do beside running, and what their other files are worth."""

from __future__ import annotations

import re
import shlex
import signal
import sqlite3
import subprocess
import sys

import pytest

from connectycube import ConnectyCube, Message
from tests.docs.test_pages import BLOCKS, DOCS, handles_signals
from tests.support.people import PASSWORD, Person, logged_in
from tests.support.waiting import wait_until

FOLDER = DOCS / "how-to"
SECONDS = 60.0  # to start a program on a busy machine
_FENCED = re.compile(
    r"^<!-- (?P<kind>\w+) -->\n```\w+\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)


def code_of(name: str, words: str) -> str:
    (found,) = [b.code for b in BLOCKS if b.page == FOLDER / name and words in b.code]
    return found


def text_of(name: str, kind: str) -> str:
    text = (FOLDER / name).read_text(encoding="utf-8")
    (found,) = [one["code"] for one in _FENCED.finditer(text) if one["kind"] == kind]
    return found


@pytest.fixture
def program(emulator, tmp_path, monkeypatch):
    """``program(code)`` starts code of a page as a program; the caller ends it."""
    for name, value in emulator.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    started: list[subprocess.Popen[bytes]] = []

    def start(code: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.DEVNULL)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.time_limit(300)
def test_the_program_keeps_a_file_that_arrives(program, emulator, alice, tmp_path):
    bob = emulator.add_user("bob", PASSWORD)
    friend = Person.with_session(emulator, alice.name)
    code = code_of("files.md", "def keep").replace('"a password"', repr(PASSWORD))
    running = program(code)
    wait_until(lambda: any(one["available"] for one in emulator.sessions(bob)), timeout=SECONDS)
    with friend.cube:
        file = friend.cube.files.upload(b"Bring water.", name="../../notes.txt")
        friend.cube.messages.create(bob, Message(attachments=[file]), send_to_chat=True)
        kept = tmp_path / "received" / file.uid
        wait_until(lambda: kept.exists() and kept.read_bytes() == b"Bring water.", timeout=SECONDS)
    wait_until(lambda: handles_signals(running), timeout=SECONDS)
    running.send_signal(signal.SIGTERM)
    assert running.wait(SECONDS) == 0
    assert [path.name for path in tmp_path.rglob("*.txt")] == []


@pytest.mark.time_limit(300)
def test_a_bot_in_a_group_answers_when_it_is_addressed(program, emulator):
    bot = emulator.add_user("alice", PASSWORD)
    emulator.add_user("bob", PASSWORD)
    bob = Person.with_session(emulator, "bob")
    with bob.cube:
        group = bob.cube.dialogs.create_group("Hikers", [bot])
        program(code_of("groups.md", "is_private").replace('"a password"', repr(PASSWORD)))
        with logged_in(bob):
            wait_until(
                lambda: any(one["available"] for one in emulator.sessions(bot)), timeout=SECONDS
            )
            bob.chat.send_message(group, "nobody is addressed")
            bob.chat.send_message(group, "@alice hello")
            bob.events.wait_for("message_received", timeout=SECONDS)
            bob.chat.ping()
            assert bob.bodies == ["you said @alice hello"]


@pytest.mark.time_limit(300)
def test_the_mirror_has_each_message_of_history_and_chat_once(program, emulator, tmp_path):
    alice, bob = emulator.add_user("alice", PASSWORD), emulator.add_user("bob", PASSWORD)
    dialog = emulator.add_dialog("private", alice, [bob])
    emulator.add_messages(dialog, [{"sender_id": bob, "message": f"n{n}"} for n in range(3)])
    code = code_of("mirror.md", "def keep").replace('"a password"', repr(PASSWORD))
    for _ in range(2):  # the second run repeats the first
        assert program(code).wait(SECONDS) == 0
    kept = sqlite3.connect(tmp_path / "mirror.db")
    rows = kept.execute("SELECT body, sender FROM message ORDER BY sent, body").fetchall()
    kept.close()
    assert rows == [(f"n{n}", bob) for n in range(3)]
    assert all(alice not in one["read_ids"] for one in emulator.messages(dialog))


def test_container_and_unit_run_the_bot_of_the_page():
    page = (FOLDER / "service.md").read_text(encoding="utf-8")
    bot = next(block.code for block in BLOCKS if block.page.name == "service.md")
    docker = text_of("service.md", "dockerfile")
    unit = text_of("service.md", "unit")
    assert "STATE_DIRECTORY" in bot
    assert "STATE_DIRECTORY=/state" in docker
    assert "StateDirectory=bot" in unit
    assert "signal.SIGTERM" in bot
    (start,) = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    assert shlex.split(start)[1] == "/opt/bot/bot.py"
    assert 'CMD ["python", "bot.py"]' in docker
    assert "was not built" in page


@pytest.mark.parametrize("name", ["how-to", "chat", "emulator"])
def test_every_page_of_a_folder_is_in_its_table_and_its_tree(name):
    index = (DOCS / name / "index.md").read_text(encoding="utf-8")
    for page in (DOCS / name).glob("*.md"):
        if page.stem != "index":
            assert re.search(rf"\({re.escape(page.name)}[)#]", index), page.name
            assert f"\n{page.stem}\n" in index, page.name


GUIDES = [
    *(DOCS / f"{name}.md" for name in ("tutorial", "troubleshooting", "not-supported")),
    *(DOCS / f"from-{language}.md" for language in ("javascript", "flutter")),
    *sorted(FOLDER.glob("*.md")),
]


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.name)
def test_calls_that_the_text_names_exist(page):
    with ConnectyCube(app_id=1, auth_key="key") as cube:
        text = page.read_text(encoding="utf-8")
        for resource, name in re.findall(r"\bcube\.(\w+)\.(\w+)\b", text):
            part = getattr(cube, resource)
            assert part is None or hasattr(part, name), (resource, name)  # no user, no session
        for name in re.findall(r"(?<![\w.])cube\.(\w+)\(", text):
            assert hasattr(cube, name), name
        for name in re.findall(r"(?<![\w./])chat\.(\w+)\b", text):
            assert hasattr(cube.chat, name), name
