"""Write into the pages what the code says: tables of states, time-outs, limits, endpoints; and a JSON Schema.

Each part stands between two comments in its page. ``python docs/generate.py`` rewrites all of them, and
``tests/docs/test_pages.py`` fails when a page says something else than the code.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import attrs
import click

import connectycube
from connectycube import (
    ChatState,
    Config,
    Handling,
    Limits,
    ReconnectPolicy,
    Timeouts,
    _expat,
    config,
    errors,
    models,
)
from connectycube._backoff import Backoff
from connectycube.chat import known_dialogs
from connectycube.chat.protocol import core, inbound, parser, seen_messages, session
from connectycube.chat.protocol import rooms as chat_rooms
from connectycube.chat.protocol.states import READY_STATES, TRANSITIONS
from connectycube.cli.commands import COMMANDS, OPTIONS
from connectycube.cli.shell import Command, Group, root
from connectycube.contrib.common import exit_status
from connectycube.emulator import coverage
from connectycube.emulator.api.routing import ROUTES
from connectycube.emulator.control.faults import FAULTS
from connectycube.emulator.remote.feed import EVENTS
from connectycube.emulator.remote.verbs import VERBS
from connectycube.emulator.settings import Settings
from connectycube.models._dicts import json_schema
from connectycube.rest._query import OPERATORS
from connectycube.rest.dialogs import DIALOGS
from connectycube.rest.messages import MESSAGES

FOLDER = Path(__file__).parent
_S = ChatState

MEANINGS = {
    _S.IDLE: "No user has logged in, or `destroy()` was called.",
    _S.CONNECTING: "The first attempt of a login: resolve, connect, TLS, authenticate.",
    _S.AUTHENTICATED: "The server took the credentials; the session is being set up.",
    _S.AUTHENTICATION_FAILURE: "The server refused the credentials. CLOSED follows at once.",
    _S.READY: "A new session; messages are sent and received.",
    _S.RESUMED: "The old session continues on a new link; sending waits for the server's first answer.",
    _S.FORCE_CLOSED: "The link was lost, or could not be made. `reason` says why.",
    _S.RECONNECTING: "An attempt to reconnect is running.",
    _S.CLOSING: "`logout()`: the server gets time to acknowledge what was sent.",
    _S.CLOSED: "The connection is closed: after `logout()`, a permanent error or the last attempt.",
}
"""What each state means to an application."""

COURSES = {
    "login": (_S.IDLE, _S.CONNECTING, _S.AUTHENTICATED, _S.READY),
    "wrong password": (_S.IDLE, _S.CONNECTING, _S.AUTHENTICATION_FAILURE, _S.CLOSED),
    "server out of reach at login": (_S.IDLE, _S.CONNECTING, _S.FORCE_CLOSED, _S.CLOSED),
    "link lost, session resumed": (
        *(_S.READY, _S.FORCE_CLOSED, _S.RECONNECTING, _S.AUTHENTICATED, _S.RESUMED),
    ),
    "link lost, session gone": (
        *(_S.READY, _S.FORCE_CLOSED, _S.RECONNECTING, _S.AUTHENTICATED, _S.READY),
    ),
    "an attempt fails": (_S.FORCE_CLOSED, _S.RECONNECTING, _S.FORCE_CLOSED),
    "no attempt is left": (_S.RECONNECTING, _S.FORCE_CLOSED, _S.CLOSED),
    "logout": (_S.READY, _S.CLOSING, _S.CLOSED),
    "login again": (_S.CLOSED, _S.CONNECTING, _S.AUTHENTICATED, _S.READY),
    "relogin()": (_S.CLOSED, _S.RECONNECTING, _S.AUTHENTICATED, _S.READY),
    "destroy()": (_S.READY, _S.CLOSING, _S.CLOSED, _S.IDLE),
}
"""The ways through the states that applications meet; each step must be one of the table's."""

POLICY = {
    "max_attempts": "Attempts before CLOSED. 0: none. None: without a limit.",
    "delay": "Seconds before the first attempt, on average. Each later one waits twice as long.",
    "max_delay": "The longest of these waits, in seconds, on average.",
    "reset_after": "After so many seconds of being ready the count of attempts starts at 0 again.",
}
"""What the fields of ReconnectPolicy mean."""

