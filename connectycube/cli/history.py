"""The history of a dialog: on the terminal, or exported into a file."""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from connectycube.errors import ConnectyCubeError

from .formats import FORMATS, format_of
from .printable import local_time, printable
from .shell import DialogId, Shell, command, pass_shell

if TYPE_CHECKING:
    from connectycube import ConnectyCube, Message

    from .export_file import ExportFile
    from .output import Output
    from .people import People

    _ParamType = click.ParamType[datetime, object]
else:  # older releases of click know no arguments of the class
    _ParamType = click.ParamType

__all__ = ["Moment", "check_export", "export_all", "history"]

_SHOWN = 20
_SPAN = re.compile(r"(\d{1,6})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Moment(_ParamType):
    """A moment as people write it; without a time zone it is that of this machine."""

    name = "moment"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Return an aware moment."""
        if isinstance(value, datetime):
            return value
        span = _SPAN.fullmatch(value)
        try:
            if span is not None:
                return datetime.now(timezone.utc) - timedelta(**{_UNITS[span[2]]: int(span[1])})
            return datetime.fromisoformat(value).astimezone()
        except (ValueError, OverflowError, OSError):  # the last one on Windows, before 1970
            self.fail(f"{value!r} is no date like 2026-11-30, and no span like 2d or 12h")


@command()
@click.argument("dialog", type=DialogId())
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    help=f"Show the newest N, usually {_SHOWN}.",
)
@click.option("--since", type=Moment(), metavar="WHEN", help="From this date on, or 2d, 12h ago.")
@click.option("--export", "form", type=click.Choice(FORMATS), help="All of it, in this format.")
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
def history(
    shell: Shell,
    dialog: str,
    limit: int | None,
    since: datetime | None,
    form: str | None,
    path: str | None,
    resume: bool,
    overwrite: bool,
) -> None:
    """Show the newest messages of DIALOG, or export all of them, the oldest first.

    Nothing is marked as read. An export that was interrupted, or killed, left FILE.resume beside FILE; with
    --resume it goes on there, and no message comes twice. If --resume was given to an export that was
    complete, the next one with --resume adds what is new.

    \b
    Examples:
      connectycube history DIALOG
      connectycube history DIALOG --since 2d --json
      connectycube history DIALOG --export html -o chat.html
      connectycube history DIALOG --export jsonl -o all.jsonl --resume
    """
    check_export(form, limit, path, resume, overwrite)
    from .export_file import ExportFile  # late: --help needs none of it
    from .people import People

    output = shell.output
    with shell.client() as client:
        people = People(client)
        found = client.dialogs.get(dialog)
        if form is None:
            for message in _newest(client, dialog, limit, since):
                output.show(message, "" if output.as_json else _line(output, people, message))
            return
        made = format_of(form, found.name or f"Dialog {dialog}", people.name)
        if path is None:
            output.raw(made.head)
            for message in _messages(client, dialog, since):
                output.raw(made.text(message))
            output.raw(made.foot)
            return
        what = {"dialog": dialog, "format": form}
        export = ExportFile(path=Path(path), format=made, what=what)
        given: Any = {} if since is None else {"date_sent__gte": since}
        export_all(
            output,
            export,
            lambda export: _messages(client, dialog, export.last or since),
            lambda: client.messages.count(dialog, **given),
            resume=resume,
            overwrite=overwrite,
        )


def check_export(
    form: str | None, limit: int | None, path: str | None, resume: bool, overwrite: bool
) -> None:
    """Refuse options of an export that contradict each other."""
    if form is None and (path is not None or resume or overwrite):
        raise click.UsageError("-o, --resume and --overwrite need --export")
    if form is not None and limit is not None:
        raise click.UsageError("--limit is not for an export: use --since")
    if path is None and (resume or overwrite):
        raise click.UsageError("--resume and --overwrite need -o FILE")


def _newest(
    client: ConnectyCube, dialog: str, limit: int | None, since: datetime | None
) -> Iterable[Message]:
    """Return the newest messages, the oldest of them first."""
    if since is not None and limit is None:
        return _messages(client, dialog, since)
    given: Any = {} if since is None else {"date_sent__gte": since}
    page_size = min(limit or _SHOWN, 100)
    found = client.messages.iter(
        dialog, sort="-date_sent", mark_as_read=False, page_size=page_size, **given
    )
    return reversed(list(itertools.islice(found, limit or _SHOWN)))


def _messages(client: ConnectyCube, dialog: str, since: datetime | None) -> Iterator[Message]:
    given: Any = {} if since is None else {"date_sent__gte": since}
    return client.messages.iter(dialog, mark_as_read=False, **given)


def _line(output: Output, people: People, message: Message) -> str:
    when = local_time(message.date_sent, "%Y-%m-%d %H:%M:%S") or "-"
    body = "\n  ".join(printable(line) for line in (message.body or "").splitlines())
    files = "".join(
        f" [{each.type}: {each.name or each.url or each.uid}]" for each in message.attachments
    )
    who = output.styled(printable(people.name(message.sender_id)), "strong")
    return f"{output.styled(when, 'faint')} {who}: {body}{printable(files)}"


def export_all(
    output: Output,
    export: ExportFile,
    messages: Callable[[ExportFile], Iterable[Message]],
    count: Callable[[], int],
    *,
    resume: bool,
    overwrite: bool,
) -> None:
    """Export messages into a file, with a progress bar.

    Args:
        output: Where is said how far it is.
        export: The file.
        messages: Returns the messages that are to be in the file, from where it is.
        count: Returns the number of all messages, for the bar.
        resume: Whether to go on with the file.
        overwrite: Whether to replace it.
    """
    try:
        with export.opened(resume=resume, overwrite=overwrite), _progress(count, export) as advance:
            for message in messages(export):
                export.add(message)
                advance(export.count)
    except (ConnectyCubeError, KeyboardInterrupt):
        output.note(
            f"{export.count} messages are in {export.path}; --resume goes on there", "careful"
        )
        raise
    output.note(f"{export.count} messages are in {export.path}")


@contextmanager
def _progress(count: Callable[[], int], export: ExportFile) -> Generator[Callable[[int], object]]:
    """Yield a function that shows the progress, on standard error and only on a terminal."""
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=count(), completed=export.count)
        yield lambda done: bar.update(task, completed=done)
