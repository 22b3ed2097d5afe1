"""Real texts in many scripts: a fixed random sample of Debian's fortunes packages.

The sample depends on the seed and on the packages that are installed, on nothing else. Texts come as they
stand in the files: tabs, carriage returns, edge spaces and control characters included.
"""

from __future__ import annotations

import functools
import random
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from connectycube import Timeouts
from tests.support import components

FORTUNES = Path("/usr/share/games/fortunes")
UNHURRIED = Timeouts(send=120.0)
"""For clients in one process with their server: on a busy machine a thousand messages take their time."""

FORBIDDEN = "FORBIDDEN"
WITHOUT_LETTERS = "WITHOUT LETTERS"

_LEAST_PER_SCRIPT = 60
_CHARACTERS_LOOKED_AT = 100
_FORBIDDEN_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

MADE_FORBIDDEN = tuple(
    f"{character}made {character * 2} text{character}"
    for character in (*map(chr, range(0x20)), "\ud800", "\udfff", "\ufffe", "\uffff")
    if character not in "\t\n\r"
)
"""Texts that XML forbids, for a machine where no installed text is such."""


def texts(count: int = 2000, seed: int = 20210921) -> list[str]:
    """Return ``count`` different texts in random order, with every script that is installed among them.

    Each script gives at least 60 texts (or all it has) and more in proportion to its share; texts with
    characters that XML forbids count as a script of their own, so some are always there.
    """
    if not FORTUNES.is_dir():
        components.missing(
            "the fortunes texts", "apt-get install fortunes fortunes-ru fortunes-zh …"
        )
    strata = by_script()
    available = sum(map(len, strata.values()))
    if available < count:
        components.missing(
            f"{count} fortunes texts (here: {available})", "install more fortunes-* packages"
        )
    chance = random.Random(seed)
    chosen: list[str] = []
    for script, size in _shares(strata, count).items():
        chosen += chance.sample(strata[script], size)
    chance.shuffle(chosen)
    return chosen


@functools.cache
def by_script() -> dict[str, tuple[str, ...]]:
    """Return all installed texts, without repetitions, by :func:`script_of`, in the files' order."""
    strata: dict[str, list[str]] = {}
    for text in dict.fromkeys(_all_texts()):
        strata.setdefault(script_of(text), []).append(text)
    return {script: tuple(strata[script]) for script in sorted(strata)}


def forbidden_texts(installed: int = 200) -> list[str]:
    """Return texts that XML forbids: the made ones, and so many of those that are installed."""
    return [*MADE_FORBIDDEN, *by_script().get(FORBIDDEN, ())[:installed]]


def script_of(text: str) -> str:
    """Return the script most of the first letters belong to, in Unicode's words (LATIN, CYRILLIC, CJK …).

    A text that holds a character XML 1.0 forbids is FORBIDDEN, one without letters WITHOUT LETTERS.
    """
    if _FORBIDDEN_IN_XML.search(text):
        return FORBIDDEN
    start = text[:_CHARACTERS_LOOKED_AT]
    if start.isascii():
        return "LATIN" if any(map(str.isalpha, start)) else WITHOUT_LETTERS
    letters = Counter(map(_script_of_letter, start))
    del letters[""]
    return letters.most_common(1)[0][0] if letters else WITHOUT_LETTERS


def allowed_in_xml(text: str) -> bool:
    """Whether all characters of ``text`` may stand in XML 1.0 (section 2.2)."""
    return not _FORBIDDEN_IN_XML.search(text)


@functools.cache
def _script_of_letter(character: str) -> str:
    return unicodedata.name(character, "").split(" ", 1)[0] if character.isalpha() else ""


def _shares(strata: dict[str, tuple[str, ...]], count: int) -> dict[str, int]:
    shares = {script: min(len(found), _LEAST_PER_SCRIPT) for script, found in strata.items()}
    spare = {script: len(found) - shares[script] for script, found in strata.items()}
    wanted, pool = count - sum(shares.values()), sum(spare.values())
    if wanted < 0:
        raise ValueError(f"{count} texts are too few for {len(strata)} scripts")
    for script in shares if pool else ():
        shares[script] += wanted * spare[script] // pool
    for script in sorted(strata, key=lambda name: len(strata[name]), reverse=True):
        rest = min(count - sum(shares.values()), len(strata[script]) - shares[script])
        shares[script] += rest
    return shares


def _all_texts() -> Iterator[str]:
    for path in _files():
        content = path.read_bytes()
        try:
            decoded = content.decode()
        except UnicodeDecodeError:
            decoded = content.decode("latin-1")
        yield from _split(decoded)


def _files() -> list[Path]:
    """The text files: no index (.dat), no second name (.u8 and links), nothing its packager sets apart."""
    return sorted(
        path
        for path in FORTUNES.rglob("*")
        if path.is_file()
        and not path.is_symlink()
        and path.suffix not in (".dat", ".u8")
        and "off" not in path.parts
    )


def _split(content: str) -> Iterator[str]:
    """Texts stand between lines of a single %; the line end before such a line belongs to the separator."""
    lines: list[str] = []
    for line in [*content.split("\n"), "%"]:
        if line.rstrip("\r") != "%":
            lines.append(line)
            continue
        text = "\n".join(lines)
        lines = []
        if text.strip():
            yield text
