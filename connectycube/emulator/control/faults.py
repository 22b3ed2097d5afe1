"""Faults: failures that a program or the command line asks for, by user, connection and number of times.

``FAULTS`` is the table of faults. The code that applies a fault calls ``Faults.take``, and only while any
fault is on. It is in ``xmpp/faulty.py``, ``xmpp/stream.py``, ``net/http_faults.py`` and in the servers, which
refuse connections.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypedDict

from attrs import field, frozen

from connectycube._checks import check_bool, check_int, check_number, check_one_of, check_str
from connectycube._containers import AnyDict
from connectycube.errors import ArgumentTypeError, ArgumentValueError

from ..domain.values import yes_or_no

if TYPE_CHECKING:
    from typing_extensions import Unpack  # mypy brings it; nothing imports it at run time

__all__ = [
    "CHAT",
    "FAULTS",
    "REST",
    "STORAGE",
    "Fault",
    "FaultArguments",
    "FaultKind",
    "Faults",
    "Parameter",
]

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
    """One parameter of a fault: how to check a value, how to read it from text, default and choices."""

    check: Callable[[str, Any], Any]
    read: Callable[[str], Any]
    meaning: str
    default: Any = _REQUIRED
    choices: Sequence[str] = ()

    @property
    def required(self) -> bool:
        """Whether the parameter has no default."""
        return self.default is _REQUIRED


@frozen
class FaultKind:
    """One row of the table: the sides on which the fault acts, its effect, and the event that is counted."""

    sides: tuple[str, ...]
    meaning: str
    once: str
    parameters: Mapping[str, Parameter] = field(factory=AnyDict)


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


FAULTS: dict[str, FaultKind] = {
    "drop": FaultKind(
        (CHAT, REST, STORAGE),
        "Resets connections: those of the chat at once, and whenever one is bound or resumed; those of "
        "REST and storage instead of handling a request.",
        "a connection",
    ),
    "half_open": FaultKind(
        (CHAT, REST, STORAGE),
        "Accepts connections, but neither handles nor answers anything on them. A chat connection "
        "that has become silent stays silent.",
        "a chat connection, a request",
    ),
    "delay": FaultKind(
        (CHAT, REST, STORAGE),
        "Delays everything that the emulator writes.",
        "an element, an answer",
        {"seconds": Parameter(_seconds, float, "by how many seconds")},
    ),
    "throttle": FaultKind(
        (CHAT, REST, STORAGE),
        "Slows down everything that the emulator writes. An element or answer is sent when its last "
        "byte is due; the answer to an upload takes as long as the file would.",
        "an element, an answer",
        {"bytes_per_second": Parameter(_rate, float, "bytes per second, of each connection")},
    ),
    "duplicate": FaultKind((CHAT,), "Sends a stanza twice.", "a stanza"),
    "reorder": FaultKind(
        (CHAT,),
        "Swaps two stanzas to the same connection. A stanza that no other follows within a second is "
        "sent.",
        "two stanzas",
    ),
    "refuse": FaultKind(
        (CHAT, REST, STORAGE),
        "Resets new connections: at once, or for one user when a chat connection has authenticated, or "
        "for one chat connection when it has bound its resource.",
        "a connection",
    ),
    "rate_limit": FaultKind(
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
    "server_error": FaultKind(
        (REST, STORAGE),
        "Answers a request with a status from 500 to 599 instead of handling it.",
        "a request",
        {"status": Parameter(_status, int, "the status", 500)},
    ),
    "expire_session": FaultKind(
        (REST,),
        "Ends the session of a request, which is answered with 401, Required session does not exist.",
        "a session",
    ),
    "stream_error": FaultKind(
        (CHAT,),
        "Ends streams with an error: at once, and whenever a connection is bound or resumed.",
        "a connection",
        {
            "condition": Parameter(
                _condition, str, "of RFC 6120, 4.9.3", "conflict", _STREAM_ERRORS
            ),
            "resumable": Parameter(
                check_bool,
                yes_or_no,
                "whether the session can be resumed afterwards",
                False,
            ),
        },
    ),
    "stop_acknowledging": FaultKind(
        (CHAT,), "Does not answer `<r/>` (XEP-0198); stanzas are handled.", "a request"
    ),
    "refuse_resume": FaultKind(
        (CHAT,),
        "Ends the session that a client wants to resume, and answers `<failed/>`.",
        "a session",
        {
            "h": Parameter(
                _optional_bool, yes_or_no, "whether `<failed/>` has `h`; without: the switch", None
            )
        },
    ),
}
"""Every fault by its name."""


class Fault:
    """One fault that was started. As a context manager it ends with the block.

    Every method may be called from any thread.

    Attributes:
        id: The number of the fault among those of its emulator, from 1.
        name: The name in the table of faults.
        parameters: The values of the fault's parameters by name.
        user: The user that the fault is limited to, an id or a login; None: all users.
        connection: The chat resource or the REST token that it is limited to; None: all connections.
        sides: The sides on which it acts: "chat", "rest" and "storage", or some of them.
        times: How many times it acts; None: until it is stopped.

    Example:
        >>> with emulator.faults.rate_limit(retry_after=0, times=1, user=cube.user.id) as fault:
        ...     user = cube.users.get(bob_id)  # is answered 429, and repeated
        >>> fault.used
        1
    """

    def __init__(
        self,
        faults: Faults,
        fault_id: int,
        name: str,
        parameters: Mapping[str, Any],
        *,
        user: int | str | None,
        connection: str | None,
        sides: tuple[str, ...],
        times: int | None,
    ) -> None:
        self.id = fault_id
        self.name = name
        self.parameters: dict[str, Any] = dict(parameters)
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
        """How many times the fault has acted."""
        return self._used

    @property
    def is_on(self) -> bool:
        """Whether the fault can still act."""
        return self in self._faults.active

    def stop(self) -> None:
        """End the fault, if it has not ended already. It does not act any more when this returns."""
        self._faults.end(self)

    def wait(self, times: int = 1, timeout: float = 10.0) -> None:
        """Wait until the fault has acted.

        Args:
            times: How many times it must have acted since it was started.
            timeout: The longest wait in seconds.

        Raises:
            TimeoutError: The fault has not acted so many times.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._used >= times, timeout):
                raise TimeoutError(f"{self.name} has acted {self._used} times, not {times}")

    def use(self) -> None:
        """Count one time; the last time ends the fault. The emulator calls it."""
        with self._changed:
            self._used += 1
            self._changed.notify_all()
        # Outside the lock: the end of a fault may send the stanzas that it has held back.
        if self._used == self.times:
            self._faults.remove(self)


