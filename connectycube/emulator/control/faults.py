"""Faults: what a program or the command line lets go wrong, for whom, and how often.

``FAULTS`` says what there is. The places where a fault acts ask ``Faults.take``, and only while any is on;
they are in ``xmpp/faulty.py``, ``xmpp/stream.py``, ``http_faults.py`` and where connections are accepted.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from attrs import field, frozen

from connectycube._checks import check_bool, check_int, check_number, check_one_of, check_str
from connectycube.errors import ArgumentTypeError, ArgumentValueError

__all__ = ["CHAT", "FAULTS", "REST", "STORAGE", "Fault", "Faults", "Kind", "Parameter"]

CHAT = "chat"
REST = "rest"
STORAGE = "storage"

_REQUIRED = object()
# The conditions of RFC 6120, 4.9.3.
_STREAM_ERRORS = (
    *("bad-format", "bad-namespace-prefix", "conflict", "connection-timeout", "host-gone"),
    *("host-unknown", "improper-addressing", "internal-server-error", "invalid-from"),
    *("invalid-namespace", "invalid-xml", "not-authorized", "not-well-formed", "policy-violation"),
    *("remote-connection-failed", "reset", "resource-constraint", "restricted-xml"),
    *("see-other-host", "system-shutdown", "undefined-condition", "unsupported-encoding"),
    *("unsupported-feature", "unsupported-stanza-type", "unsupported-version"),
)


@frozen
class Parameter:
    """One parameter of a fault: how a value is checked, how it is read from text, and its default."""

    check: Callable[[str, Any], Any]
    read: Callable[[str], Any]
    meaning: str
    default: Any = _REQUIRED

    @property
    def required(self) -> bool:
        """Whether it has no default."""
        return self.default is _REQUIRED


@frozen
class Kind:
    """One row of the table: where the fault acts, what it does, and what counts as one time."""

    sides: tuple[str, ...]
    meaning: str
    once: str
    parameters: Mapping[str, Parameter] = field(factory=dict)


def _seconds(name: str, value: Any) -> float:
    return check_number(name, value, least=0.0)


def _optional_seconds(name: str, value: Any) -> int | None:
    return None if value is None else check_int(name, value, least=0)


def _rate(name: str, value: Any) -> float:
    return check_number(name, value, least=1.0)


def _status(name: str, value: Any) -> int:
    return check_int(name, value, least=500, most=599)


def _condition(name: str, value: Any) -> Any:
    return check_one_of(name, value, _STREAM_ERRORS)


def _optional_bool(name: str, value: Any) -> bool | None:
    return None if value is None else check_bool(name, value)


def _yes_or_no(text: str) -> bool:
    if text not in ("yes", "no"):
        raise ValueError("it must be yes or no")
    return text == "yes"


FAULTS: dict[str, Kind] = {
    "drop": Kind(
        (CHAT, REST, STORAGE),
        "Resets the connection: of the chat now, and whenever one is bound or resumed; of REST and "
        "storage, instead of handling a request.",
        "a connection",
    ),
    "half_open": Kind(
        (CHAT, REST, STORAGE),
        "Answers nothing, and handles nothing, on connections that it accepts. A chat connection "
        "that fell silent stays so.",
        "a chat connection, a request",
    ),
    "delay": Kind(
        (CHAT, REST, STORAGE),
        "Lets what the emulator writes leave later.",
        "an element, an answer",
        {"seconds": Parameter(_seconds, float, "by how many seconds")},
    ),
    "throttle": Kind(
        (CHAT, REST, STORAGE),
        "Lets what the emulator writes leave slowly; an element or answer leaves with its last byte, "
        "the answer to an upload as if it were the file.",
        "an element, an answer",
        {"bytes_per_second": Parameter(_rate, float, "bytes per second, of each connection")},
    ),
    "duplicate": Kind((CHAT,), "Sends a stanza twice.", "a stanza"),
    "reorder": Kind(
        (CHAT,),
        "Lets two stanzas to the same connection change places; one that no other follows within a "
        "second is sent.",
        "two stanzas",
    ),
    "refuse": Kind(
        (CHAT, REST, STORAGE),
        "Resets new connections: at once; those to the chat of one user when they have "
        "authenticated, or bound the one connection's resource.",
        "a connection",
    ),
    "rate_limit": Kind(
        (REST,),
        "Answers 429.",
        "a request",
        {
            "retry_after": Parameter(
                _optional_seconds,
                int,
                "seconds in the header Retry-After; without: no header",
                None,
            )
        },
    ),
    "server_error": Kind(
        (REST, STORAGE),
        "Answers with a status from 500 to 599, and does nothing.",
        "a request",
        {"status": Parameter(_status, int, "the status", 500)},
    ),
    "expire_session": Kind(
        (REST,),
        "Ends the session whose token a request shows; it gets 401, Required session does not exist.",
        "a session",
    ),
    "stream_error": Kind(
        (CHAT,),
        "Ends the stream with an error: now, and whenever a connection is bound or resumed.",
        "a connection",
        {
            "condition": Parameter(_condition, str, "of RFC 6120, 4.9.3", "conflict"),
            "resumable": Parameter(
                check_bool,
                _yes_or_no,
                "whether the session can be resumed afterwards",
                False,
            ),
        },
    ),
    "stop_acknowledging": Kind(
        (CHAT,), "Does not answer `<r/>` (XEP-0198); stanzas are handled.", "a request"
    ),
    "refuse_resume": Kind(
        (CHAT,),
        "Ends the session that a client wants to resume, with `<failed/>`.",
        "a session",
        {
            "h": Parameter(
                _optional_bool, _yes_or_no, "whether `<failed/>` has `h`; without: the switch", None
            )
        },
    ),
}
"""Every fault by its name."""


class Fault:
    """One fault that was started; as a context manager it ends with the block.

    Every method may be called from any thread.
    """

    def __init__(
        self,
        faults: Faults,
        name: str,
        parameters: Mapping[str, Any],
        *,
        user: int | str | None,
        connection: str | None,
        sides: tuple[str, ...],
        times: int | None,
    ) -> None:
        self.name = name
        self.parameters = dict(parameters)
        self.user = user
        self.connection = connection
        self.sides = sides
        self.times = times
        self._faults = faults
        self._used = 0
        self._changed = threading.Condition()

    def __repr__(self) -> str:
        of = "all" if self.user is None else f"user {self.user}"
        return f"<Fault {self.name} of {of}: {self._used} times>"

    def __enter__(self) -> Fault:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def used(self) -> int:
        """How many times it has acted."""
        return self._used

    @property
    def is_on(self) -> bool:
        """Whether it can still act."""
        return self in self._faults.active

    def stop(self) -> None:
        """Take it back: it does not act once this has returned. Nothing if it is over."""
        self._faults.end(self)

    def wait(self, times: int = 1, timeout: float = 10.0) -> None:
        """Wait until it has acted so many times; raise TimeoutError after ``timeout`` seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._used >= times, timeout):
                raise TimeoutError(f"{self.name} has acted {self._used} times, not {times}")

    def use(self) -> None:
        """Count one time; the last one ends it."""
        with self._changed:
            self._used += 1
            self._changed.notify_all()
        if self._used == self.times:
            self._faults.remove(self)


