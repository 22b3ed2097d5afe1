"""No secret of a test is in anything that the package shows: each test is looked through at its end.

No log record of the package is long or has several lines either, whatever a peer sent.

The secrets are those that the test itself uses: what the package is given as a secret, the tokens of its
sessions, the keys of its configurations and the passwords of the emulator's users. Short ones cannot be told
from other words, so credentials that many tests share hold :data:`MARK`.

Looked through are the errors of the package with the locals of the frames that they passed, their pickles and
those of the errors that they are chained to; log records from DEBUG on; names of threads; the files of
durable mode; the spans, metrics and reports of those who watch. Warnings are errors here. What a test prints
is not searched: the emulator prints its keys.
"""

from __future__ import annotations

import functools
import io
import logging
import pickle
import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

import pytest

from connectycube import Config
from connectycube._secrets import Secret
from connectycube.emulator import Emulator
from connectycube.errors import ConnectyCubeError
from connectycube.rest._session import SessionState

MARK = "5ec4e7c0de"
"""A part of every credential that many tests share."""

_SHORTEST = 12  # a shorter secret without the mark may be a part of other texts
_TESTS = str(Path(__file__).parents[1])
_OTHERS = ("_pytest", "pluggy", "pytest", "unittest", "hypothesis", "pdb", "xdist", "execnet")
_LONGEST_RECORD = 2_500  # characters; docs/security.md bounds each text of others in a record
_SQLITE = b"SQLite format 3\0"


class Canaries:
    """The secrets of one test, and where one of them was seen."""

    def __init__(self) -> None:
        self.secrets = {MARK}
        self.hits: list[str] = []
        self.wild: list[str] = []
        """Records of the log that are too long, or have several lines."""
        self.errors: deque[BaseException] = deque(maxlen=200)

    def learn(self, secret: object) -> None:
        """Take a secret, if it can be told from other texts."""
        if isinstance(secret, str) and len(secret) >= _SHORTEST:
            self.secrets.add(secret)

    def look_at(self, where: str, text: str) -> None:
        """Note the place if the text holds a secret."""
        if any(secret in text for secret in tuple(self.secrets)):
            self.hits.append(where)

    def look_at_error(self, error: BaseException) -> None:
        """Look through an error and those that it is chained to, with the frames of all of them."""
        chain = [error]
        for each in chain:  # the list grows while it is read
            name = type(each).__name__
            self.look_at(f"{name}: text", f"{each} {each!r} {each.args!r}")
            self.look_at(f"{name}: attributes", repr(vars(each)))
            for frame in _frames(each):
                self._look_at_frame(name, frame)
            inner = (each.__cause__, each.__context__)
            chain += [other for other in inner if other is not None and other not in chain]
        self.look_at(f"{type(error).__name__}: pickle", _pickled(error))

    def _look_at_frame(self, name: str, frame: FrameType) -> None:
        code = frame.f_code
        for variable, value in frame.f_locals.items():
            where = (
                f"{name}: local {variable} of {code.co_name} ({code.co_filename}:{frame.f_lineno})"
            )
            self.look_at(where, _shown(value))

    def look_at_record(self, record: logging.LogRecord) -> None:
        """Look through a log record, with its traceback."""
        where, text = f"log of {record.name}", record.getMessage()
        if record.name.startswith("connectycube") and (
            len(text) > _LONGEST_RECORD or not text.isprintable()
        ):
            self.wild.append(f"{where}, {len(text)} characters: {text[:200]!r}")
        self.look_at(where, f"{text} {record.args!r} {record.threadName}")
        if record.exc_info and record.exc_info[1] is not None:
            self.look_at_error(record.exc_info[1])

    def look_at_files(self, folder: Path) -> None:
        """Look through the durable stores in a folder; the emulator's database holds what it must check."""
        for path in folder.rglob("*"):
            if path.is_file() and not path.name.startswith("state.db"):
                content = path.read_bytes()
                if content.startswith(_SQLITE) or path.name.endswith("-wal"):
                    self.look_at(f"file {path.name}", content.decode("latin-1"))


