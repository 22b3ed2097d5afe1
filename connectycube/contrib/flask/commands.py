"""``flask connectycube …``: listen, doctor, tail and send; what is wrong ends them with a status."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import click
from attrs import asdict
from flask import current_app
from flask.cli import with_appcontext

from connectycube import (
    ConnectyCube,
    ConnectyCubeError,
    LeaseStoreError,
    Message,
)

from ..common.exit_status import FAILED, sentence_of, status_of
from ..common.health import address_of_port
from ..common.listener import HeldElsewhereError
from ..common.sending import named_address
from ..common.signal_names import SIGNAL_NAMES
from ..common.tailing import check_dialog, show_events
from .conf import LIVE
from .doctor import examine
from .handlers import this_app
from .listener import Listener

__all__ = ["group"]

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_COLOURS = {"ok": "green", "warning": "yellow", "failed": "red"}


class _Failure(click.ClickException):
    """A sentence, and the status that the command ends with."""

    def __init__(self, text: str, status: int = FAILED) -> None:
        super().__init__(text)
        self.exit_code = status  # type: ignore[misc]


@click.group("connectycube")
def group() -> None:
    """ConnectyCube: a bot that listens, and a look at the chat."""


@contextmanager
def _errors_as_sentences() -> Generator[None]:
    try:
        yield
    except LeaseStoreError as error:
        if isinstance(error.__cause__, HeldElsewhereError):
            text = f"{error.__cause__}; without --no-wait this process would wait"
            raise _Failure(text) from None
        raise _Failure(str(error)) from None
    except ConnectyCubeError as error:
        raise _Failure(sentence_of(error), status_of(error)) from None
    except OSError as error:
        raise _Failure(f"{type(error).__name__}: {error}") from None


def _extension() -> Any:
    """Return the FlaskCube of the current application, and check that it may open connections."""
    extension = current_app.extensions["connectycube"]
    backend = extension._clients.backend(testing=current_app.testing)
    if backend != LIVE:
        text = f"the backend is {backend!r}, which opens no connection"
        raise _Failure(f"{text}: set CONNECTYCUBE_BACKEND = 'live'")
    return extension


@contextmanager
def _ended_by_sigterm() -> Generator[None]:
    """Let a signal that comes before the chat waits for signals end the process, with its exit handlers."""
    before = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    try:
        with suppress(KeyboardInterrupt):
            yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _say(sentence: str) -> None:
    click.echo(f"connectycube: {sentence}")
    sys.stdout.flush()


# --- listen -----------------------------------------------------------------------------------------


@group.command()
@click.option(
    "--workers", type=click.IntRange(min=1), help="Threads that call handlers, instead of WORKERS."
)
@click.option(
    "--no-wait",
    is_flag=True,
    help="End with status 1 if another process listens, instead of waiting.",
)
@click.option(
    "--health-file", metavar="FILE", help="Write this file each second while the listener works."
)
@click.option(
    "--health-port",
    metavar="[HOST:]PORT",
    help="Answer HTTP requests with 200 while the listener works, and 503 otherwise.",
)
@with_appcontext
def listen(
    workers: int | None, no_wait: bool, health_file: str | None, health_port: str | None
) -> None:
    """Connect to the chat and call the handlers, until SIGTERM or Ctrl-C.

    One process at a time listens; another one waits for its end.
    """
    address = None
    if health_port is not None:
        try:
            address = address_of_port(health_port)
        except ValueError:
            raise click.UsageError(
                f"--health-port must be a port, or HOST:PORT, not {health_port!r}"
            ) from None
    with _ended_by_sigterm(), _errors_as_sentences():
        extension = _extension()
        Listener(
            app=this_app(),
            clients=extension._clients,
            handlers=extension.handlers,
            workers=workers,
            waits=not no_wait,
            health_file=health_file,
            health_address=address,
            say=_say,
        ).run(_SIGNALS)


# --- doctor -----------------------------------------------------------------------------------------


@group.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@with_appcontext
def doctor(as_json: bool) -> None:
    """Look at the configuration, the handlers and the service, and say what to do."""
    extension = current_app.extensions["connectycube"]
    failed = 0
    app = this_app()
    for finding in examine(app, extension._clients, extension.handlers):
        failed += finding.state == "failed"
        if as_json:
            click.echo(json.dumps(asdict(finding)))
            continue
        state = click.style(f"{finding.state:8}", fg=_COLOURS[finding.state])
        click.echo(f"{state} {finding.what}{f': {finding.why}' if finding.why else ''}")
        if finding.hint:
            click.echo(f"         {finding.hint}")
    if failed:
        raise _Failure(f"{failed} failed")


# --- tail -------------------------------------------------------------------------------------------


@group.command()
@click.argument("dialog", required=False)
@click.option(
    "--signal",
    "signals",
    multiple=True,
    type=click.Choice(SIGNAL_NAMES),
    metavar="NAME",
    help="Show the events of this signal; may be given more than once. Default: messages.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@with_appcontext
def tail(dialog: str | None, signals: tuple[str, ...], as_json: bool) -> None:
    """Show the messages of the application's user as they come, beside its listener, until Ctrl-C.

    With DIALOG, the id of a dialog, those of that dialog alone.
    """
    with _ended_by_sigterm(), _errors_as_sentences():
        settings = _extension()._clients.settings
        # It takes nothing from the listener: no file, no cursor, no 'delivered'.
        config = settings.config().replace(
            durable=None, cursor_store=None, auto_delivered=False, fill_gaps=False
        )
        with ConnectyCube(config=config) as client:
            client.login(**settings.credentials())
            check_dialog(client, dialog)
            show_events(client.chat, signals, dialog, partial(_show, as_json), key="tail")
            client.chat.login()
            client.chat.wait(signals=_SIGNALS)


def _show(as_json: bool, name: str, event: Any) -> None:
    if as_json:
        line = json.dumps(event.to_dict())
    elif isinstance(event, Message):
        line = f"{event.dialog_id or '-'} {event.sender_id}: {event.body or '(no text)'}"
    else:
        line = f"{name} {event}"
    click.echo(line)
    sys.stdout.flush()


# --- send -------------------------------------------------------------------------------------------


@group.command()
@click.argument("to")
@click.argument("text", required=False)
@with_appcontext
def send(to: str, text: str | None) -> None:
    """Send TEXT to a dialog (its id), a user (a number) or @LOGIN; without TEXT, each line of the input."""
    with _errors_as_sentences():
        extension = _extension()
        address = named_address(extension.client, to)
        for line in [text] if text is not None else _lines():
            message = extension.send(address, line)
            click.echo(message.id)


def _lines() -> Iterator[str]:
    for line in sys.stdin:
        if line.strip():
            yield line.rstrip("\n")
