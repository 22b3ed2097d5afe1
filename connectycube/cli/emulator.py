"""Run a ConnectyCube on this machine until SIGINT or SIGTERM.

Standard output gets one `export` line a variable, quoted for the shell, and then the line `ready`. A
program that needs an emulator is rather run by `connectycube exec`, which starts one and sets the variables:

    connectycube exec -- python my_bot.py

With --coverage the command lists what the emulator implements, and ends. A running emulator is controlled by
connectycube emulator state, faults, clock and trigger, each of which has a --help of its own.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import math
import os
import signal
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from connectycube.errors import ArgumentValueError

from .._containers import AnyDict

if TYPE_CHECKING:
    from connectycube.emulator import Emulator, HttpIdentityProvider, Switch

__all__ = ["add_arguments", "port_number", "run"]

_PORTS = (
    ("api", "REST API"),
    ("chat", "chat server"),
    ("storage", "storage bucket"),
    ("websocket", "chat server's WebSocket"),
    ("https", "REST API over HTTPS"),
    ("storage-https", "storage bucket over HTTPS"),
    ("control", "control API, on this machine only"),
)
_EXTRA = ("aiohttp", "trustme")
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_INTERVAL = 0.5  # seconds


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.usage = "%(prog)s [OPTIONS]"  # all of them would push the error off the screen
    for name, meaning in _PORTS:
        parser.add_argument(
            f"--{name}-port",
            type=port_number,
            default=0,
            metavar="N",
            help=f"port of the {meaning} (default: a free one)",
        )
    parser.add_argument(
        "--ui-port",
        type=port_number,
        metavar="N",
        help="port of the page that shows what happens, on this machine only; 0: a free one (default: none)",
    )
    parser.add_argument(
        "--control-token",
        metavar="TOKEN",
        default=os.environ.get("CONNECTYCUBE_CONTROL_TOKEN") or None,
        help="token that requests to the control API must have (default: CONNECTYCUBE_CONTROL_TOKEN, or a "
        "random one)",
    )
    parser.add_argument("--app-id", type=int, default=1, metavar="N", help="default: 1")
    parser.add_argument("--auth-key", default="key", metavar="KEY", help="default: key")
    parser.add_argument(
        "--auth-secret",
        metavar="SECRET",
        default=os.environ.get("CONNECTYCUBE_AUTH_SECRET") or None,
        help="verify the signatures of session requests with it; other users of this machine see options, "
        "so rather set CONNECTYCUBE_AUTH_SECRET",
    )
    parser.add_argument(
        "--admin-key",
        metavar="KEY",
        default=os.environ.get("CONNECTYCUBE_ADMIN_KEY") or None,
        help="key of the Administration API (default: CONNECTYCUBE_ADMIN_KEY, or a random one)",
    )
    parser.add_argument("--domain", default="localhost", help="XMPP domain (default: localhost)")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on (default: 127.0.0.1, this machine)",
    )
    parser.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        dest="allow_origins",
        metavar="ORIGIN",
        help="web page that may use the emulator, besides those of this machine, such as "
        "https://app.example; may be repeated",
    )
    parser.add_argument(
        "--data",
        metavar="DIR",
        help="folder to keep the state in: a new or empty one, or one of an earlier run "
        "(default: state is in memory)",
    )
    parser.add_argument(
        "--load", metavar="FILE", help="JSON file of users, dialogs and messages to start with"
    )
    parser.add_argument(
        "--env-file",
        metavar="FILE",
        help="file that gets the variables, as export lines, for other terminals; removed at the end",
    )
    parser.add_argument(
        "--coverage",
        action="store_true",
        help="list what is implemented, inferred and missing, and end",
    )
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="FAULT",
        help="start a fault, such as rate_limit:retry_after=2,times=3; may be repeated",
    )
    parser.add_argument(
        "--advance",
        type=_seconds,
        default=0.0,
        metavar="SECONDS",
        help="start with the clock moved forward (default: 0)",
    )
    _add_identity_provider(parser)
    _add_switches(parser)


def _add_identity_provider(parser: argparse.ArgumentParser) -> None:
    """Declare the options that the dashboard of the service has for a custom identity provider."""
    group = parser.add_argument_group(
        "custom identity provider", "As the fields of the dashboard; JSON objects of texts."
    )
    group.add_argument(
        "--identity-provider",
        metavar="URL",
        help="ask this URL about each login that has no password here (default: none)",
    )
    group.add_argument(
        "--identity-provider-method",
        choices=("GET", "POST"),
        help="POST sends the parameters as a form (default: GET, in the query)",
    )
    group.add_argument(
        "--identity-provider-headers",
        type=_texts,
        metavar="JSON",
        default=os.environ.get("CONNECTYCUBE_IDENTITY_PROVIDER_HEADERS") or None,
        help="headers of the request; other users of this machine see options, so rather set "
        "CONNECTYCUBE_IDENTITY_PROVIDER_HEADERS",
    )
    group.add_argument(
        "--identity-provider-request",
        type=_texts,
        metavar="JSON",
        help="""parameters of the request (default: '{"token": "#{login}"}')""",
    )
    group.add_argument(
        "--identity-provider-response",
        type=_texts,
        metavar="JSON",
        help="""where the user's fields are in the response (default: '{"uid": "#{uid}"}')""",
    )


