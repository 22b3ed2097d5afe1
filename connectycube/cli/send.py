"""Send messages: one that is given, or one for each line of standard input."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import click

from connectycube.errors import ConnectyCubeError

from .failure import Failure
from .shell import Shell, command, pass_shell

if TYPE_CHECKING:
    from connectycube import ConnectyCube, File

__all__ = ["send"]


@command()
@click.argument("to")
@click.argument("text", metavar="[TEXT]", required=False)
@click.option(
    "--attach",
    "paths",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="Upload this file and attach it; may be given more than once.",
)
@click.option(
    "--param",
    "params",
    multiple=True,
    metavar="NAME=VALUE",
    help="A custom parameter; may be given more than once.",
)
@click.option("--silent", is_flag=True, help="Without a push notification.")
@pass_shell
def send(
    shell: Shell,
    to: str,
    text: str | None,
    paths: tuple[str, ...],
    params: tuple[str, ...],
    silent: bool,
) -> None:
    """Send TEXT to TO: the id of a dialog, the id of a user (a number), or @LOGIN.

    Without TEXT and FILE, each line of standard input that is not blank is a message. The id of each message
    is printed; with --json the message, as the service stored it.

    \b
    Examples:
      connectycube send @bob "Hello Bob"
      connectycube send @bob --attach cat.jpg
      uptime | connectycube send DIALOG
    """
    from connectycube.contrib.common.sending import named_address

    custom = dict(map(_pair, params))
    output = shell.output
    sent = 0
    with shell.client() as client:
        address = named_address(client, to)
        try:
            for body in _texts(shell, text, has_files=bool(paths)):
                with _uploaded(client, paths) as files:
                    message = client.messages.create(
                        address,
                        body,
                        attachments=files,
                        custom=custom,
                        silent=silent or None,
                        send_to_chat=True,
                    )
                sent += 1
                output.show(message, str(message.id))
        except ConnectyCubeError:
            if sent:
                output.note(f"{sent} {'message was' if sent == 1 else 'messages were'} sent before")
            raise
    if not sent:
        raise Failure("there is nothing to send: standard input has no lines", 2)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise Failure(f"--param must be NAME=VALUE, not {text!r}", 2)
    return name, value


def _texts(shell: Shell, text: str | None, *, has_files: bool) -> Iterator[str]:
    if text is not None or has_files:
        yield text or ""
        return
    if sys.stdin.isatty():
        shell.output.note("each line is a message; Ctrl-D ends", "faint")
    for line in sys.stdin:
        if line.strip():
            yield line.rstrip("\r\n")


@contextmanager
def _uploaded(client: ConnectyCube, paths: Sequence[str]) -> Generator[list[File]]:
    """Yield the files of a message, once they are uploaded; delete them if the message is not sent."""
    files: list[File] = []
    try:
        files.extend(client.files.upload(path) for path in paths)
        yield files
    except BaseException:
        for file in files:
            with suppress(ConnectyCubeError):
                client.files.delete(file)
        raise
