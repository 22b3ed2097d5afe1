"""Hand the events of a bot over to workers on Redis or RabbitMQ, or look at the events that wait there.

Without an ACTION it runs the bot until SIGTERM or Ctrl-C: it logs in, gives each event to the engine, and
sends the answers of workers. The bot is the user of a profile (--bot, as of "connectycube login"), or that of
CONNECTYCUBE_LOGIN and CONNECTYCUBE_PASSWORD, with the application's keys in the other variables. Its position
is in the engine, or with --durable in a file.

"status" prints the number of waiting events for each group and partition. "dead list", "dead retry" and
"dead drop" are for events that workers have given up. The URL of the engine may be in CONNECTYCUBE_RELAY_URL.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import signal
import sys
from collections.abc import Mapping
from typing import Any

from connectycube import ArgumentValueError, Config, FileLease, ReconnectPolicy
from connectycube.contrib.relay import Letter, PartitionStatus, Relay, RelayListener

__all__ = ["add_arguments", "add_engine_arguments", "run"]

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def add_engine_arguments(parser: argparse.ArgumentParser, *, again: bool = False) -> None:
    """Declare the arguments that say which engine it is; ``again`` for an action behind the command."""

    def default(value: Any) -> Any:
        return argparse.SUPPRESS if again else value

    url = os.environ.get("CONNECTYCUBE_RELAY_URL")
    parser.add_argument("--url", default=default(url), help="redis://… or amqp://…")
    parser.add_argument("--prefix", default=default("cube"), help="that of the relay: cube")
    parser.add_argument(
        "--partitions", type=int, default=default(16), metavar="N", help="queues of a group: 16"
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the relay and its actions."""
    add_engine_arguments(parser)
    parser.add_argument("--bot", metavar="PROFILE", help="the profile whose user is the bot")
    parser.add_argument("--group", action="append", metavar="NAME", help="a group of workers")
    parser.add_argument(
        "--signal",
        action="append",
        metavar="NAME",
        help="a signal to hand over; default: message_received",
    )
    parser.add_argument("--durable", metavar="FILE", help="keep the position in a file")
    parser.add_argument("--lease-file", metavar="FILE", help="wait while another process has it")
    parser.add_argument("--health-file", metavar="FILE", help="touch it while the bot is ready")
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    status = actions.add_parser(
        "status", help="the number of waiting events, for each group and partition"
    )
    add_engine_arguments(status, again=True)
    status.add_argument("--json", action="store_true", help="one JSON object a line")
    dead = actions.add_parser("dead", help="the events that workers have given up")
    changes = dead.add_subparsers(dest="change", metavar="ACTION", required=True)
    listing = changes.add_parser("list", help="print them, the oldest first")
    add_engine_arguments(listing, again=True)
    listing.add_argument("--json", action="store_true", help="one JSON object a line")
    for name, text in (("retry", "put them back"), ("drop", "remove them for good")):
        change = changes.add_parser(name, help=text)
        add_engine_arguments(change, again=True)
        which = change.add_mutually_exclusive_group(required=True)
        which.add_argument("ids", metavar="ID", nargs="*", default=[])
        which.add_argument("--all", action="store_true", help="all dead letters")


def run(arguments: argparse.Namespace) -> int:
    """Do it; return 0."""
    if not arguments.url:
        raise ArgumentValueError("--url is missing, and CONNECTYCUBE_RELAY_URL is not set")
    groups = tuple(arguments.group or ("workers",))
    relay = Relay(arguments.url, arguments.prefix, arguments.partitions, groups=groups)
    try:
        if arguments.action == "status":
            _print_status(relay, as_json=arguments.json)
        elif arguments.action == "dead":
            _dead(relay, arguments)
        else:
            _run(relay, arguments)
    finally:
        relay.close()
    return 0


def _run(relay: Relay, arguments: argparse.Namespace) -> None:
    logging.getLogger("pika").setLevel(logging.CRITICAL)  # the relay says it in one line
    if arguments.bot:
        config, login = _of_profile(arguments.bot)
    else:
        login = _credentials(os.environ)
        config = Config.from_env()
    if arguments.durable:
        config = config.replace(durable=arguments.durable)
    else:
        config = config.replace(cursor_store=relay.cursor(_cursor_name(login)))
    RelayListener(
        relay=relay,
        client_config=config.replace(reconnect=ReconnectPolicy(max_attempts=None)),
        login=login,
        signals=tuple(arguments.signal or ("message_received",)),
        lease_of_bot=FileLease(arguments.lease_file) if arguments.lease_file else None,
        health_file=arguments.health_file,
        say=_say,
    ).run(_SIGNALS)


def _of_profile(name: str) -> tuple[Config, dict[str, str]]:
    """Return the application and the login of a profile; its session of a shell is not used."""
    from .account import account_of
    from .profiles import Profiles

    account = account_of(Profiles(), name)
    login = {"login": account.login, "email": account.email, "password": account.secrets.password}
    return account.config, {key: value for key, value in login.items() if value}


def _cursor_name(login: Mapping[str, str]) -> str:
    """Return the name of a bot's position in the engine, where not every login is a name."""
    name = login.get("login") or login["email"]
    return f"bot-{hashlib.sha256(name.encode()).hexdigest()[:32]}"


def _credentials(environment: Mapping[str, str]) -> dict[str, str]:
    names = {"login": "CONNECTYCUBE_LOGIN", "password": "CONNECTYCUBE_PASSWORD"}
    missing = [name for name in names.values() if not environment.get(name)]
    if missing:
        raise ArgumentValueError(f"{' and '.join(missing)} must be set: the bot logs in with them")
    return {key: environment[name] for key, name in names.items()}


def _say(sentence: str) -> None:
    print(f"connectycube relay: {sentence}", file=sys.stderr, flush=True)


def _print_status(relay: Relay, *, as_json: bool) -> None:
    for each in relay.status():
        if as_json:
            print(json.dumps(_fields(each)))
        else:
            oldest = "" if each.oldest is None else f", the oldest since {each.oldest:.0f} s"
            owner = "" if each.owner is None else f"  ({each.owner})"
            print(
                f"{each.topic}  {each.group}  {each.partition}: {each.waiting} wait{oldest}{owner}"
            )
    count, blocked = len(relay.letters()), relay.blocked()
    if as_json:
        print(json.dumps({"dead": count, "blocked": blocked}))
        return
    print(f"dead letters: {count}")
    if blocked is not None:
        print(f"blocked: {blocked}")


def _fields(status: PartitionStatus) -> dict[str, Any]:
    names = ("topic", "group", "partition", "waiting", "owner", "oldest")
    return {name: getattr(status, name) for name in names}


def _dead(relay: Relay, arguments: argparse.Namespace) -> None:
    letters = relay.letters()
    if arguments.change == "list":
        for letter in letters:
            print(json.dumps(letter.to_dict()) if arguments.json else _line(letter))
        if not letters:
            print("no dead letters", file=sys.stderr)
        return
    ids = [letter.id for letter in letters] if arguments.all else arguments.ids
    if arguments.change == "retry":
        relay.retry_letters(*ids)
        print(f"{len(set(ids))} put back")
    else:
        relay.drop_letters(*ids)
        print(f"{len(set(ids))} dropped")


def _line(letter: Letter) -> str:
    at = letter.at.strftime("%Y-%m-%d %H:%M:%SZ")
    line = f"{letter.id}  {at}  {letter.topic}  {letter.group}  {letter.attempts} attempts, {letter.error}"
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in line
    )