def _identity_provider(options: dict[str, Any]) -> HttpIdentityProvider | None:
    """Take the options of the identity provider out of ``options``; return it, or None."""
    from connectycube.emulator import HttpIdentityProvider

    start = "identity_provider_"
    given = {
        name.removeprefix(start): options.pop(name)
        for name in tuple(options)
        if name.startswith(start)
    }
    given = {name: value for name, value in given.items() if value is not None}
    url = options.pop("identity_provider")
    if url is not None:
        return HttpIdentityProvider(url=url, **given)
    if given.keys() - {"headers"}:  # headers may be in the environment of every run
        raise ArgumentValueError("options of an identity provider need --identity-provider URL")
    return None


def _add_switches(parser: argparse.ArgumentParser) -> None:
    """Declare an option for each switch; a value that is not given stays that of the emulator."""
    group = parser.add_argument_group("switches", "As the keyword arguments of class Emulator.")
    for name, switch in _switches().items():
        form = f"{switch.form.written} (default: {_shown(switch.default)})"
        text = f"{switch.meaning.replace('`', '')} {form}".replace("%", "%%")
        group.add_argument(f"--{name.replace('_', '-')}", metavar="VALUE", help=text)


def _switches() -> dict[str, Switch]:
    """Return the switches whose values are text; none if the emulator cannot be imported."""
    try:
        from connectycube.emulator import SWITCHES
    except ModuleNotFoundError as error:
        if error.name not in _EXTRA:
            raise
        return {}
    return {name: switch for name, switch in SWITCHES.items() if switch.is_text}


def _shown(default: object) -> str:
    if isinstance(default, bool):
        return "yes" if default else "no"
    if isinstance(default, float):
        return f"{default:g}"
    return "none" if default is None else str(default)


def run(arguments: argparse.Namespace) -> int:
    """Run the emulator; return 0 after SIGINT or SIGTERM, or 128 and its number if it came before `ready`."""
    from connectycube.emulator import Emulator, coverage_text, kept_env_file

    options = vars(arguments)
    load, show_coverage = options.pop("load"), options.pop("coverage")
    env_file = options.pop("env_file")
    faults, advance = options.pop("fault"), options.pop("advance")
    options["identity_provider"] = _identity_provider(options)
    for name, switch in _switches().items():
        text = options.pop(name)
        if text is not None:
            options[name] = switch.from_text(text)
    if show_coverage:
        print(coverage_text())
        return 0
    with _signals() as (asked_to_stop, numbers):
        emulator = Emulator(**options)
        for fault in faults:
            emulator.faults.start_text(fault)
        emulator.clock.advance(advance)
        with kept_env_file(env_file) as write_env_file, emulator:
            if load is not None:
                emulator.load(load)
            write_env_file(emulator)
            if asked_to_stop.is_set():
                return 128 + numbers[0]
            if _announce(emulator):
                # On Windows a signal does not interrupt a wait: its handler runs between two of them.
                while not asked_to_stop.wait(_INTERVAL):
                    pass
        return 0


@contextmanager
def _signals() -> Generator[tuple[threading.Event, list[int]]]:
    """Take the signals; yield what is set by the first of them, and the numbers of those that came."""
    asked_to_stop = threading.Event()
    numbers: list[int] = []

    def note(number: int, _: object) -> None:
        numbers.append(number)
        asked_to_stop.set()

    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number in _SIGNALS:
        signal.signal(number, note)
    try:
        yield asked_to_stop, numbers
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _announce(emulator: Emulator) -> bool:
    """Write the addresses; return False if standard output is closed."""
    from connectycube.emulator import export_lines

    loopback = _is_loopback(emulator.host)
    reach = "this machine only" if loopback else f"reachable at {emulator.host}"
    print(f"This is an emulator of ConnectyCube, {reach}; Ctrl-C ends it.", file=sys.stderr)
    if not loopback:
        print(
            f"Warning: {emulator.host} is not a loopback address: others can reach the emulator, "
            "whose REST API and WebSocket are not encrypted.",
            file=sys.stderr,
        )
    if emulator.ui_url is not None:
        print(f"Look at it on {emulator.ui_url}", file=sys.stderr)
    try:
        print("\n".join([*export_lines(emulator), "ready"]), flush=True)
    except BrokenPipeError:
        # The reader has closed the pipe. Without this the interpreter would complain at exit, too.
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
        return False
    return True


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds, 0 or more")
    return seconds


def _texts(text: str) -> dict[str, str]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, AnyDict) or not all(isinstance(each, str) for each in value.values()):
        raise argparse.ArgumentTypeError("it is not a JSON object of texts")
    return value


def port_number(text: str) -> int:
    """Return the number of a port, as a type of argparse."""
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port (0 to 65535)")
    return int(text)