def _frames(error: BaseException) -> Iterator[FrameType]:
    """Yield the frames in a traceback, without those of the tests: their locals are what they use."""
    entry = error.__traceback__
    while entry is not None:
        module = str(entry.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
        file = entry.tb_frame.f_code.co_filename
        if not file.startswith(_TESTS) and module not in _OTHERS:
            yield entry.tb_frame
        entry = entry.tb_next


def _shown(value: object) -> str:
    try:
        return repr(value)
    except Exception as error:
        return repr(error)


def _pickled(error: BaseException) -> str:
    file = io.BytesIO()
    try:
        pickle.Pickler(file).dump(error)
    except Exception:
        pass  # what was written before the failure is looked at
    return file.getvalue().decode("latin-1")


_current = Canaries()


def look_at(where: str, text: str) -> None:
    """Look through what the package gave to a program that watches it."""
    _current.look_at(where, text)


class _Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        _current.look_at_record(record)


def _before(owner: Any, name: str, look: Callable[..., object], patch: pytest.MonkeyPatch) -> None:
    """Call ``look`` with the arguments of a method before each call of it."""
    original = getattr(owner, name)

    @functools.wraps(original)
    def call(*arguments: Any, **keywords: Any) -> Any:
        look(*arguments, **keywords)
        return original(*arguments, **keywords)

    patch.setattr(owner, name, call)


def _init_and_remember(error: ConnectyCubeError, *arguments: object) -> None:
    super(ConnectyCubeError, error).__init__(*arguments)
    _current.errors.append(error)


def pytest_configure(config: pytest.Config) -> None:
    """Listen where secrets enter the package, and where errors and logs leave it."""
    patch = pytest.MonkeyPatch()
    config.add_cleanup(patch.undo)

    def of_config(config: object, *, auth_key: object = None, **fields: Any) -> None:
        # Of a proxy's URL only the password: errors name the proxy.
        password = urlsplit(str(fields.get("proxy") or "")).password
        for secret in (auth_key, fields.get("auth_secret"), fields.get("admin_key"), password):
            _current.learn(secret)

    _before(Secret, "__init__", lambda secret, value: _current.learn(value), patch)
    _before(Config, "__init__", of_config, patch)
    _before(SessionState, "adopt", lambda state, session, *_: _current.learn(session.token), patch)
    _before(
        Emulator, "add_user", lambda emulator, login, password, **_: _current.learn(password), patch
    )
    _before(
        threading.Thread,
        "start",
        lambda thread: _current.look_at("name of a thread", thread.name),
        patch,
    )
    patch.setattr(ConnectyCubeError, "__init__", _init_and_remember)


@pytest.fixture(autouse=True)
def _no_secret_is_shown(
    request: pytest.FixtureRequest, _nothing_left_behind: None
) -> Iterator[None]:
    """Fail a test in which the package showed a secret. It ends before the guard against leaks looks."""
    global _current
    outer, found = _current, Canaries()  # a test of this guard runs a test inside
    _current = found
    has_folder = "tmp_path" in request.fixturenames
    folder = request.getfixturevalue("tmp_path") if has_folder else None
    handler = _Handler(logging.NOTSET)
    loggers = [logging.getLogger(name) for name in ("connectycube", "urllib3")]
    with pytest.MonkeyPatch.context() as patch:
        for logger in loggers:
            logger.addHandler(handler)
            if "caplog" not in request.fixturenames:  # that test has chosen its levels
                patch.setattr(logger, "level", logging.DEBUG)
                logger.manager._clear_cache()  # type: ignore[attr-defined]
        yield
        for logger in loggers:
            logger.removeHandler(handler)
    loggers[0].manager._clear_cache()  # type: ignore[attr-defined]
    _current = outer
    while found.errors:
        found.look_at_error(found.errors.popleft())
    if folder is not None:
        found.look_at_files(folder)
    if found.hits:
        places = "\n  ".join(dict.fromkeys(found.hits))
        pytest.fail(f"a secret is shown in:\n  {places}", pytrace=False)
    if found.wild:
        pytest.fail(f"wild records in the log: {found.wild}", pytrace=False)
