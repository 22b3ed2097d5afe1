"""Control of a running emulator: its state, faults and clock, and what is to happen in it."""

from __future__ import annotations

import json
import os
from datetime import datetime, timezone
from typing import Any

import click

from .failure import Failure
from .printable import printable
from .shell import Shell, group, pass_shell

__all__ = ["emulator"]

_SECONDS = 10.0
_USAGE, _REFUSED, _NOT_FOUND, _NETWORK = 2, 4, 5, 6
_STATUSES = {401: _REFUSED, 404: _NOT_FOUND, 422: _USAGE}
_TRIGGERS = (
    *("cut", "forget_sessions", "kick", "ban", "unban", "reset"),
    *("add_user", "add_dialog", "add_broadcast_dialog", "add_messages"),
)


def _ask(shell: Shell, method: str, path: str, body: Any = None) -> Any:
    """Call a verb of the control API (docs/emulator/control.md) and return its result."""
    url, token = (os.environ.get(f"CONNECTYCUBE_CONTROL_{name}") for name in ("URL", "TOKEN"))
    if not url or not token:
        raise Failure(
            "CONNECTYCUBE_CONTROL_URL and CONNECTYCUBE_CONTROL_TOKEN are not set: run this inside of "
            "'connectycube exec', or evaluate the lines that 'connectycube emulator' prints",
            _USAGE,
        )
    import requests  # late: --help needs none of it

    try:
        with requests.Session() as session:
            session.trust_env = False  # it is on this machine
            response = session.request(
                method,
                f"{url.rstrip('/')}/{path}",
                json=body,
                headers={"Authorization": f"Bearer {token}"},
                timeout=shell.timeout or _SECONDS,
            )
        answer = response.json()
    except (requests.RequestException, ValueError) as error:
        failure = Failure(f"no emulator answers at {url}: {type(error).__name__}", _NETWORK)
    else:
        if response.status_code == 200:
            return answer["result"]
        failure = Failure(
            printable(str(answer.get("error"))), _STATUSES.get(response.status_code, 1)
        )
    raise failure


@group()
def emulator() -> None:
    """Control a running emulator.

    It is found by CONNECTYCUBE_CONTROL_URL and CONNECTYCUBE_CONTROL_TOKEN, as 'connectycube exec' sets them.
    Without one of these commands, 'connectycube emulator' runs one.
    """


@emulator.command()
@pass_shell
def state(shell: Shell) -> None:
    """Show the clock, the connections, the faults and the number of pushes."""
    clock = _ask(shell, "GET", "clock")
    sessions = _ask(shell, "POST", "sessions", {})
    faults = _ask(shell, "GET", "faults")
    pushes = _ask(shell, "GET", "pushes")
    output = shell.output
    if output.as_json:
        found = {"clock": clock, "sessions": sessions, "faults": faults, "pushes": pushes}
        output.show(found, "")
        return
    output.fields([("clock", _clock(clock)), ("pushes", len(pushes))])
    for each in sessions:
        words = "connected" if each["connected"] else "may be resumed"
        output.line(f"session  user {each['user_id']}, {printable(str(each['resource']))}: {words}")
    for each in faults:
        output.line(f"fault    {_fault(each)}")


@emulator.group(invoke_without_command=True)
@click.pass_context
def faults(context: click.Context) -> None:
    """List the faults that are on; start and stop them."""
    if context.invoked_subcommand is None:
        shell = context.ensure_object(Shell)
        for each in _ask(shell, "GET", "faults"):
            shell.output.show(each, _fault(each))


@faults.command()
@click.argument("fault")
@pass_shell
def start(shell: Shell, fault: str) -> None:
    """Start FAULT, written as for 'connectycube emulator --fault'.

    \b
    Example:
      connectycube emulator faults start rate_limit:retry_after=2,times=3
    """
    started = _ask(shell, "POST", "faults", {"text": fault})
    shell.output.show(started, _fault(started))


@faults.command()
@click.argument("fault_id", metavar="[ID]", type=int, required=False)
@pass_shell
def stop(shell: Shell, fault_id: int | None) -> None:
    """End the fault ID, or all of them."""
    _ask(shell, "DELETE", "faults" if fault_id is None else f"faults/{fault_id}")


@emulator.group(invoke_without_command=True)
@click.pass_context
def clock(context: click.Context) -> None:
    """Show the clock; move it forward."""
    if context.invoked_subcommand is None:
        shell = context.ensure_object(Shell)
        found = _ask(shell, "GET", "clock")
        shell.output.show(found, _clock(found))


@clock.command()
@click.argument("seconds", type=click.FloatRange(min=0))
@pass_shell
def advance(shell: Shell, seconds: float) -> None:
    """Move the clock forward by SECONDS; everything that becomes due happens."""
    found = _ask(shell, "POST", "clock/advance", {"seconds": seconds})
    shell.output.show(found, _clock(found))


@emulator.command()
@click.argument("verb", type=click.Choice(_TRIGGERS), metavar="VERB")
@click.argument("arguments", nargs=-1, metavar="[NAME=VALUE]...")
@pass_shell
def trigger(shell: Shell, verb: str, arguments: tuple[str, ...]) -> None:
    """Let something happen: VERB is one of the control API, with its arguments.

    VERB is cut, forget_sessions, kick, ban, unban, reset, add_user, add_dialog, add_broadcast_dialog or
    add_messages. A VALUE is JSON, or else a text.

    \b
    Examples:
      connectycube emulator trigger cut user_id=5
      connectycube emulator trigger add_dialog kind=group owner_id=1 name=Hikers
    """
    body: dict[str, Any] = {}
    for each in arguments:
        name, equals, value = each.partition("=")
        if not name or not equals:
            raise Failure(f"an argument must be NAME=VALUE, not {each!r}", _USAGE)
        try:
            body[name] = json.loads(value)
        except ValueError:
            body[name] = value
    result = _ask(shell, "POST", verb, body)
    if result is not None or shell.json:
        shell.output.show({"result": result}, printable(str(result)))


def _clock(found: dict[str, float]) -> str:
    at = datetime.fromtimestamp(found["time"], timezone.utc)
    return f"{at:%Y-%m-%d %H:%M:%S} UTC, moved by {found['advanced']:g} s"


def _fault(found: dict[str, Any]) -> str:
    more = {
        key: value
        for key, value in found.items()
        if key not in ("id", "name") and value is not None
    }
    return printable(f"{found['id']}: {found['name']} {json.dumps(more)}")