class Faults:
    """The faults of one emulator; those that are on survive a stop and start of it.

    ``faults.rate_limit(retry_after=2, times=3, user=alice)`` starts one and returns it; so does every
    other name of the table. Common parameters: ``user``, an id or a login (None: all); ``connection``, the
    resource of a chat connection or the token of a REST session; ``on``, "chat", "rest" or "storage" alone;
    ``times``, after which it is over (None: never). A request belongs to the user of its token, a chat
    connection to nobody before it has authenticated. Every method may be called from any thread.
    """

    def __init__(self, run: Callable[[Callable[[], None]], None]) -> None:
        self.active: tuple[Fault, ...] = ()
        """Those that are on, oldest first: empty on almost every look."""
        self._run = run
        self._lock = threading.Lock()
        self.started: Callable[[Fault], None] = _nothing
        self.ended: Callable[[Fault], None] = _nothing
        self.user_with_login: Callable[[str], int | None] = lambda login: None

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *FAULTS]

    def __getattr__(self, name: str) -> Callable[..., Fault]:
        if name not in FAULTS:
            raise AttributeError(f"there is no fault {name}; there are {', '.join(FAULTS)}")
        return lambda **parameters: self.start(name, **parameters)

    def start(
        self,
        name: str,
        *,
        user: int | str | None = None,
        connection: str | None = None,
        on: str | None = None,
        times: int | None = None,
        **parameters: Any,
    ) -> Fault:
        """Start the fault with this name; when this returns it acts.

        Raises ArgumentValueError or ArgumentTypeError, which name what is wrong and what is known.
        """
        kind = _kind(name)
        if isinstance(user, str):
            check_str("user", user)
        elif user is not None:
            check_int("user", user, least=1)
        if connection is not None:
            check_str("connection", connection)
        if on is not None:
            check_one_of("on", on, kind.sides)
        if times is not None:
            check_int("times", times, least=1)
        fault = Fault(
            self,
            name,
            _checked(name, kind, parameters),
            user=user,
            connection=connection,
            sides=kind.sides if on is None else (on,),
            times=times,
        )
        self._run(lambda: self._begin(fault))
        return fault

    def start_text(self, text: str) -> Fault:
        """Start the fault that ``text`` describes: ``NAME`` or ``NAME:KEY=VALUE,KEY=VALUE…``.

        The keys are the parameters of ``start``; a boolean is yes or no. Raises like ``start``.
        """
        name, _, rest = check_str("fault", text).partition(":")
        kind = _kind(name)
        readers: dict[str, Callable[[str], Any]] = {
            **{key: parameter.read for key, parameter in kind.parameters.items()},
            "user": lambda value: int(value) if value.isdecimal() else value,
            "connection": str,
            "on": str,
            "times": int,
        }
        given: dict[str, Any] = {}
        for pair in rest.split(",") if rest else ():
            key, equals, value = pair.partition("=")
            if not equals or key not in readers:
                raise ArgumentValueError(
                    f"fault {text!r}: {pair!r} is not KEY=VALUE with one of {', '.join(readers)}"
                )
            if key in given:
                raise ArgumentValueError(f"fault {text!r}: {key} is given twice")
            try:
                given[key] = readers[key](value)
            except ValueError as error:
                raise ArgumentValueError(f"fault {text!r}: {key}: {error}") from None
        return self.start(name, **given)

    def stop_all(self) -> None:
        """Take all faults back."""
        for fault in self.active:
            self.end(fault)

    # --- for the emulator, on its thread ------------------------------------------------------------

    def find(
        self, name: str, side: str, user_id: int | None = None, connection: str | None = None
    ) -> Fault | None:
        """Return the oldest fault of this name that is on for a connection of a user."""
        for fault in self.active:
            is_wanted = fault.name == name and side in fault.sides
            if is_wanted and self.concerns(fault, user_id, connection):
                return fault
        return None

    def take(
        self, name: str, side: str, user_id: int | None = None, connection: str | None = None
    ) -> Fault | None:
        """Like ``find``, and count one time."""
        fault = self.find(name, side, user_id, connection)
        if fault is not None:
            fault.use()
        return fault

    def concerns(self, fault: Fault, user_id: int | None, connection: str | None) -> bool:
        """Whether a fault is about this connection of this user; None is what is not known yet."""
        if fault.connection is not None and fault.connection != connection:
            return False
        if fault.user is None:
            return True
        if isinstance(fault.user, str):
            return user_id is not None and self.user_with_login(fault.user) == user_id
        return fault.user == user_id

    def end(self, fault: Fault) -> None:
        """End a fault, from any thread."""
        self._run(lambda: self.remove(fault))

    def remove(self, fault: Fault) -> None:
        """End a fault."""
        with self._lock:
            was_on = fault in self.active
            self.active = tuple(other for other in self.active if other is not fault)
        if was_on:
            self.ended(fault)

    def _begin(self, fault: Fault) -> None:
        with self._lock:
            self.active = (*self.active, fault)
        self.started(fault)


def _nothing(fault: Fault) -> None:
    """Nobody is connected while the emulator does not run."""


def _kind(name: object) -> Kind:
    kind = FAULTS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise ArgumentValueError(f"fault must be one of {', '.join(FAULTS)}, not {name!r}")
    return kind


def _checked(name: str, kind: Kind, given: Mapping[str, Any]) -> dict[str, Any]:
    unknown = [key for key in given if key not in kind.parameters]
    if unknown:
        known = [*kind.parameters, "user", "connection", "on", "times"]
        raise ArgumentTypeError(f"{name} has no parameter {unknown[0]}; it has {', '.join(known)}")
    values = {}
    for key, parameter in kind.parameters.items():
        if key not in given and parameter.required:
            raise ArgumentTypeError(f"{name} needs {key}: {parameter.meaning}")
        value = given.get(key, parameter.default)
        values[key] = parameter.check(key, value)
    return values
