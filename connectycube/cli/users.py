"""The users of the application: find, show and create them, and list those that are online."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from .printable import local_time
from .prompts import new_password
from .shell import Shell, group, pass_shell

if TYPE_CHECKING:
    from connectycube import User

__all__ = ["users"]

_COLUMNS = ("id", "login", "name", "email", "last seen")


@group()
def users() -> None:
    """Find, show and create users, and list those that are online."""


@users.command("list")
@click.option("--login", "logins", multiple=True, metavar="LOGIN", help="With one of these logins.")
@click.option(
    "--email", "emails", multiple=True, metavar="ADDRESS", help="With one of these addresses."
)
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="With one of these tags.")
@click.option("--id", "ids", multiple=True, type=int, metavar="N", help="With one of these ids.")
@click.option("--name", metavar="TEXT", help="Whose name begins so: four characters or more.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=100, metavar="N", help="At most N, usually 100."
)
@pass_shell
def list_users(
    shell: Shell,
    logins: tuple[str, ...],
    emails: tuple[str, ...],
    tags: tuple[str, ...],
    ids: tuple[int, ...],
    name: str | None,
    limit: int,
) -> None:
    """List users, by one option at least: the service does not list all of them."""
    given = {"login__in": logins, "email__in": emails, "tags__in": tags, "id__in": ids}
    lookups: Any = {key: list(values) for key, values in given.items() if values}
    if name is not None:
        lookups["full_name__startswith"] = name
    if not lookups:
        raise click.UsageError("give --login, --email, --tag, --id or --name")
    with shell.client() as client:
        # The service finds a name's beginning on one page alone.
        found = client.users.list(**lookups) if name is not None else client.users.iter(**lookups)
        _table(shell, islice(found, limit))


@users.command()
@click.argument("user", metavar="USER")
@pass_shell
def show(shell: Shell, user: str) -> None:
    """Show a user: an id, or @LOGIN."""
    from connectycube.contrib.common.sending import named_user

    with shell.client() as client:
        found = client.users.get(named_user(client, user))
    output = shell.output
    if output.as_json:
        output.show(found, "")
        return
    output.fields(
        [
            ("id", found.id),
            ("login", found.login),
            ("name", found.full_name),
            ("email", found.email),
            ("phone", found.phone),
            ("tags", ", ".join(found.tags)),
            ("created", found.created_at),
            ("last seen", found.last_request_at),
        ]
    )


@users.command()
@click.argument("login")
@click.option("--name", "full_name", metavar="TEXT", help="The name to show.")
@click.option("--email", metavar="ADDRESS", help="The address.")
@click.option("--phone", metavar="NUMBER", help="The phone number.")
@click.option(
    "--tag", "tags", multiple=True, metavar="TAG", help="A tag; may be given more than once."
)
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@pass_shell
def create(
    shell: Shell, /, login: str, password_stdin: bool, tags: tuple[str, ...], **fields: Any
) -> None:
    """Create the user LOGIN of the application; the password is asked for."""
    secrets = new_password(from_stdin=password_stdin)
    with shell.client() as client:
        made = client.users.create(
            login=login, password=secrets.password or "", tags=tags or None, **fields
        )
    shell.output.show(made, str(made.id))


@users.command()
@click.option("--count", "only_count", is_flag=True, help="Print their number alone.")
@click.option(
    "--limit", type=click.IntRange(1, 100), default=100, metavar="N", help="At most N, usually 100."
)
@pass_shell
def online(shell: Shell, only_count: bool, limit: int) -> None:
    """List the users who are connected to the chat."""
    with shell.client() as client:
        if only_count:
            count = client.users.online_count()
            shell.output.show({"count": count}, str(count))
        else:
            _table(shell, client.users.online(limit=limit))


def _table(shell: Shell, found: Iterable[User]) -> None:
    rows = (
        (
            each,
            (
                each.id,
                each.login,
                each.full_name,
                each.email,
                local_time(each.last_request_at, "%Y-%m-%d %H:%M"),
            ),
        )
        for each in found
    )
    if not shell.output.table(_COLUMNS, rows):
        print("no users", file=sys.stderr)
