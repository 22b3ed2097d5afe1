"""Files of the service: upload and download them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import PurePosixPath

import click

from .failure import Failure
from .shell import Shell, command, pass_shell

__all__ = ["download", "upload"]


@command()
@click.argument("path", metavar="FILE", type=click.Path(exists=True, dir_okay=False))
@click.option("--name", metavar="TEXT", help="The name at the service, usually that of FILE.")
@click.option("--type", "content_type", metavar="MIME", help="The type, usually by the name.")
@click.option("--public", is_flag=True, help="Anybody who knows its uid may read it.")
@pass_shell
def upload(
    shell: Shell, path: str, name: str | None, content_type: str | None, public: bool
) -> None:
    """Upload FILE; the uid is printed, which names it in messages and to download it."""
    with shell.client() as client, _progress() as progress:
        file = client.files.upload(
            path, name=name, content_type=content_type, public=public, progress=progress
        )
    shell.output.show(file, str(file.uid))


@command()
@click.argument("uid")
@click.option(
    "-o", "--output", "path", metavar="FILE", help="The file to write, or - for standard output."
)
@click.option("--overwrite", is_flag=True, help="Replace FILE if it exists.")
@pass_shell
def download(shell: Shell, uid: str, path: str | None, overwrite: bool) -> None:
    """Download the file UID, into a file of its own name if none is given.

    There is the whole file or none: what was there before stays until the download is complete.
    """
    with shell.client() as client:
        if path == "-":
            sys.stdout.flush()
            client.files.download(uid, to=sys.stdout.buffer)
            sys.stdout.buffer.flush()
            return
        if path is None:
            path = _own_name(client.files.get_by_uid(uid).name, uid)
        if os.path.lexists(path) and not overwrite:
            raise Failure(f"{path} is there already: use --overwrite, or -o FILE", 2)
        with _progress() as progress:
            size = client.files.download(uid, to=path, progress=progress)
    shell.output.show({"path": path, "size": size}, path)


def _own_name(name: str | None, uid: str) -> str:
    """Return a name in the current folder: other users gave it, so it leads nowhere else."""
    own = PurePosixPath((name or "").replace("\\", "/")).name.lstrip(".")
    return own if own.isprintable() and own else PurePosixPath(uid).name


@contextmanager
def _progress() -> Generator[Callable[[int, int | None], None] | None]:
    """Yield what shows the progress, on standard error and only on a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, size: bar.update(task, completed=done, total=size)
