"""docs/troubleshooting.md has each error, and quotes texts that the package produces."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

import connectycube
from connectycube import ConnectyCube, ConnectyCubeError, errors
from tests.docs.test_pages import DOCS
from tests.support.people import Person

PAGE = DOCS / "troubleshooting.md"
_SECTION = re.compile(
    r"^### (?P<name>\w+Error)\n(?P<text>.*?)(?=^### |\Z)", re.MULTILINE | re.DOTALL
)
_QUOTED = re.compile(r"^- `(?P<text>[^`]+)`: \S", re.MULTILINE)
_OTHERS = ("emulator", "cli", "contrib", "testing")


def sections() -> dict[str, str]:
    text = PAGE.read_text(encoding="utf-8")
    return {found["name"]: found["text"] for found in _SECTION.finditer(text)}


QUOTED = [
    pytest.param(name, found["text"], id=f"{name}-{found['text'][:40]}")
    for name, text in sections().items()
    for found in _QUOTED.finditer(text)
]


def texts_of(path: Path) -> Iterator[str]:
    """The texts in a module, with `…` for what is put into them; a concatenation is one text."""
    inner: set[ast.AST] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            inner.update(node.values)
            values = [v.value if isinstance(v, ast.Constant) else "…" for v in node.values]
            yield re.sub("…+", "…", "".join(map(str, values)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in inner:
            yield node.value


@pytest.fixture(scope="module")
def texts() -> set[str]:
    """All texts of the client, as they are in its source."""
    root = Path(connectycube.__file__).parent
    found: set[str] = set()
    for path in root.rglob("*.py"):
        if path.relative_to(root).parts[0] not in _OTHERS:
            found.update(texts_of(path))
    return found


def test_every_error_has_its_section_in_the_order_of_the_tree():
    assert sorted(sections()) == sorted(errors.__all__)
    text = errors.__doc__ or ""
    tree = list(dict.fromkeys(re.findall(r"^[ │├└─]*(\w+Error)\b", text, re.MULTILINE)))
    assert sorted(tree) == sorted(errors.__all__)


def test_most_sections_say_more_than_a_class():
    for name, text in sections().items():
        assert len(text.split()) >= 8, name


@pytest.mark.parametrize(("name", "text"), QUOTED)
def test_each_quoted_text_is_in_the_source(name, text, texts):
    assert text in texts


# --- what some of the calls really raise ----------------------------------------------------------


def naive_time(cube):
    cube.dialogs.list(updated_at__gt=datetime(2026, 1, 1))


def no_session(cube):
    with ConnectyCube(config=cube.config) as other:
        other.dialogs.list()


def no_session_for_the_chat(cube):
    with ConnectyCube(config=cube.config) as other:
        other.chat.login()


def closed(cube):
    other = ConnectyCube(config=cube.config)
    other.close()
    other.users.get(1)


def plain_http(cube):
    cube.config.replace(api_url="http://example.org")


PROVOKED = {
    "ArgumentTypeError: must be an int, a user's id, or a User": lambda cube: (
        cube.chat.send_private("2", "x")
    ),
    "ArgumentTypeError: a signal cannot be called: use chat.": lambda cube: cube.chat.message_read(
        print
    ),
    "ArgumentTypeError: cannot be called as": lambda cube: cube.chat.message_read.connect(
        lambda message: None
    ),
    "ArgumentTypeError: did you mean": lambda cube: cube.messages.create(1, "x", attachmets=[]),
    "ArgumentValueError: is a naive datetime": naive_time,
    "ArgumentValueError: there is no session of a user": no_session_for_the_chat,
    "ArgumentValueError: api_url is plain http to": plain_http,
    "ArgumentValueError: is too large": lambda cube: cube.chat.send_private(2, "x" * 300_000),
    "ApiAuthenticationError: there is no session: call cube.login(": no_session,
    "ClientClosedError: this client is closed: make a new ConnectyCube": closed,
    "NotFoundError: this user has no dialog": lambda cube: cube.dialogs.get("6" * 24),
    "ChatError: is logged in to the chat: log out first": lambda cube: cube.chat.login(99, "x"),
    "ChatError: there are dead letters in durable mode alone": lambda cube: (
        cube.chat.dead_letters()
    ),
    "ChatTimeoutError: no event of": lambda cube: cube.chat.wait_for(
        cube.chat.message_received, timeout=0.01
    ),
    "StanzaError: the last activity of user": lambda cube: cube.chat.last_activity(99),
}


@pytest.fixture
def connected(emulator) -> Iterator[ConnectyCube]:
    emulator.add_user("provoker", "a password")
    with Person.with_session(emulator, "provoker", "a password").cube as cube:
        cube.chat.login()
        yield cube


@pytest.mark.parametrize("provoked", PROVOKED)
def test_a_call_raises_what_the_page_says(provoked, connected):
    name, words = provoked.split(": ", 1)
    with pytest.raises(ConnectyCubeError) as caught:
        PROVOKED[provoked](connected)
    assert type(caught.value).__name__ == name
    assert words in str(caught.value)
    assert any(words in text for text in [sections()[name]]), "the page quotes it"