HANDLING = {
    "delay": "Seconds before the first repetition, on average. Each later one waits twice as long.",
    "max_delay": "The longest of these waits, on average. An error may ask for more (`retry_after`).",
    "give_up_after": "Seconds from the first attempt to the last. None: 60 in memory, never in durable mode.",
    "transient": "`transient(error)` says whether an error passes; or a class of exceptions, or several.",
}
"""What the fields of Handling mean."""


VOUCHED: dict[type, dict[str, tuple[str, ...]]] = {
    models.Message: {
        "server": (
            "sender_id",
            "recipient_id",
            "own",
            "read",
            "read_ids",
            "delivered_ids",
            "views_count",
            "reactions",
            "created_at",
            "updated_at",
        ),
        "sender": (
            "id",
            "dialog_id",
            "dialog",
            "body",
            "date_sent",
            "attachments",
            "custom",
            "silent",
            "markable",
            "save_to_history",
            "destroy_after",
            "delayed",
        ),
        "package": ("recovered", "redelivered"),
    },
    models.MessageSent: {"server": (), "package": ("message_id", "dialog", "message")},
    models.MessageFailure: {
        "server": ("user_id", "error", "condition", "text"),
        "package": ("message_id", "dialog_id"),
    },
    models.MessageStatus: {"server": ("user_id",), "sender": ("message_id", "dialog_id")},
    models.Typing: {"server": ("user_id", "dialog_id")},
    models.MessageEdit: {
        "server": ("user_id", "own"),
        "sender": ("message_id", "body", "dialog", "is_last"),
        "package": ("by_author",),
    },
    models.MessageDeletion: {
        "server": ("user_id", "own"),
        "sender": ("message_id", "dialog"),
        "package": ("by_author",),
    },
    models.ReactionChange: {
        "server": ("user_id", "own"),
        "sender": ("message_id", "dialog_id", "added", "removed"),
    },
    models.SystemMessage: {
        "server": ("sender_id", "recipient_id"),
        "sender": ("id", "body", "custom", "extra"),
    },
    models.Presence: {
        "server": ("user_id", "available", "resource"),
        "sender": ("show", "status"),
    },
    models.ContactEvent: {"server": ("user_id",)},
    models.ContactListItem: {
        "server": ("user_id", "subscription", "pending", "name", "groups"),
    },
    models.Occupant: {"server": ("user_id", "dialog_id")},
    models.RoomLeft: {
        "server": ("dialog_id", "reason", "actor_id", "error"),
        "sender": ("text",),
    },
    models.LastActivity: {"server": ("user_id",), "sender": ("seconds",)},
    models.RefusedStanza: {
        "server": ("sender", "user_id", "dialog_id"),
        "sender": ("kind", "id"),
        "package": ("size", "reason"),
    },
}
"""Who vouches for each field of an event: the server, the sender alone, or this package."""

LOCAL = (
    models.StateChange,
    models.RecoveryFailure,
    models.RecoveryFinished,
    models.CallbackFailure,
    models.ReceiverGaveUp,
)
"""Events that this package makes of its own state, of which nothing comes from others."""


# --- the parts ----------------------------------------------------------------------------------


def courses() -> str:
    """Draw the ways through the states, as text."""
    width = max(map(len, COURSES))
    lines = []
    for name, states in COURSES.items():
        for before, after in itertools.pairwise(states):
            if after not in TRANSITIONS[before]:
                raise ValueError(f"{name}: {before.name} cannot become {after.name}")
        lines.append(f"{name:<{width}}  {' → '.join(state.name for state in states)}")
    return "\n".join(["```text", *lines, "```"])


def states() -> str:
    """Write every state, what it means and what may follow."""
    rows = []
    for state in ChatState:
        name = f"**{state.name}**" if state in READY_STATES else state.name
        following = [after.name for after in ChatState if after in TRANSITIONS[state]]
        rows.append((name, MEANINGS[state], ", ".join(following)))
    return _table(("state", "meaning", "may be followed by"), rows)


def timeouts() -> str:
    """Write every time-out with its default."""
    return _fields(Timeouts, config, "seconds")


def limits() -> str:
    """Write every bound with its default."""
    return _fields(Limits, config, "default")