class FaultArguments(TypedDict, total=False):
    """The arguments that all faults have in common."""

    user: int | str | None
    connection: str | None
    on: str | None
    times: int | None


class Faults:
    """The faults of one emulator; a fault stays on when the emulator stops and starts again.

    ``faults.rate_limit(retry_after=2, times=3, user=alice)`` starts a fault and returns it. There is such a
    method for every fault of the table; it takes the fault's own parameters and the common ones of
    ``start``. A program gets this object from ``Emulator.faults``. Every method may be called from any
    thread.

    Example:
        >>> fault = emulator.faults.server_error(on="rest", user=cube.user.id, times=1)
        >>> try:
        ...     cube.messages.create(group, "Hello")
        ... except ServerError as error:
        ...     print(error.status)
        500
    """

    def __init__(self, run: Callable[[Callable[[], None]], None]) -> None:
        # A tuple that is replaced, so the emulator's thread reads it without the lock.
        self.active: tuple[Fault, ...] = ()
        """The faults that are on, oldest first; nearly always empty, which the caller checks first."""
        self._run = run
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self.started: Callable[[Fault], None] = _nothing
        self.ended: Callable[[Fault], None] = _nothing
        self.user_with_login: Callable[[str], int | None] = lambda login: None

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *FAULTS]

    if TYPE_CHECKING:  # the methods of the table

        def drop(self, **common: Unpack[FaultArguments]) -> Fault:
            """Resets connections."""
            ...

        def half_open(self, **common: Unpack[FaultArguments]) -> Fault:
            """Accepts connections."""
            ...

        def delay(self, *, seconds: float, **common: Unpack[FaultArguments]) -> Fault:
            """Delays everything that the emulator writes."""
            ...

        def throttle(self, *, bytes_per_second: float, **common: Unpack[FaultArguments]) -> Fault:
            """Slows down everything that the emulator writes."""
            ...

        def duplicate(self, **common: Unpack[FaultArguments]) -> Fault:
            """Sends a stanza twice."""
            ...

        def reorder(self, **common: Unpack[FaultArguments]) -> Fault:
            """Swaps two stanzas to the same connection."""
            ...

        def refuse(self, **common: Unpack[FaultArguments]) -> Fault:
            """Resets new connections."""
            ...

        def rate_limit(
            self, *, retry_after: int | None = None, **common: Unpack[FaultArguments]
        ) -> Fault:
            """Answers 429."""
            ...

        def server_error(self, *, status: int = 500, **common: Unpack[FaultArguments]) -> Fault:
            """Answers a request with a status from 500 to 599 instead of handling it."""
            ...

        def expire_session(self, **common: Unpack[FaultArguments]) -> Fault:
            """Ends the session of a request."""
            ...

        def stream_error(
            self,
            *,
            condition: str = "conflict",
            resumable: bool = False,
            **common: Unpack[FaultArguments],
        ) -> Fault:
            """Ends streams with an error."""
            ...

        def stop_acknowledging(self, **common: Unpack[FaultArguments]) -> Fault:
            """Does not answer ``<r/>`` (XEP-0198)."""
            ...

        def refuse_resume(
            self, *, h: bool | None = None, **common: Unpack[FaultArguments]
        ) -> Fault:
            """Ends the session that a client wants to resume."""
            ...

    else:

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
        **parameters: float | str | bool | None,
    ) -> Fault:
        """Start a fault; it acts when this returns.

        Args:
            name: The name in the table of faults.
            user: The user to limit the fault to, an id or a login; None: all users. A request belongs to
                the user of its token, and a chat connection to no user before it has authenticated.
            connection: The resource of a chat connection, or the token of a REST session, to limit the
                fault to; None: all connections.
            on: "chat", "rest" or "storage" to limit the fault to one side; None: all sides of the fault.
            times: How many times the fault acts; None: until it is stopped.
            **parameters: The fault's own parameters.

        Returns:
            The fault.

        Raises:
            ArgumentTypeError: A parameter is missing or unknown, or has the wrong type.
            ArgumentValueError: There is no such fault, or a parameter has a wrong value.
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
            next(self._ids),
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
        """Start a fault that is described by text, as on the command line.

        Args:
            text: ``NAME`` or ``NAME:KEY=VALUE,KEY=VALUE…``. The keys are the parameters of ``start``; a
                boolean is yes or no.

        Returns:
            The fault.

        Raises:
            ArgumentTypeError: A parameter is missing or unknown.
            ArgumentValueError: There is no such fault, or a value is wrong.
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
        """End all faults."""
        for fault in self.active:
            self.end(fault)

    # --- for the emulator, on its thread ------------------------------------------------------------

    def find(
        self, name: str, side: str, user_id: int | None = None, connection: str | None = None
    ) -> Fault | None:
        """Return the oldest fault of this name that concerns a connection of a user."""
        for fault in self.active:
            is_wanted = fault.name == name and side in fault.sides
            if is_wanted and self.concerns(fault, user_id, connection):
                return fault
        return None

    def take(
        self, name: str, side: str, user_id: int | None = None, connection: str | None = None
    ) -> Fault | None:
        """Return the same fault as ``find``, and count one time."""
        fault = self.find(name, side, user_id, connection)
        if fault is not None:
            fault.use()
        return fault

    def concerns(self, fault: Fault, user_id: int | None, connection: str | None) -> bool:
        """Whether a fault concerns this connection of this user; None: not known yet."""
        if fault.connection is not None and fault.connection != connection:
            return False
        if fault.user is None:
            return True
        if isinstance(fault.user, str):
            return user_id is not None and self.user_with_login(fault.user) == user_id
        return fault.user == user_id

    def end(self, fault: Fault) -> None:
        """End a fault; may be called from any thread."""
        self._run(lambda: self.remove(fault))

    def remove(self, fault: Fault) -> None:
        """End a fault; to be called on the emulator's thread."""
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
    """Do nothing: no client is connected while the emulator does not run."""


def _kind(name: object) -> FaultKind:
    kind = FAULTS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise ArgumentValueError(f"fault must be one of {', '.join(FAULTS)}, not {name!r}")
    return kind


def _checked(name: str, kind: FaultKind, given: Mapping[str, Any]) -> dict[str, Any]:
    unknown = [key for key in given if key not in kind.parameters]
    if unknown:
        known = [*kind.parameters, "user", "connection", "on", "times"]
        raise ArgumentTypeError(f"{name} has no parameter {unknown[0]}; it has {', '.join(known)}")
    values: dict[str, Any] = {}
    for key, parameter in kind.parameters.items():
        if key not in given and parameter.required:
            raise ArgumentTypeError(f"{name} needs {key}: {parameter.meaning}")
        value = given.get(key, parameter.default)
        values[key] = parameter.check(key, value)
    return values
