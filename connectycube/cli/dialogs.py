"""The dialogs of the user: list, show, create, update and delete them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .failure import Failure
from .printable import local_time, one_line
from .shell import DialogId, Shell, command, group, pass_shell

if TYPE_CHECKING:
    from connectycube import ConnectyCube, Dialog

    from .people import People

__all__ = ["dialog", "dialogs"]

_F = TypeVar("_F", bound=Callable[..., Any])

_TYPES = ("private", "group", "public", "broadcast", "meeting")


def _users(name: str, help_text: str) -> Callable[[_F], _F]:
    return click.option(
        f"--{name}",
        name.replace("-", "_"),
        multiple=True,
        metavar="USER",
        help=f"{help_text} (an id, or @LOGIN); may be given more than once.",
    )


@command()
@click.option(
    "--type", "types", multiple=True, type=click.Choice(_TYPES), help="Of this type alone."
)
@click.option("--name", metavar="TEXT", help="With this text in their name.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=30, metavar="N", help="At most N, usually 30."
)
@pass_shell
def dialogs(shell: Shell, types: tuple[str, ...], name: str | None, limit: int) -> None:
    """List the dialogs of the user, those with the newest message first."""
    from connectycube import DialogType

    lookups: Any = {}
    if types:
        lookups["type__in"] = [DialogType[each.upper()] for each in types]
    if name is not None:
        lookups["name__contains"] = name
    with shell.client() as client:
        found = islice(client.dialogs.iter(**lookups), limit)
        count = shell.output.table(
            ("id", "type", "name", "unread", "last message", "at"),
            ((each, _row(each)) for each in found),
        )
    if not count:
        shell.output.note("no dialogs")


def _row(found: Dialog) -> tuple[object, ...]:
    return (
        found.id,
        _type(found),
        one_line(found.name or "", 40),
        found.unread_messages_count or "",
        one_line(found.last_message or "", 40),
        local_time(found.last_message_date_sent, "%Y-%m-%d %H:%M"),
    )


def _type(found: Dialog) -> str:
    return found.type.name.lower() if found.type is not None else str(found.extra.get("type", "?"))


@group()
def dialog() -> None:
    """Show, create, update and delete one dialog."""


@dialog.command()
@click.argument("dialog_id", metavar="DIALOG", type=DialogId())
@pass_shell
def show(shell: Shell, dialog_id: str) -> None:
    """Show a dialog, with its users."""
    from .people import People

    with shell.client() as client:
        _print(shell, client.dialogs.get(dialog_id), People(client))


@dialog.command()
@click.argument("name", required=False, metavar="[NAME]")
@_users("user", "A user to be in it")
@click.option("--public", is_flag=True, help="Any user of the application may enter it.")
@click.option("--description", metavar="TEXT", help="What it is about.")
@click.option("--photo", metavar="UID", help="The picture: the uid of an uploaded file, or a URL.")
@pass_shell
def create(
    shell: Shell, /, name: str | None, user: tuple[str, ...], public: bool, **more: Any
) -> None:
    """Create a dialog: a group with a NAME, or without one the private dialog with one user.

    \b
    Examples:
      connectycube dialog create --user @bob
      connectycube dialog create Hikers --user @bob --user @eve
      connectycube dialog create News --public
    """
    if name is None and (len(user) != 1 or public or any(more.values())):
        raise click.UsageError(
            "a private dialog has one --user and nothing else; others have a NAME"
        )
    if name is not None and not public and not user:
        raise click.UsageError("a group has at least one --user")
    if public and user:
        raise click.UsageError("users enter a public dialog themselves: leave out --user")
    with shell.client() as client:
        ids = _ids(client, user)
        if name is None:
            made = client.dialogs.create_private(ids[0])
        elif public:
            made = client.dialogs.create_public(name, **more)
        else:
            made = client.dialogs.create_group(name, ids, **more)
        shell.output.show(made, str(made.id))


@dialog.command()
@click.argument("dialog_id", metavar="DIALOG", type=DialogId())
@click.option("--name", metavar="TEXT", help="The new name.")
@click.option("--description", metavar="TEXT", help="What it is about; empty clears it.")
@click.option("--photo", metavar="UID", help="The picture; empty clears it.")
@_users("add-user", "A user to add")
@_users("remove-user", "A user to remove")
@_users("add-admin", "A user to make an admin")
@_users("remove-admin", "A user to be an admin no longer")
@pass_shell
def update(
    shell: Shell,
    /,
    dialog_id: str,
    add_user: tuple[str, ...],
    remove_user: tuple[str, ...],
    add_admin: tuple[str, ...],
    remove_admin: tuple[str, ...],
    **texts: Any,
) -> None:
    """Change a dialog; what is not given stays as it is."""
    given = {key: text for key, text in texts.items() if text is not None}
    if not any((given, add_user, remove_user, add_admin, remove_admin)):
        raise click.UsageError("there is nothing to change: give an option")
    with shell.client() as client:
        changed = client.dialogs.update(
            dialog_id,
            add_occupants=_ids(client, add_user),
            remove_occupants=_ids(client, remove_user),
            add_admins=_ids(client, add_admin),
            remove_admins=_ids(client, remove_admin),
            **given,
        )
        shell.output.show(changed, str(changed.id))


@dialog.command()
@click.argument("dialog_ids", metavar="DIALOG...", nargs=-1, required=True, type=DialogId())
@click.option("--for-all", is_flag=True, help="For everybody, not for this user alone.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_shell
def delete(shell: Shell, dialog_ids: tuple[str, ...], for_all: bool, yes: bool) -> None:
    """Delete dialogs, for this user alone or for everybody."""
    what = "1 dialog" if len(dialog_ids) == 1 else f"{len(dialog_ids)} dialogs"
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("there is no terminal to ask on: give --yes")
        whom = "everybody" if for_all else "you"
        click.confirm(f"Delete {what} for {whom}, with the messages?", abort=True, err=True)
    with shell.client() as client:
        # One alone that cannot be deleted raises; of several the result says it.
        which = dialog_ids[0] if len(dialog_ids) == 1 else list(dialog_ids)
        result = client.dialogs.delete(which, force=for_all)
    output = shell.output
    output.show(result, "\n".join(result.deleted))
    for ids, why in ((result.not_found, "not there"), (result.not_permitted, "not permitted")):
        for each in ids:
            output.note(f"{each}: {why}", "bad")
    if result.not_found or result.not_permitted:
        raise Failure("not all were deleted", 5 if result.not_found else 1)


def _ids(client: ConnectyCube, users: tuple[str, ...]) -> list[int]:
    from connectycube.contrib.common.sending import named_user

    return [named_user(client, each) for each in users]


def _print(shell: Shell, found: Dialog, people: People) -> None:
    output = shell.output
    if output.as_json:
        output.show(found, "")
        return
    names = ", ".join(people.name(each) for each in found.occupants_ids[:20])
    more = len(found.occupants_ids) - 20
    output.fields(
        [
            ("id", found.id),
            ("type", _type(found)),
            ("name", found.name),
            ("description", found.description),
            ("owner", people.name(found.user_id) if found.user_id else None),
            ("users", f"{names} and {more} more" if more > 0 else names),
            ("admins", ", ".join(people.name(each) for each in found.admins_ids)),
            ("unread", found.unread_messages_count),
            ("last message", one_line(found.last_message or "")),
            ("created", found.created_at),
        ]
    )
