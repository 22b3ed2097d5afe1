"""Verbs: the actions of the control API, which are the members of ``Emulator`` with JSON in and out.

``VERBS`` is the table. A verb has the name and the arguments that it has in Python; each calls the public
member of ``Emulator``, so that the two do the same.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from attrs import asdict, frozen

from connectycube._checks import check_bool, check_int, check_list, check_str
from connectycube._containers import AnyDict
from connectycube.errors import ArgumentTypeError, ArgumentValueError

from ..control.exchanges import Exchange
from ..control.faults import FAULTS, Fault
from ..domain.values import LARGEST_INTEGER, yes_or_no
from ..settings import SWITCHES
from .exports import export_lines

__all__ = [
    "STREAM",
    "VERBS",
    "ControlApi",
    "Verb",
    "clock_json",
    "exchange_json",
    "faults_json",
    "switches_json",
]

Emulator = Any
"""The class of that name, whose module imports this one."""


@frozen
class Verb:
    """One row of the table: a method and a path, the meaning of the verb, and the function that runs it.

    The function gets the emulator, the JSON of the body and the last part of the path, where the table has
    ``{id}``.
    """

    method: str
    path: str
    meaning: str
    run: Callable[[Emulator, Any, str], Any]


def _call(function: Callable[..., Any], body: Any) -> Any:
    """Call a method of the emulator with the body as its arguments."""
    arguments, signature = _object(body), inspect.signature(function)
    try:
        signature.bind(**arguments)
    except TypeError as error:
        raise ArgumentTypeError(f"{error}; there are {', '.join(signature.parameters)}") from None
    for name in arguments.keys() & signature.parameters.keys():
        _check(name, arguments[name], signature.parameters[name].annotation)
    return function(**arguments)


def _check(name: str, value: Any, annotation: str) -> None:
    """Check a value by the annotation of its parameter; the members check other types themselves."""
    if value is None and annotation.endswith(" | None"):
        return
    kind = annotation.removesuffix(" | None")
    if kind == "str":
        check_str(name, value)
    elif kind == "bool":
        check_bool(name, value)
    elif kind == "int":
        check_int(name, value, least=-LARGEST_INTEGER, most=LARGEST_INTEGER)
    elif kind in ("Iterable[int]", "Sequence[int]"):
        for each in check_list(name, value, "ids of users"):
            check_int(name, each, least=-LARGEST_INTEGER, most=LARGEST_INTEGER)


def _object(body: Any) -> dict[str, Any]:
    if not isinstance(body, AnyDict):
        raise ArgumentTypeError(f"the body must be a JSON object, not {type(body).__name__}")
    return body


def _method(name: str, meaning: str) -> Verb:
    return Verb(
        "POST", name, meaning, lambda emulator, body, _: _call(getattr(emulator, name), body)
    )


# --- verbs that are not one method of Emulator ---------------------------------------------------------


def clock_json(emulator: Emulator, *_: Any) -> dict[str, float]:
    """Write the clock."""
    return {"time": emulator.clock.time(), "advanced": emulator.clock.advanced}


def _advance(emulator: Emulator, body: Any, _: str) -> dict[str, float]:
    _call(emulator.clock.advance, body)
    return clock_json(emulator)


def _load(emulator: Emulator, body: Any, _: str) -> dict[str, Any]:
    return asdict(emulator.load(_object(body)))  # _object(): never the path of a file


def _pushes(emulator: Emulator, *_: Any) -> list[dict[str, Any]]:
    return [asdict(push) for push in emulator.pushes]


def faults_json(emulator: Emulator, *_: Any) -> list[dict[str, Any]]:
    """Write the faults that are on."""
    return [_fault_json(fault) for fault in emulator.faults.active]


def _start_fault(emulator: Emulator, body: Any, _: str) -> dict[str, Any]:
    arguments = _object(body)
    if "text" in arguments:
        return _fault_json(_call(emulator.faults.start_text, arguments))
    return _fault_json(_call(emulator.faults.start, arguments))


def _stop_faults(emulator: Emulator, *_: Any) -> None:
    emulator.faults.stop_all()


def _stop_fault(emulator: Emulator, body: Any, fault_id: str) -> dict[str, Any]:
    for fault in emulator.faults.active:
        if str(fault.id) == fault_id:
            fault.stop()
            return _fault_json(fault)
    raise LookupError(f"no fault {fault_id} is on")


def _fault_json(fault: Fault) -> dict[str, Any]:
    return {
        "id": fault.id,
        "name": fault.name,
        **fault.parameters,
        "user": fault.user,
        "connection": fault.connection,
        "on": list(fault.sides),
        "times": fault.times,
        "used": fault.used,
    }


def switches_json(emulator: Emulator, *_: Any) -> dict[str, Any]:
    """Write the value of each switch that can be written."""
    return {name: value for name, value in emulator.switches.items() if SWITCHES[name].is_text}


def _set_switches(emulator: Emulator, body: Any, _: str) -> dict[str, Any]:
    values = _object(body)
    for name in values:
        if name in SWITCHES and not SWITCHES[name].is_text:
            raise ArgumentTypeError(
                f"{name} may be a function, so only the program that starts the emulator can set it"
            )
    emulator.set_switches(**values)
    return switches_json(emulator)


def _forms(*_: Any) -> dict[str, Any]:
    """Write the table of faults and that of switches, with all that a form has to know."""
    faults = [
        {
            "name": name,
            "meaning": kind.meaning,
            "sides": list(kind.sides),
            "once": kind.once,
            "parameters": [
                {
                    "name": key,
                    "meaning": parameter.meaning,
                    "type": _type_of(parameter.read, parameter.choices),
                    "choices": list(parameter.choices),
                    "required": parameter.required,
                    "default": None if parameter.required else parameter.default,
                }
                for key, parameter in kind.parameters.items()
            ],
        }
        for name, kind in FAULTS.items()
    ]
    switches = [
        {
            "name": name,
            "meaning": switch.meaning,
            "type": _type_of(switch.form.read, switch.form.choices),
            "choices": list(switch.form.choices),
            "default": switch.default,
        }
        for name, switch in SWITCHES.items()
        if switch.is_text
    ]
    return {"faults": faults, "switches": switches}


_TYPES = {float: "number", int: "whole number", str: "text", yes_or_no: "boolean"}


def _type_of(read: Any, choices: Any) -> str:
    """Return the type of a value by the function that reads it from text; others are texts with commas."""
    return "choice" if choices else _TYPES.get(read, "texts")


def exchange_json(exchange: Exchange, *, brief: bool = False) -> dict[str, Any]:
    """Write an exchange; ``brief``: without headers and bodies."""
    values = asdict(exchange)
    if brief:
        for name in ("request_headers", "request", "answer_headers", "answer"):
            del values[name]
    elif exchange.url is not None:
        values["curl"] = exchange.curl()
    return values


def _exchanges(emulator: Emulator, body: Any, _: str) -> list[dict[str, Any]]:
    arguments = dict(_object(body))
    brief = check_bool("brief", arguments.pop("brief", False))
    found = _call(emulator.exchanges.find, arguments)
    return [exchange_json(each, brief=brief) for each in found]


def _exchange(emulator: Emulator, body: Any, exchange_id: str) -> dict[str, Any]:
    if not exchange_id.isdecimal():
        raise LookupError(f"the log has no exchange {exchange_id}")
    return exchange_json(emulator.exchanges.get(int(exchange_id)))


def _record(emulator: Emulator, body: Any, _: str) -> dict[str, Any]:
    arguments = _object(body)
    if arguments.keys() != {"recording"}:
        raise ArgumentTypeError('the body must be {"recording": true} or {"recording": false}')
    if check_bool("recording", arguments["recording"]):
        emulator.exchanges.record()
    else:
        emulator.exchanges.stop()
    return _log_json(emulator)


def _log_json(emulator: Emulator, *_: Any) -> dict[str, Any]:
    log = emulator.exchanges
    return {"recording": log.recording, "active": log.active, "left_out": log.left_out}


def _clear(emulator: Emulator, *_: Any) -> None:
    emulator.exchanges.clear()


def _no_stream(*_: Any) -> None:
    raise ArgumentValueError("events are a stream, which the server writes")


STREAM = Verb(
    "GET",
    "events",
    "[Events](#events) as they happen, without an end; `events?exchanges=yes` with exchanges.",
    _no_stream,
)
"""The verb that the server answers with a stream."""


VERBS = (
    Verb(
        "GET",
        "health",
        "Answers once the emulator runs; needs no token.",
        lambda emulator, body, last: "ok",
    ),
    Verb(
        "GET",
        "environment",
        "The variables that `from_env()` reads.",
        lambda emulator, body, last: emulator.environment(),
    ),
    _method("reset", "Deletes all state; faults end, clock and switches are as at the start."),
    Verb("GET", "clock", "The time in unix seconds, and by how much it was moved.", clock_json),
    Verb("POST", "clock/advance", "Moves the clock forward by `seconds`.", _advance),
    Verb("GET", "faults", "The faults that are on.", faults_json),
    Verb("POST", "faults", "Starts a fault: `name` and its parameters, or `text`.", _start_fault),
    Verb("DELETE", "faults", "Ends all faults.", _stop_faults),
    Verb("DELETE", "faults/{id}", "Ends one fault.", _stop_fault),
    Verb("GET", "switches", "The value of each switch.", switches_json),
    Verb("PUT", "switches", "Sets the switches that are given, all or none.", _set_switches),
    Verb(
        "GET",
        "save",
        "Users, dialogs and messages as a document for `load`.",
        lambda emulator, body, last: emulator.save(),
    ),
    Verb("POST", "load", "Adds the users, dialogs and messages of a document.", _load),
    _method("add_user", "Adds a user; the result is the id."),
    _method("add_dialog", "Adds a dialog; the result is the id."),
    _method("add_broadcast_dialog", "Adds a broadcast dialog; the result is the id."),
    _method("add_messages", "Adds messages to the history; the result is their ids."),
    _method("send_message", "Sends a message in the name of a user; the result is the message."),
    Verb("GET", "users", "The users.", lambda emulator, body, last: emulator.users()),
    Verb(
        "GET",
        "dialogs",
        "The dialogs, as their owners see them.",
        lambda emulator, body, last: emulator.dialogs(),
    ),
    _method("messages", "The history of a dialog, or its newest messages (`limit`)."),
    _method("private_dialog", "The id of the private dialog of two users, or null."),
    _method("sessions", "The chat sessions, of one user or all."),
    _method(
        "cut",
        "Resets chat connections, of one user or resource or all; the result is their number.",
    ),
    _method("forget_sessions", "Drops the sessions that wait to be resumed."),
    _method("kick", "Removes a user from a dialog's room."),
    _method("ban", "Removes a user from a room and its dialog, and keeps the user out."),
    _method("unban", "Ends a ban."),
    Verb("GET", "pushes", "The push notifications that were sent, oldest first.", _pushes),
    Verb(
        "GET",
        "reset_emails",
        "The addresses of emails that reset a password.",
        lambda emulator, body, last: emulator.reset_emails,
    ),
    STREAM,
    Verb(
        "GET",
        "exchanges",
        "Whether exchanges are recorded, and how many made room for newer ones.",
        _log_json,
    ),
    Verb("PUT", "exchanges", "Begins or ends to record exchanges: `recording`.", _record),
    Verb(
        "POST",
        "exchanges",
        "The recorded exchanges: of `user_id`, of `side`, `after` an id, the newest `limit`; `brief`.",
        _exchanges,
    ),
    Verb("GET", "exchanges/{id}", "One exchange, with `curl` if it is a request.", _exchange),
    Verb("DELETE", "exchanges", "Empties the log of exchanges.", _clear),
    Verb(
        "GET",
        "forms",
        "The tables of faults and switches: names, meanings, types, defaults.",
        _forms,
    ),
    Verb(
        "GET",
        "exports",
        "The `export` lines of the command.",
        lambda emulator, body, last: export_lines(emulator),
    ),
)
"""Every verb."""


class ControlApi:
    """Answers the requests of the control API; to be called on the emulator's thread."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator

    def methods(self, path: str) -> Mapping[str, tuple[Verb, str]]:
        """Return the verbs with a path by method, each with the part of the path that is an id."""
        found: dict[str, tuple[Verb, str]] = {}
        for verb in VERBS:
            start, brace, _ = verb.path.partition("{id}")
            if path == verb.path and not brace:
                found[verb.method] = (verb, "")
            elif brace and path.startswith(start) and "/" not in path[len(start) :]:
                found[verb.method] = (verb, path[len(start) :])
        return found

    def run(self, verb: Verb, body: Any, part: str) -> Any:
        """Run a verb and return its result.

        Raises the errors of the member of ``Emulator``, and LookupError for an unknown id.
        """
        return verb.run(self.emulator, body, part)
