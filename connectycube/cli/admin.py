"""The Administration API: dialogs and messages of all users, deletion of users, statistics, and its key."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from attrs import evolve

from connectycube.errors import NotFoundError

from .failure import Failure
from .history import Moment, check_export, export_all
from .printable import one_line
from .prompts import ask, key_from_stdin
from .secret_store import Secrets
from .shell import Shell, group, pass_shell

if TYPE_CHECKING:
    from connectycube import AdminDialog, AdminMessage, ConnectyCube

    from .export_file import ExportFile

__all__ = ["admin"]

_TYPES = ("private", "group", "public", "broadcast", "meeting")
_SINCE = click.option(
    "--since", type=Moment(), metavar="WHEN", help="From this date on, or 2d, 12h ago."
)


@group()
def admin() -> None:
    """Read and change what all users of the application have.

    The key of the Administration API is kept by 'admin key', or in CONNECTYCUBE_ADMIN_KEY. Nobody has to be
    logged in.
    """


@admin.command()
@click.option("--key-stdin", is_flag=True, help="Read the key from standard input.")
@click.option("--forget", is_flag=True, help="Forget the key.")
@pass_shell
def key(shell: Shell, key_stdin: bool, forget: bool) -> None:
    """Keep the key of the Administration API beside the other secrets of the profile.

    It is read from the terminal, or from standard input: other users of this machine could see arguments.
    """
    from .account import ENVIRONMENT, chosen_name

    known = shell.profiles
    name = chosen_name(known, shell.profile)
    if name == ENVIRONMENT:
        raise Failure("the application is that of the environment: set CONNECTYCUBE_ADMIN_KEY", 2)
    profile = known.get(name)
    if profile is None:
        raise known.unknown(name)
    secrets = Secrets()
    if key_stdin and not forget:
        secrets = key_from_stdin()
    elif not forget:
        secrets = Secrets(admin_key=ask("Key", "use --key-stdin", secret=True))
    store = known.store_of(profile)
    store.save(name, evolve(store.load(name), admin_key=secrets.admin_key))
    shell.output.note(f"the key is {'forgotten' if forget else 'kept'}, profile {name}")


# --- dialogs --------------------------------------------------------------------------------------


@admin.command()
@click.option(
    "--type", "types", multiple=True, type=click.Choice(_TYPES), help="Of this type alone."
)
@click.option("--name", metavar="TEXT", help="With this text in their name.")
@_SINCE
@click.option(
    "--limit", type=click.IntRange(min=1), default=30, metavar="N", help="At most N, usually 30."
)
@pass_shell
def dialogs(
    shell: Shell, types: tuple[str, ...], name: str | None, since: datetime | None, limit: int
) -> None:
    """List the dialogs of all users, the newest first; with --since those that were changed."""
    from connectycube import DialogType

    lookups: Any = {} if since is None else {"updated_at__gte": since}
    if types:
        lookups["type__in"] = [DialogType[each.upper()] for each in types]
    if name is not None:
        lookups["name__contains"] = name
    with shell.administration() as client:
        found = islice(client.admin.dialogs.iter(sort="-id", **lookups), limit)
        count = shell.output.table(
            ("id", "type", "name", "owner", "users", "last message", "changed"),
            ((each, _row(each)) for each in found),
        )
    if not count:
        shell.output.note("no dialogs")


def _row(found: AdminDialog) -> tuple[object, ...]:
    at = found.updated_at
    return (
        found.id,
        found.type.name.lower() if found.type is not None else found.extra.get("type", "?"),
        one_line(found.name or "", 40),
        found.user_id,
        found.occupants_count or len(found.occupants_ids) or "",
        one_line(found.last_message or "", 40),
        f"{at.astimezone():%Y-%m-%d %H:%M}" if at is not None else "",
    )


@admin.group()
def dialog() -> None:
    """Change a dialog of any users, or mute it for one of them."""


@dialog.command()
@click.argument("dialog_id", metavar="DIALOG")
@click.option("--name", metavar="TEXT", help="The new name.")
@click.option("--description", metavar="TEXT", help="What it is about; empty clears it.")
@click.option("--photo", metavar="UID", help="The picture; empty clears it.")
@click.option(
    "--add-user", "add_occupants", multiple=True, type=int, metavar="ID", help="Add a user."
)
@click.option(
    "--remove-user",
    "remove_occupants",
    multiple=True,
    type=int,
    metavar="ID",
    help="Remove a user.",
)
@click.option(
    "--add-admin", "add_admins", multiple=True, type=int, metavar="ID", help="Make an admin."
)
@click.option(
    "--remove-admin",
    "remove_admins",
    multiple=True,
    type=int,
    metavar="ID",
    help="An admin no longer.",
)
@pass_shell
def update(shell: Shell, /, dialog_id: str, **changes: Any) -> None:
    """Change a dialog, whatever the roles of its users; what is not given stays as it is."""
    given = {key: value for key, value in changes.items() if value not in (None, ())}
    if not given:
        raise click.UsageError("there is nothing to change: give an option")
    with shell.administration() as client:
        changed = client.admin.dialogs.update(dialog_id, **given)
    shell.output.show(changed, str(changed.id))


@dialog.command()
@click.argument("dialog_id", metavar="DIALOG")
@click.argument("user_id", metavar="USER", type=int)
@pass_shell
def mute(shell: Shell, dialog_id: str, user_id: int) -> None:
    """Turn the push notifications of a dialog off for one of its users."""
    with shell.administration() as client:
        changed = client.admin.dialogs.mute(dialog_id, user_id)
    shell.output.show(changed, str(changed.id))


@dialog.command()
@click.argument("dialog_id", metavar="DIALOG")
@click.argument("user_id", metavar="USER", type=int)
@pass_shell
def unmute(shell: Shell, dialog_id: str, user_id: int) -> None:
    """Turn the push notifications of a dialog on again for one of its users."""
    with shell.administration() as client:
        changed = client.admin.dialogs.unmute(dialog_id, user_id)
    shell.output.show(changed, str(changed.id))


# --- messages -------------------------------------------------------------------------------------


@admin.command()
@click.option("--dialog", "dialog_id", metavar="DIALOG", help="Of this dialog alone.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Show N, usually 20.")
@_SINCE
@click.option("--export", "form", type=click.Choice(["jsonl"]), help="All of them, as JSON lines.")
@click.option(
    "-o",
    "--output",
    "path",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Export into FILE.",
)
@click.option("--resume", is_flag=True, help="Go on with FILE, where an earlier export has ended.")
@click.option("--overwrite", is_flag=True, help="Replace FILE if it exists.")
@pass_shell
def messages(
    shell: Shell,
    dialog_id: str | None,
    limit: int | None,
    since: datetime | None,
    form: str | None,
    path: str | None,
    resume: bool,
    overwrite: bool,
) -> None:
    """Show messages of all dialogs, or export all of them, in the order of their ids.

    With --since those that were written or changed. Nothing is marked as read. An export that was
    interrupted, or killed, goes on with --resume. Ids are made by clients: a message that comes late may have
    a smaller id, so --resume is no way to keep a copy up to date.

    \b
    Examples:
      connectycube admin messages --since 1h --json
      connectycube admin messages --export jsonl -o all.jsonl --resume
    """
    check_export(form, limit, path, resume, overwrite)
    output = shell.output
    lookups: Any = {} if since is None else {"updated_at__gte": since}
    if dialog_id is not None:
        lookups["dialog"] = dialog_id
    with shell.administration() as client:
        listed = client.admin.messages
        if form is None:
            newest = list(islice(listed.iter(sort="-id", **lookups), limit or 20))
            for message in reversed(newest):
                output.show(message, "" if output.as_json else _line(shell, message))
            return
        if path is None:
            for message in listed.iter(**lookups):
                output.line(output.json_of(message))
            return
        export_all(
            output,
            _file(path, form, dialog_id),
            lambda export: listed.iter(after=export.last_id, **lookups),
            lambda: listed.count(**lookups),
            resume=resume,
            overwrite=overwrite,
        )


def _file(path: str, form: str, dialog_id: str | None) -> ExportFile:
    from .export_file import ExportFile  # late: --help needs none of it
    from .formats import format_of

    what = {"messages of": dialog_id or "all dialogs", "format": form}
    return ExportFile(path=Path(path), format=format_of(form, "", str), what=what)


def _line(shell: Shell, message: AdminMessage) -> str:
    output, at = shell.output, message.date_sent
    when = f"{at.astimezone():%Y-%m-%d %H:%M:%S}" if at is not None else "-"
    place = output.styled(f"{when} {message.dialog_id}", "faint")
    who = output.styled(f"user {message.sender_id}", "strong")
    files = f" [{len(message.attachments)} files]" if message.attachments else ""
    return f"{place} {who}: {one_line(message.body or '', 200)}{files}"


# --- users and statistics -------------------------------------------------------------------------


@admin.group()
def users() -> None:
    """Delete users."""


@users.command()
@click.argument("user_ids", metavar="USER...", nargs=-1, required=True, type=click.IntRange(min=1))
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_shell
def delete(shell: Shell, user_ids: tuple[int, ...], yes: bool) -> None:
    """Delete the users with these ids. There is no way back."""
    what = "1 user" if len(user_ids) == 1 else f"{len(user_ids)} users"
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("there is no terminal to ask on: give --yes")
        click.confirm(f"Delete {what} forever?", abort=True, err=True)
    missing: list[int] = []
    with shell.administration() as client:
        for user_id in dict.fromkeys(user_ids):
            try:
                client.admin.users.delete(user_id)
            except NotFoundError:
                shell.output.note(f"{user_id}: not there", "bad")
                missing.append(user_id)
            else:
                shell.output.show({"deleted": user_id}, str(user_id))
    if missing:
        raise Failure("not all were deleted", 5)


@admin.command()
@_SINCE
@click.option("--until", type=Moment(), metavar="WHEN", help="Up to this date.")
@click.option("--per-day", is_flag=True, help="A line for each day.")
@click.option("--dialogs", "of_dialogs", is_flag=True, help="New dialogs in place of messages.")
@pass_shell
def statistics(
    shell: Shell,
    since: datetime | None,
    until: datetime | None,
    per_day: bool,
    of_dialogs: bool,
) -> None:
    """Count the messages that were sent, or the dialogs that were created."""
    with shell.administration() as client:
        if not per_day:
            total = _total(client, since, until, of_dialogs)
            shell.output.show({"total": total}, str(total))
            return
        counts = client.admin.statistics
        days = (
            counts.iter_dialogs_created_per_day if of_dialogs else counts.iter_messages_sent_per_day
        )
        rows: Iterable[Any] = (
            ({"day": f"{each.day}", "count": each.count}, (each.day, each.count))
            for each in days(since, until)
        )
        shell.output.table(("day", "count"), rows)


def _total(
    client: ConnectyCube, since: datetime | None, until: datetime | None, of_dialogs: bool
) -> int:
    counts = client.admin.statistics
    return (counts.dialogs_created if of_dialogs else counts.messages_sent)(since, until)