def statistics() -> str:
    """Write what ``chat.statistics()`` counts."""
    known = dict(_attribute_docs(connectycube.models.statistics, "Statistics"))
    rows = [
        (f"`{entry.name}`", known[entry.name]) for entry in attrs.fields(connectycube.Statistics)
    ]
    return _table(("field", "meaning"), rows)


def bounds() -> str:
    """Write what grows, what bounds it, and what happens beyond the bound."""
    queued = "`queued_events`, `queued_bytes`"
    outbound = "`outbound_stanzas`, `outbound_bytes`"
    skipped = f"{parser._MOST_SKIPPED:,} bytes, {core._LONGEST_SKIP:g} seconds, {parser._MOST_NAMES:,} names"
    rows = [
        (
            "A stanza that is read, and what becomes of it",
            "`stanza_bytes`, `stanza_depth`, `stanza_elements`",
            "It is skipped, counted as handled, and reported by `stanza_refused`; a request is refused.",
        ),
        (
            "A stanza that is skipped, or a tag without an end",
            skipped,
            "The link is closed; the next link continues with the next stanza.",
        ),
        (
            "Names and prefixes that the XML parser keeps",
            f"{parser._BYTES_OF_AN_EXPAT:,} bytes read, or {parser._NAMES_OF_AN_EXPAT:,} names",
            "A new parser takes over between two stanzas.",
        ),
        (
            "A namespace",
            f"{_expat.LONGEST_NAMESPACE} bytes",
            "The rest of it is not read, so it means nothing.",
        ),
        (
            "Events in the queue for receivers",
            queued,
            "Typing, presences, occupants, contacts, activity and refused stanzas are merged or"
            " dropped. For any other event the link is closed until receivers have caught up; then the"
            " server sends it again.",
        ),
        (
            "Events in the queues of all members of a fleet",
            "`fleet_queued_bytes`, and an event of each member",
            "As above, but not for a member that has less than its part of half of the bound.",
        ),
        (
            "Events in a stream (`chat.events`)",
            queued,
            "`EventStreamOverflowError` ends the stream.",
        ),
        (
            "Live events that wait while a gap is filled",
            queued,
            "They are fetched again, on a new link.",
        ),
        (
            "Messages, requests and markers that calls send, until they are acknowledged",
            outbound,
            "A call waits for `Timeouts.send` or its own time-out, then `SendQueueFullError`. Beyond a tenth"
            " of the bound the server is asked for an acknowledgement.",
        ),
        (
            "Messages that history is asked about, and send handles",
            f"once more {outbound}",
            "As above: until then nothing new is written.",
        ),
        (
            "Automatic 'delivered' markers, answers to requests of others, typing",
            "`background_stanzas`, `background_bytes`",
            "They are dropped: `Statistics.background_dropped`. They take no room from what calls send.",
        ),
        (
            "Bytes that wait for the socket",
            "the two rows above together",
            f"Beyond {session._MOST_UNREAD:,} bytes no acknowledgement is added to them.",
        ),
        (
            "Requests without an answer",
            "one for each thread that waits",
            "It is forgotten with its caller.",
        ),
        (
            "Messages that are known, to be delivered once",
            f"10,000; in a gap {seen_messages._MOST:,}",
            "The oldest is forgotten.",
        ),
        (
            "Equal messages, with ids of other forms, that the next one is compared with",
            f"{seen_messages._MOST_ALIKE:,}",
            "The oldest is not compared any more.",
        ),
        (
            "An id that is remembered",
            f"{seen_messages._LONGEST_ID} bytes of ASCII",
            "A longer one, or another, is remembered by a digest.",
        ),
        (
            "Own messages whose echo or late refusal is awaited, own markers likewise",
            f"{inbound._MOST_REMEMBERED:,} each",
            "The oldest is forgotten: its refusal is no event.",
        ),
        (
            "Rooms",
            "those that the application has joined or written to",
            "`chat.leave` removes one.",
        ),
        (
            "Occupants that are known of a room",
            f"{chat_rooms._MOST_OCCUPANTS:,}",
            "Further occupants are not reported.",
        ),
        (
            "Users whose end of typing is awaited (`typing_expires`)",
            f"{inbound._MOST_TYPING:,}",
            "The typing of further ones ends without an event.",
        ),
        (
            "Dialogs that were looked up by id",
            f"{known_dialogs._MOST_KNOWN:,}",
            "The oldest is looked up again.",
        ),
        (
            "Messages read from history for a gap",
            "a page, or half of `queued_events`",
            "Reading waits for room in the queue.",
        ),
        ("Dialogs with a gap", "those that the service lists", "Each is read to its end."),
    ]
    return _table(("what", "bound", "beyond it"), rows)


