"""What the commands print: lines and tables for people, one JSON object a line for programs."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from attrs import asdict, frozen

from .printable import json_line, printable

__all__ = ["Model", "Output", "Style"]

_STYLES = {"good": 32, "bad": 31, "careful": 33, "faint": 2, "strong": 1}
Style = str
"""One of "good", "bad", "careful", "faint" and "strong"."""
_NARROW = 60
"""Columns of a terminal below which a table has a line for each of its cells."""


Model = Any
"""A model of the package: most have ``to_dict()``."""
_HIDDEN = ("extra", "access")


def _dict_of(model: Model) -> dict[str, Any]:
    """Return what JSON can carry; models without ``to_dict()`` are written in its manner."""
    if hasattr(model, "to_dict"):
        return dict(model.to_dict())
    found = asdict(
        model, filter=lambda entry, value: value is not None and entry.name not in _HIDDEN
    )
    return {
        key: value.isoformat() if isinstance(value, datetime) else value
        for key, value in found.items()
    }


@frozen
class Output:
    """Standard output, and standard error for what is said beside it.

    Args:
        as_json: Whether each model is one JSON object on a line of its own.
        color: "auto", "always" or "never".
    """

    as_json: bool = False
    color: str = "auto"

    # --- results --------------------------------------------------------------------------------

    def show(self, model: Model | dict[str, Any], text: str) -> None:
        """Print a model: as JSON, or by this text."""
        self.line(self.json_of(model) if self.as_json else text)

    def json_of(self, model: Model | dict[str, Any]) -> str:
        """Return one JSON object on one line."""
        return json_line(model if isinstance(model, dict) else _dict_of(model))

    def line(self, text: str = "") -> None:
        """Print a line, and flush it: a reader in a pipe gets it now."""
        try:
            sys.stdout.write(f"{text}\n")
        except UnicodeEncodeError:  # the terminal's encoding lacks a character
            sys.stdout.write(text.encode("ascii", "backslashreplace").decode("ascii") + "\n")
        sys.stdout.flush()

    def raw(self, text: str) -> None:
        """Write a piece of a document, which need not be seen at once."""
        sys.stdout.write(text)

    def fields(self, rows: Iterable[tuple[str, object]]) -> None:
        """Print names and values, one pair a line; those without a value are left out."""
        pairs = [(name, value) for name, value in rows if value not in (None, "", ())]
        width = max((len(name) for name, _ in pairs), default=0) + 2
        for name, value in pairs:
            self.line(f"{self.styled(f'{name:{width}}', 'faint')}{printable(str(value))}")

    def table(
        self,
        columns: Sequence[str],
        rows: Iterable[tuple[Model | dict[str, Any], Sequence[object]]],
    ) -> int:
        """Print a row for each model, and return their number.

        On a terminal it is a table, in a pipe the cells stand between tabs, without a head.
        """
        count = 0
        lines: list[list[str]] = []
        for model, cells in rows:
            count += 1
            texts = ["" if cell is None else printable(str(cell)) for cell in cells]
            if self.as_json:
                self.line(self.json_of(model))
            elif sys.stdout.isatty():
                lines.append(texts)
            else:
                self.line("\t".join(texts))
        if lines:
            self._draw(columns, lines)
        return count

    def _draw(self, columns: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
        if shutil.get_terminal_size().columns < _NARROW:
            for position, texts in enumerate(lines):
                if position:
                    self.line()
                self.fields(zip(columns, texts, strict=True))
            return
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(
            box=box.SIMPLE_HEAD,
            show_edge=False,
            pad_edge=False,
            header_style="bold" if self.colored else "",
        )
        for position, name in enumerate(columns):
            # The first one is an id, mostly, which is copied in one piece.
            table.add_column(name, overflow="fold", no_wrap=not position)
        for texts in lines:
            table.add_row(*map(Text, texts))
        Console(file=sys.stdout, no_color=not self.colored, highlight=False).print(table)

    # --- what is said beside them -----------------------------------------------------------------

    def note(self, text: str, style: Style = "") -> None:
        """Say something on standard error."""
        line = self.styled(text, style, sys.stderr) if style else text
        print(line, file=sys.stderr, flush=True)

    @property
    def colored(self) -> bool:
        """Whether standard output gets colours."""
        return self._colors(sys.stdout)

    def styled(self, text: str, style: Style, stream: Any = None) -> str:
        """Return a text in a style, if the stream gets colours."""
        if not self._colors(sys.stdout if stream is None else stream):
            return text
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m"

    def _colors(self, stream: Any) -> bool:
        if self.color != "auto":
            return self.color == "always"
        plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        return not plain and bool(stream.isatty())
