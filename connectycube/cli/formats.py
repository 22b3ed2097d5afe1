"""The formats of an exported history: JSON lines, CSV, and a page of HTML."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Protocol

from .printable import json_line

if TYPE_CHECKING:
    from connectycube import Attachment, Message

__all__ = ["FORMATS", "Format", "format_of"]

FORMATS = ("jsonl", "csv", "html")


class Format(Protocol):
    """Makes the text of a message, and what stands around all of them."""

    head: str
    foot: str

    def text(self, message: Message) -> str:
        """Return the text of one message."""
        ...


def format_of(name: str, title: str, name_of: Callable[[int | None], str]) -> Format:
    """Return a format.

    Args:
        name: One of ``FORMATS``.
        title: The title of a page.
        name_of: Returns the name of a user.
    """
    if name == "html":
        return _Html(title, name_of)
    return _Csv() if name == "csv" else _JsonLines()


class _JsonLines:
    head = foot = ""

    def text(self, message: Message) -> str:
        """Return one JSON object on one line, with the names of ``to_dict()``."""
        return json_line(message.to_dict()) + "\n"


class _Csv:
    """RFC 4180, but for the ends of lines."""

    foot = ""

    def __init__(self) -> None:
        self.head = _row("id", "date_sent", "sender_id", "body", "attachments")

    def text(self, message: Message) -> str:
        """Return one row."""
        at = message.date_sent.isoformat() if message.date_sent is not None else ""
        files = " ".join(filter(None, map(_place, message.attachments)))
        return _row(message.id, at, message.sender_id, message.body or "", files)


def _row(*cells: object) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def _place(attachment: Attachment) -> str | None:
    return attachment.url or attachment.uid or attachment.id


_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.25rem; overflow-wrap: anywhere; }
article { border-top: 1px solid color-mix(in srgb, currentColor 20%, transparent); padding: .6rem 0; }
header { display: flex; flex-wrap: wrap; gap: .2rem .8rem; align-items: baseline; }
time { font-size: .8rem; opacity: .7; }
p { margin: .2rem 0 0; white-space: pre-wrap; overflow-wrap: anywhere; }
"""


class _Html:
    """A page that stands alone: no script, and nothing that is loaded from elsewhere."""

    foot = "</main>\n"

    def __init__(self, title: str, name_of: Callable[[int | None], str]) -> None:
        self._name_of = name_of
        policy = "default-src 'none'; style-src 'unsafe-inline'"
        self.head = (
            '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n<main>\n<h1>{escape(title)}</h1>\n"
        )

    def text(self, message: Message) -> str:
        """Return one article."""
        at = message.date_sent
        when = (
            ""
            if at is None
            else f'<time datetime="{at.isoformat()}">{at:%Y-%m-%d %H:%M:%S} UTC</time>'
        )
        who = escape(self._name_of(message.sender_id))
        body = f'<p dir="auto">{escape(message.body)}</p>' if message.body else ""
        files = "".join(
            f"<p>📎 {escape(each.name or _place(each) or each.type or 'file')}</p>"
            for each in message.attachments
        )
        key = escape(message.id or "", quote=True)
        return f'<article id="m{key}"><header><b>{who}</b>{when}</header>{body}{files}</article>\n'