def floods() -> str:
    """Write what ``make flood`` measured."""
    found = json.loads((FOLDER / "floods.json").read_text(encoding="utf-8"))
    rows = [
        (
            kind,
            f"{one['stanzas']:,}",
            *(f"{one[moment] / 1e6:.0f}" for moment in ("start", "half", "end")),
            f"{one['slowest']:.2f} of {one['sends']}",
        )
        for kind, one in found["floods"].items()
    ]
    head = (
        "flood",
        "stanzas",
        "MB at the start",
        "at the half",
        "at the end",
        "slowest send, CPU seconds",
    )
    words = f"{found['seconds']:g} seconds of CPU each, Python {found['python']}, {found['date']}:"
    return f"{words}\n\n{_table(head, rows)}"


def performance() -> str:
    """Write what ``make bench`` measured."""
    found = json.loads((FOLDER / "performance.json").read_text(encoding="utf-8"))
    rows = [
        (
            f"{one['name']}<br>{one['peer']}",
            "<br>".join((_measure(one["value"], one["unit"]), *_quartiles(one))),
            "" if one["goal"] is None else _measure(one["goal"], one["unit"]) + _verdict(one),
        )
        for one in found["rows"]
    ]
    # Few columns, so that the table can be read on a telephone.
    head = ("measured<br>against", "median<br>quartiles", "goal")
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    words = f"{found['machine']}, Python {found['python']}, {versions}, {found['date']}:"
    why = "\n".join(
        f"- {one['name']}, against {one['peer']}: {MISSED[one['name'], one['peer']]}"
        for one in found["rows"]
        if _verdict(one) and (one["name"], one["peer"]) in MISSED
    )
    return "\n\n".join(filter(None, (words, _table(head, rows), why)))


_EACH_READ = (
    "each read costs some 70,000 instructions, whatever it brings: about 45 calls in Python, from the"
    " socket to the worker."
)
MISSED = {
    ("CPU of a message in", "slixmpp"): (
        "a regular expression takes 15 % of the instructions; the others are spread evenly over parser, core,"
        " dispatcher and receiver."
    ),
    ("… one message a read", "expat, empty handlers"): _EACH_READ,
    ("… one message a read", "slixmpp"): _EACH_READ,
    ("CPU of send_message", "slixmpp"): (
        "the instructions are spread evenly over encoding, outbound buffer and the outcome of the message."
    ),
    ("CPU of a login", "by hand"): (
        "it executes 1.85 times the instructions of the login by hand. The rest is probably time in the"
        " kernel, for a thread, its wake-ups and system calls."
    ),
    ("CPU that durable mode adds", "sqlite3, one row in and out"): (
        "half of the instructions write the event as JSON, a quarter are the two statements of SQLite."
    ),
    ("memory, iter 100,000 messages", "the start"): (
        "the id of each message that was read is kept, some 120 bytes: so a list that changes while it is"
        " read is whole, and repeats nothing."
    ),
    ("decode 100 messages", "json.loads"): (
        "half of the instructions are those of `json.loads`; the others are a loop in Python over the fields"
        " of each message."
    ),
}
"""Why a goal is missed: a sentence by the row's name and peer. It is shown as long as the goal is missed."""


def _quartiles(one: dict[str, Any]) -> Iterator[str]:
    if "quartiles" in one:
        yield " to ".join(f"{value:.2f}" for value in one["quartiles"])


def _verdict(one: dict[str, Any]) -> str:
    return " missed" if one["goal"] is not None and one["value"] > one["goal"] else ""


def _measure(value: float, unit: str) -> str:
    return f"{value:.2f} {unit}"


