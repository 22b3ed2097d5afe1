"""Show the events of the chat as they arrive, and send them to a program."""

from __future__ import annotations

import click

from connectycube.contrib.common.signal_names import SIGNAL_NAMES

from .shell import DialogId, Shell, command, pass_shell

__all__ = ["tail"]


@command()
@click.argument("dialog", metavar="[DIALOG]", required=False, type=DialogId())
@click.option(
    "--signal",
    "signals",
    multiple=True,
    type=click.Choice(SIGNAL_NAMES),
    metavar="NAME",
    help="Show the events of this signal, instead of messages; may be given more than once.",
)
@click.option("--forward-to", metavar="URL", help="Send each event to this URL, by POST, as JSON.")
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="End after N events.")
@pass_shell
def tail(
    shell: Shell,
    dialog: str | None,
    signals: tuple[str, ...],
    forward_to: str | None,
    count: int | None,
) -> int:
    """Show messages as they come, until Ctrl-C; with DIALOG, the id of a dialog, those of that one.

    Nothing is taken from other programs of the user: nothing is reported as delivered or read. A lost
    connection comes back by itself, and the messages of the time between are shown.

    With --forward-to each event is sent to a program of yours, in order; it is sent again for a minute as
    long as that program is out of reach or answers with 429 or 5xx.

    \b
    Examples:
      connectycube tail --json | jq .body
      connectycube tail --signal message_edited --signal message_deleted
      connectycube tail --forward-to http://localhost:8000/hook
    """
    from .tailing import Tail  # late: --help needs none of it

    return Tail(shell=shell, dialog=dialog, forward_to=forward_to, count=count).run(signals)
