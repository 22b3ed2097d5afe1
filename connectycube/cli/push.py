"""Push notifications."""

from __future__ import annotations

from typing import Any

import click

from .failure import Failure
from .shell import Shell, group, pass_shell

__all__ = ["push"]


@group()
def push() -> None:
    """Send push notifications."""


@push.command()
@click.argument("text")
@click.option(
    "--user",
    "users",
    multiple=True,
    metavar="USER",
    help="A recipient (an id, or @LOGIN); may be given more than once.",
)
@click.option(
    "--tag", "tags", multiple=True, metavar="TAG", help="Instead: all users with one of these tags."
)
@click.option(
    "--environment",
    type=click.Choice(["production", "development"]),
    default="production",
    help="For devices of this one, usually production.",
)
@click.option(
    "--param",
    "params",
    multiple=True,
    metavar="NAME=VALUE",
    help="A parameter such as ios_badge=1; may be given more than once.",
)
@pass_shell
def send(
    shell: Shell,
    text: str,
    users: tuple[str, ...],
    tags: tuple[str, ...],
    environment: str,
    params: tuple[str, ...],
) -> None:
    """Send TEXT to the devices of users.

    \b
    Examples:
      connectycube push send "Dinner is ready" --user @bob
      connectycube push send "Offers" --tag customers --param ios_badge=1
    """
    from connectycube.contrib.common.sending import named_user

    if bool(users) == bool(tags):
        raise click.UsageError("give --user or --tag, and not both")
    payload: dict[str, Any] = {"message": text}
    for each in params:
        name, equals, value = each.partition("=")
        if not name or not equals:
            raise Failure(f"--param must be NAME=VALUE, not {each!r}", 2)
        is_number = value.isascii() and value.isdigit() and len(value) < 20
        payload[name] = int(value) if is_number else value
    with shell.client() as client:
        events = client.push.send_event(
            payload,
            environment=environment,
            users=[named_user(client, each) for each in users] or None,
            tags_any=list(tags) or None,
        )
    for event in events:
        shell.output.show(event, str(event.id))