def vouched() -> str:
    """Write who vouches for each field of an event."""
    rows = []
    for kind, parts in VOUCHED.items():
        named = sorted(name for part in parts.values() for name in part)
        if named != sorted(entry.name for entry in attrs.fields(kind)):  # type: ignore[misc]
            raise ValueError(f"{kind.__name__}: its fields are not those in VOUCHED")
        cells = (_codes(parts.get(who, ())) for who in ("server", "sender", "package"))
        rows.append((f"`{kind.__name__}`", *cells))
    return _table(("event", "the server", "the sender alone", "this package"), rows)


def policy() -> str:
    """Write the fields of the reconnection's policy."""
    return _fields(ReconnectPolicy, config, "default", POLICY)


def handling() -> str:
    """Write the fields of what follows when a receiver raises."""
    return _fields(Handling, config, "default", HANDLING)


def storm() -> str:
    """Write when so many clients attempt to come back to a server that went down in one moment."""
    clients, random = 1000, Random(1)
    backoffs = [Backoff(ReconnectPolicy(max_attempts=None), random.random) for _ in range(clients)]
    now = [0.0] * clients
    rows = []
    for attempt in range(1, 7):
        now = [moment + (backoffs[i].next_delay() or 0.0) for i, moment in enumerate(now)]
        most = max(sum(0 <= moment - first < 1.0 for moment in now) for first in now)
        rows.append((str(attempt), f"{min(now):.0f} to {max(now):.0f}", str(most)))
    return _table(("attempt", "seconds after the end", "most in one second"), rows)


def configuration() -> str:
    """Write the fields of Config, their environment variables and defaults."""
    variables = config._ENVIRONMENT
    rows = [
        (f"`{entry.name}`", _code(variables.get(entry.name, "")), _default(entry))
        for entry in attrs.fields(Config)
    ]
    return _table(("field", "environment", "default"), rows)


def lookups() -> str:
    """Write what the lists of dialogs and messages can be asked for."""
    rows = []
    for name, listing in (("dialogs", DIALOGS), ("messages", MESSAGES)):
        fields = [*listing.fields, *(f'{nested}={{"key": "value"}}' for nested in listing.nested)]
        rows.append((f"`cube.{name}`", _codes(fields), _codes(listing.sortable)))
    return _table(("list", "fields to look up", "to sort by"), rows)


def operators() -> str:
    """Write Django's words and what goes over the wire."""
    meanings = {
        "lt": "less than",
        "lte": "less than or equal",
        "gt": "greater than",
        "gte": "greater than or equal",
        "ne": "not equal",
        "in": "one of a list",
        "nin": "none of a list",
        "all": "all of a list",
        "contains": "contains this text",
    }
    rows = [
        (f"`__{word}`", meanings[word], f"`field[{wire}]=`") for word, wire in OPERATORS.items()
    ]
    return _table(("look-up", "meaning", "sent as"), [("(none)", "equal", "`field=`"), *rows])


def error_tree() -> str:
    """Write the exceptions as a list in lists, each with its cause; the site makes the names links."""
    tree = (errors.__doc__ or "").partition("::\n")[2]
    return "\n".join(map(_error, inspect.cleandoc(tree).splitlines()))


def _error(line: str) -> str:
    """Turn a line of the tree, ``│   ├── ApiError  also OSError: its cause``, into one of a list."""
    branch, name, also, cause = re.fullmatch(  # type: ignore[union-attr]
        r"(\W*)(\w+) *(?:also (\w+): )?(.*)", line
    ).groups()
    parts = (f"`{name}`", f" (also `{also}`)" if also else "", f" – {cause}" if cause else "")
    return f"{'  ' * (len(branch) // 4)}- {''.join(parts)}"


def endpoints() -> str:
    """Write the REST endpoints of the emulator."""
    rows = [
        (f"`{entry.method} /{entry.pattern}`", entry.auth.value)
        for entry in sorted(ROUTES, key=lambda entry: (entry.pattern, entry.method))
    ]
    return _table(("endpoint", "needs"), rows)


def covered() -> str:
    """Write what the emulator implements, infers and misses."""
    rows = [(entry.wire, f"`{entry.name}`", entry.state, entry.note) for entry in coverage()]
    return _table(("", "endpoint or stanza", "state", "what is inferred, or done instead"), rows)


