"""Reads docstrings in Google's style into their parts, and writes those parts as reStructuredText.

It knows what sphinx.ext.napoleon does not: several errors before one condition, and the type and the default
of each parameter, which are taken from the signature.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from attrs import define, field

_HEAD = re.compile(r"(Args|Attributes|Fields|Returns|Yields|Raises|Examples?)::?")
_ITEM = re.compile(r"\*{0,2}([\w.]+(?:, \*{0,2}[\w.]+)*)(?: \([^)]*\))?:\s*(.*)")
_ROLE = re.compile(r":(class|meth|func|exc|attr):`(~?)([\w.]+)`")
_NAME = re.compile(r"((?<![\w.'\"])[A-Za-z_][\w.]*(?!['\"\w]))")
_OF_FIELDS = ("Args", "Attributes", "Fields")


@define
class Docstring:
    """A docstring's prose, and its sections."""

    prose: list[str] = field(factory=list)
    items: dict[str, list[tuple[str, list[str]]]] = field(factory=dict)
    """Of Args, Attributes and Raises: names and their texts."""
    texts: dict[str, list[str]] = field(factory=dict)
    """Of Returns, Yields and Example: lines."""

    @property
    def fields(self) -> dict[str, list[str]]:
        """The descriptions of arguments, or of attributes, by their names."""
        return {
            name: text
            for section in _OF_FIELDS
            for names, text in self.items.get(section, ())
            for name in names.split(", ")
        }


def read(docstring: str | None) -> Docstring:
    """Read a docstring."""
    found = Docstring()
    lines = inspect.cleandoc(docstring or "").splitlines()
    while lines:
        line = lines.pop(0)
        head = _HEAD.fullmatch(line)
        if head is None:
            found.prose.append(line)
            continue
        body = list(_indented(lines))
        name = head[1].rstrip("s") if head[1].startswith("Example") else head[1]
        if name in (*_OF_FIELDS, "Raises"):
            found.items.setdefault(name, []).extend(_items(body))
        else:
            found.texts.setdefault(name, []).extend(body)
    return found


def _indented(lines: list[str]) -> Iterator[str]:
    """Take the indented lines at the front, without their indentation."""
    taken = []
    while lines and (not lines[0] or lines[0].startswith(" ")):
        taken.append(lines.pop(0))
    yield from inspect.cleandoc("\n" + "\n".join(taken)).splitlines()


def _items(lines: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield each name, or names, with the text behind it."""
    names, text = "", list[str]()
    for line in lines:
        found = _ITEM.fullmatch(line)
        if found and not line.startswith(" "):
            if names:
                yield names, text
            names, text = found[1], [found[2]]
        else:
            text.append(line.strip())
    if names:
        yield names, text


# --- as reStructuredText ----------------------------------------------------------------------------


def indent(lines: Sequence[str], spaces: int = 3) -> list[str]:
    """Return the lines, indented."""
    return [" " * spaces + line if line else "" for line in lines]


def linked(lines: Sequence[str], known: Mapping[str, str]) -> list[str]:
    """Return prose in which the roles name what the reference has, wherever the docstring is."""

    def full(found: re.Match[str]) -> str:
        first, _, rest = found[3].removeprefix("connectycube.").partition(".")
        if first not in known:
            return found[0]
        whole = ".".join(filter(None, (known[first], rest)))
        return (
            f":{found[1]}:`{found[2] or '~'}{whole}`"
            if not rest
            else f":{found[1]}:`{first}.{rest} <{whole}>`"
        )

    return [_ROLE.sub(full, line) for line in lines]


def parameters(
    doc: Docstring, types: Mapping[str, str], defaults: Mapping[str, str]
) -> Iterator[str]:
    """Yield a table of parameters: name, type, default and meaning; no column of defaults if none has one.

    A name among the types may have stars in front. Types are reStructuredText.
    """
    shown = {name.lstrip("*"): name for name in types}
    names = dict.fromkeys((*shown, *doc.fields))
    if not names:
        return
    yield ":Parameters:"
    yield from (
        "   .. list-table::",
        "      :class: parameters",
        "      :header-rows: 1",
        "",
    )
    yield from _row(["name"], ["type"], *([["default"]] if defaults else []), ["meaning"])
    for name in names:
        default = f"``{defaults[name]}``" if name in defaults else ""
        yield from _row(
            [f"``{shown.get(name, name)}``"],
            [types.get(shown.get(name, name), "")],
            *([[default]] if defaults else []),
            doc.fields.get(name, [""]),
        )
    yield ""


def _row(*cells: Sequence[str]) -> Iterator[str]:
    for number, (first, *more) in enumerate(cells):
        yield f"      {' ' if number else '*'} - {first}".rstrip()
        yield from indent(more, 10)


def outcomes(doc: Docstring, error_of: Callable[[str], str]) -> Iterator[str]:
    """Yield what is returned and raised; ``error_of(name)`` is the link to an error."""
    for section in ("Returns", "Yields"):
        text = doc.texts.get(section)
        if text:
            yield f":{section}:"
            yield from indent(text)
    raises = doc.items.get("Raises")
    if raises:
        yield ":Raises:"
        for names, text in raises:
            links = ", ".join(error_of(name) for name in names.split(", "))
            yield f"   * {links} – {text[0]}"
            yield from indent(text[1:], 5)


def example(doc: Docstring) -> Iterator[str]:
    """Yield the example of a docstring, as a block of code with a title."""
    lines = doc.texts.get("Example")
    if not lines:
        return
    yield ".. rubric:: Example"
    yield ""
    if lines[0].startswith(">>>"):
        yield from (".. code-block:: pycon", "", *indent(lines))
        return
    if any(line.rstrip().endswith("::") or line.startswith(".. ") for line in lines):
        yield from lines  # prose with a block of code
        return
    yield ".. code-block:: python"
    yield ""
    yield from indent([line for line in lines if not line.startswith("```")])


def types_of(annotation: object, known: Mapping[str, str], aliases: Mapping[str, str]) -> str:
    """Return an annotation as reStructuredText, in which the classes of the reference are links."""
    text = annotation_text(annotation)
    text = aliases.get(text, text)
    if "`" in text:  # an alias in words
        return text
    text = _NAME.sub(lambda found: aliases.get(found[0], found[0]), text)
    written = "".join(
        f"\0:py:class:`~{known[part.rpartition('.')[2]]}`\0"
        if part.rpartition(".")[2] in known
        else re.sub(r"([*_`|\\])", r"\\\1", part)
        for part in _NAME.split(text)
    )
    # A role needs a space or a bracket around it; an escaped space is none to the reader.
    return written.strip("\0").replace("\0", "\\ ")


def annotation_text(annotation: Any) -> str:
    """Return an annotation as it stands in the source, without quotes and modules."""
    if annotation is inspect.Parameter.empty:
        return ""
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return re.sub(
        r"\b(?:models|typing|collections\.abc|c|t|os)\.(?=[A-Z])", "", text.replace('"', "")
    )