def switches() -> str:
    """Write what can be set on an emulator."""
    rows = [
        (
            f"`{entry.name}`",
            _default(entry),
            entry.metadata.get("meaning") or _APPLICATION[entry.name],
        )
        for entry in attrs.fields(Settings)
    ]
    return _table(("field", "default", "meaning"), rows)


_APPLICATION = {
    "app_id": "The application's id.",
    "auth_key": "The application's authorization key.",
    "admin_key": "The key of the Administration API; `Emulator` makes a random one.",
    "auth_secret": "Signatures of session requests are verified with it.",
    "domain": "The XMPP domain; rooms are at `muc.` in front of it.",
}


def verbs() -> str:
    """Write every verb of the control API."""
    rows = [(f"`{verb.method} {verb.path}`", verb.meaning) for verb in VERBS]
    return _table(("request", "what it does"), rows)


def events() -> str:
    """Write every event that the control API tells."""
    return _table(("event", "its data"), [(f"`{name}`", text) for name, text in EVENTS.items()])


def faults() -> str:
    """Write what the emulator can let go wrong."""
    rows = []
    for name, kind in FAULTS.items():
        parameters = [
            f"`{key}`: {one.meaning}"
            + ("" if one.required or one.default is None else f" (default {_value(one.default)})")
            for key, one in kind.parameters.items()
        ]
        rows.append(
            (f"`{name}`", " and ".join(kind.sides), kind.meaning, "; ".join(parameters), kind.once)
        )
    return _table(("fault", "on", "what it does", "parameters", "one time is"), rows)


def _value(value: object) -> str:
    words = {True: "yes", False: "no"}
    return words[value] if isinstance(value, bool) else f"`{value}`"


def packages() -> str:
    """Draw the package as a tree, each part in its own words."""
    package = Path(connectycube.__file__).parent
    lines = ["connectycube/"]
    for path in sorted(package.iterdir(), key=lambda path: (path.is_dir(), path.name)):
        if path.suffix == ".py" or (path / "__init__.py").exists():
            lines.append(_line(path, 1))
        for folder in _NESTED.get(path.name, ()):
            lines.append(_line(path / folder, 2))
    return "\n".join(["```text", *lines, "```"])


_NESTED = {
    "chat": ("protocol",),
    "contrib": (
        *("celery", "common", "desktop", "django", "flask", "opentelemetry", "relay"),
        "sentry",
    ),
    "emulator": ("domain", "db", "storage", "api", "xmpp", "net", "control", "remote", "page"),
}
"""The folders inside a package that the tree shows, too."""


def _line(path: Path, depth: int) -> str:
    name = f"{path.name}/" if path.is_dir() else path.name
    words = _words(path / "__init__.py" if path.is_dir() else path)
    return f"{'  ' * depth + name:<19}{words.partition('; see')[0].rstrip('.').replace('``', '')}"


def chat_modules() -> str:
    """Write what each module of the chat is, in its own words."""
    return _modules("chat", "durable", "lease")


def rest_modules() -> str:
    """Write what each module of REST is, in its own words."""
    return _modules("rest")


def django_modules() -> str:
    """Write what each module of the integration with Django is, in its own words."""
    return _modules("contrib/django", "backends")


def desktop_modules() -> str:
    """Write what each module of the hand-over to windows is, in its own words."""
    return _modules("contrib/desktop")


def flask_modules() -> str:
    """Write what each module of the integration with Flask is, in its own words."""
    return _modules("contrib/flask")


def opentelemetry_modules() -> str:
    """Write what each module of the integration with OpenTelemetry is, in its own words."""
    return _modules("contrib/opentelemetry")


def sentry_modules() -> str:
    """Write what each module of the integration with Sentry is, in its own words."""
    return _modules("contrib/sentry")


def relay_modules() -> str:
    """Write what each module of the relay is, in its own words."""
    return _modules("contrib/relay")


def common_modules() -> str:
    """Write what each module that the integrations share is, in its own words."""
    return _modules("contrib/common")


def cli_modules() -> str:
    """Write what each module of the command line is, in its own words."""
    return _modules("cli")


def commands() -> str:
    """Write the commands, each with its arguments and options, as click and argparse have them."""
    rows: list[tuple[str, ...]] = [
        (f"`connectycube {name}`", f"{entry.text[0].upper()}{entry.text[1:]}.", "")
        for name, entry in COMMANDS.items()
        if not entry.place
    ]
    return _table(("command", "what it does", "options"), [*_commands_of(root), *rows])


def _commands_of(group: click.Group, *path: str) -> Iterator[tuple[str, str, str]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        words = (*path, name)
        if not isinstance(found, (Command, Group)):
            continue
        if not isinstance(found, Group) or found.invoke_without_command:
            arguments = [each for each in found.params if isinstance(each, click.Argument)]
            options = [each for each in found.params if isinstance(each, click.Option)]
            shown = " ".join(["connectycube", *words, *map(_argument, arguments)])
            text = found.get_short_help_str(limit=200)
            yield f"`{shown}`", text.removesuffix(".") + ".", ", ".join(map(_option, options))
        if isinstance(found, Group):
            yield from _commands_of(found, *words)


def _argument(argument: click.Argument) -> str:
    return (argument.metavar or str(argument.name).upper()).strip()


def _option(option: click.Option) -> str:
    value = option.metavar or ("" if option.is_flag else str(option.type.name).upper())
    if isinstance(option.type, click.Choice):
        value = option.metavar or "|".join(option.type.choices)
    return f"`{' '.join(filter(None, (max(option.opts, key=len), value)))}`".replace("|", "\\|")


def common_options() -> str:
    """Write the options that all commands of click have."""
    rows = [(f"`{name}`", f"{text[0].upper()}{text[1:]}.") for name, text in OPTIONS.items()]
    return _table(("option", "meaning"), rows)


def exit_statuses() -> str:
    """Write what each exit status means."""
    rows = [
        (str(status), meaning.replace("|", "\\|"))
        for status, meaning in exit_status.MEANINGS.items()
    ]
    return _table(("status", "meaning"), rows)


def protocol_modules() -> str:
    """Write what each module of the core is, in its own words."""
    return _modules("chat/protocol")


def reconnections() -> str:
    """Write what ``make reconnect-table`` measured, a table for each server."""
    tables = json.loads((FOLDER / "reconnecting.json").read_text(encoding="utf-8"))
    return "\n\n".join(_reconnections(table) for table in tables.values())


def notebook() -> str:
    """Return the cells of the example's notebook, but for its title."""
    file = FOLDER / "examples" / "notebook" / "notebook.ipynb"
    cells = [
        (cell["cell_type"], "".join(cell["source"]))
        for cell in json.loads(file.read_text(encoding="utf-8"))["cells"]
    ]
    assert cells[0][1].startswith("# ")
    return "\n\n".join(
        text if kind == "markdown" else f"<!-- excerpt -->\n```python\n{text}\n```"
        for kind, text in cells[1:]
    )


PARTS: dict[str, dict[str, Callable[[], str]]] = {
    "chat/login.md": {"courses": courses, "states": states},
    "chat/receivers.md": {"handling": handling},
    "chat/reconnection.md": {"policy": policy, "storm": storm},
    "chat/limits.md": {"timeouts": timeouts, "limits": limits},
    "chat/statistics.md": {"statistics": statistics},
    "rest.md": {"configuration": configuration, "lookups": lookups, "operators": operators},
    "emulator/control.md": {"verbs": verbs, "events": events},
    "emulator/faults.md": {"faults": faults},
    "emulator/switches.md": {"switches": switches},
    "emulator/service.md": {"endpoints": endpoints},
    "emulator/coverage.md": {"coverage": covered},
    "reference/errors.md": {"errors": error_tree},
    "examples/notebook/index.md": {"notebook": notebook},
    "performance.md": {"performance": performance},
    "reconnecting.md": {"reconnections": reconnections},
    "security.md": {"bounds": bounds, "floods": floods, "vouched": vouched},
    "shell.md": {
        "commands": commands,
        "common_options": common_options,
        "exit_statuses": exit_statuses,
    },
    "design.md": {
        "packages": packages,
        "protocol_modules": protocol_modules,
        "chat_modules": chat_modules,
        "desktop_modules": desktop_modules,
        "cli_modules": cli_modules,
        "opentelemetry_modules": opentelemetry_modules,
        "sentry_modules": sentry_modules,
        "relay_modules": relay_modules,
        "common_modules": common_modules,
        "django_modules": django_modules,
        "flask_modules": flask_modules,
        "rest_modules": rest_modules,
    },
}
"""Which page holds which parts."""


# --- how they are written -----------------------------------------------------------------------


def _reconnections(table: dict[str, Any]) -> str:
    found = {(row["scenario"], row["subject"]): row for row in table["results"]}
    subjects = list(dict.fromkeys(subject for _, subject in found))
    head = ("fault", *(f"{subject}: {what}" for subject in subjects for what in _COUNTED))
    rows = [
        (scenario, *(cell for subject in subjects for cell in _counted(found[scenario, subject])))
        for scenario in dict.fromkeys(scenario for scenario, _ in found)
    ]
    return f"{', '.join(table['versions'])}; {table['date']}:\n\n{_table(head, rows)}"


_COUNTED = ("lost", "of these it told", "repeated", "seconds until messages flow again")


def _counted(row: dict[str, Any]) -> tuple[str, ...]:
    seconds = "never" if row["seconds"] is None else f"{row['seconds']:.0f}"
    return (f"{row['lost']} of {row['sent']}", str(row["told"]), str(row["repeated"]), seconds)


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _modules(folder: str, *below: str) -> str:
    root = Path(connectycube.__file__).parent / folder
    rows = [
        (f"`{path.relative_to(root).with_suffix('')}`", _markdown(_words(path)))
        for inside in ("", *below)
        for path in sorted((root / inside).glob("*.py"))
        if path.stem != "__init__"
    ]
    return _table((f"module of `{folder}/`", "in its own words"), rows)


def _words(path: Path) -> str:
    """Read the first sentence of a module's docstring."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(text.partition("\n\n")[0].split())


def _fields(cls: type, module: Any, value: str, meanings: dict[str, str] | None = None) -> str:
    known = {**dict(_attribute_docs(module, cls.__name__)), **(meanings or {})}
    rows = [
        (f"`{entry.name}`", _default(entry), known[entry.name])
        for entry in attrs.fields(cls)  # type: ignore[misc]
    ]
    return _table(("field", value, "meaning"), rows)


def _attribute_docs(module: Any, name: str) -> Iterator[tuple[str, str]]:
    """Yield the fields of a class and the sentences below them in its source."""
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    body = next(
        node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name
    )
    for field, below in itertools.pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr):
            text = ast.literal_eval(below.value)
            yield ast.unparse(field.target), _markdown(" ".join(text.split()))


def _markdown(text: str) -> str:
    """Turn the little markup of docstrings into that of Markdown."""
    return re.sub(r":\w+:`([^`]+)`", r"`\1`", text.replace("``", "`"))


def _default(entry: Any) -> str:
    default = entry.default
    if default is attrs.NOTHING:
        return "(required)"
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]
        return f"`{default.factory.__name__}()`"
    if isinstance(default, float):
        return f"{default:g}"
    if isinstance(default, int) and not isinstance(default, bool):
        return f"{default:,}" if default > 9_999 else str(default)
    if callable(default):
        return f"`{default.__name__}`"
    return "None" if default is None else f"`{default}`"


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _codes(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in names)


def filled(text: str, name: str, part: str) -> str:
    """Return a page's text with the part of that name in its place."""
    begin, end = f"<!-- {name}: made by docs/generate.py -->", f"<!-- {name}: end -->"
    pattern = re.compile(f"{re.escape(begin)}\n.*?{re.escape(end)}", re.DOTALL)
    if len(pattern.findall(text)) != 1:
        raise ValueError(f"there must be one place for {name}")
    return pattern.sub(lambda _: f"{begin}\n\n{part}\n\n{end}", text)


def generated(page: str, text: str) -> str:
    """Return a page's text with all its parts as the code says."""
    for name, part in PARTS[page].items():
        text = filled(text, name, part())
    return text


def schema() -> str:
    """Return the JSON Schema of the dictionaries of ``to_dict()``."""
    return json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Rewrite the pages and the JSON Schema."""
    for page in PARTS:
        path = FOLDER / page
        text = path.read_text(encoding="utf-8")
        path.write_text(generated(page, text), encoding="utf-8")
    (FOLDER / "models.schema.json").write_text(schema(), encoding="utf-8")


if __name__ == "__main__":
    main()
