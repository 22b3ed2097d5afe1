"""``python -m tests.bench [--store] [TOPIC …]``: run the topics, print a table, write build/bench.json.

The file is a list of {name, peer, value, goal}: ratios (or what the table says, such as megabytes) that
should not be exceeded; a goal of null is none. Where rounds were measured, the value is their median, and
the two ``quartiles`` are there as well; of growth there are the ``points``, sizes and seconds of CPU.
``--store`` writes the rows to docs/performance.json, too, from which docs/generate.py makes a table and
docs/plots.py the plots; rows of other topics stay there. A topic that fails costs its own rows and the exit
status 1; a goal that is missed is shown and costs nothing, since a busy machine may be the reason.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import traceback
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any
from xml.parsers import expat

from tests.bench import (  # noqa: F401  (each registers its topic; they run in this order)
    chat_burst,
    chat_inbound,
    chat_login,
    chat_outbound,
    chat_ping,
    chat_sending,
    decoding,
    durable,
    emulator,
    fleet,
    growth,
    history,
    imports,
    queued,
    rest_calls,
    uploads,
)
from tests.bench.registry import TOPICS, Row
from tests.support.paths import ROOT

RESULTS = ROOT / "build" / "bench.json"
STORED = ROOT / "docs" / "performance.json"


def main() -> int:
    """Run what was asked for; return 1 if a topic failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure.")
    parser.add_argument("topics", nargs="*", metavar="TOPIC", help=f"of {', '.join(TOPICS)}")
    parser.add_argument("--store", action="store_true", help="write docs/performance.json, too")
    arguments = parser.parse_args()
    wanted = arguments.topics or list(TOPICS)
    for name in wanted:
        if name not in TOPICS:
            parser.error(f"there is no topic {name!r}, only {', '.join(TOPICS)}")
    topics, failed = _measured(wanted)
    write(RESULTS, [row for rows in topics for row in rows])
    if arguments.store:
        for rows in topics:
            store(STORED, rows)
    for name in failed:
        print(f"{name} failed", file=sys.stderr)
    return 1 if failed else 0


def _measured(wanted: Sequence[str]) -> tuple[list[Sequence[Row]], list[str]]:
    """Return the rows of each topic, and the names of the topics that failed."""
    topics: list[Sequence[Row]] = []
    failed = []
    print(line("", "measured against", "value", "goal", ""))
    for name in wanted:
        try:
            found = TOPICS[name]()
        except Exception:
            traceback.print_exc()
            failed.append(name)
            continue
        topics.append(found)
        for row in found:
            print(formatted(row), flush=True)
    return topics, failed


def formatted(row: Row) -> str:
    """One row of the table."""
    verdict = "" if row.reached else "missed"
    value, goal = (
        "" if number is None else f"{number:.2f} {row.unit}" for number in (row.value, row.goal)
    )
    middle = "" if row.low is None else f"({row.low:.2f} to {row.high:.2f})"
    return line(row.name, row.peer, value, goal, verdict, middle)


def line(name: str, peer: str, value: str, goal: str, verdict: str, middle: str = "") -> str:
    return f"{name:38} {peer:30} {middle:>16} {value:>10} {goal:>10}  {verdict}".rstrip()


def write(path: Path, rows: Sequence[Row]) -> None:
    """Write the results for other programs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([*map(_entry, rows)], indent=2) + "\n")


def store(path: Path, rows: Sequence[Row]) -> None:
    """Let the rows of a topic take the place of its rows in the file, and say where they are from."""
    old = json.loads(path.read_text())["rows"] if path.exists() else []
    new = {(row.name, row.peer): {**_entry(row), "unit": row.unit} for row in rows}
    is_replaced = [(entry["name"], entry["peer"]) in new for entry in old]
    # Together, where the first of them was: the name of a row may go on that of the row above it.
    place = is_replaced.index(True) if True in is_replaced else len(old)
    behind = [
        entry for entry, gone in zip(old[place:], is_replaced[place:], strict=True) if not gone
    ]
    found = {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "python": platform.python_version(),
        "versions": {"expat": expat.EXPAT_VERSION.removeprefix("expat_")}
        | {name: version(name) for name in ("requests", "slixmpp", "xmpppy")},
        "date": f"{date.today():%B %Y}",
        "rows": [*old[:place], *new.values(), *behind],
    }
    path.write_text(json.dumps(found, indent=1) + "\n")


def _entry(row: Row) -> dict[str, Any]:
    entry = {"name": row.name, "peer": row.peer, "value": round(row.value, 3), "goal": row.goal}
    if row.low is not None and row.high is not None:
        entry["quartiles"] = [round(row.low, 3), round(row.high, 3)]
    if row.points:
        entry["points"] = [[size, float(f"{seconds:.3g}")] for size, seconds in row.points]
    return entry


if __name__ == "__main__":
    sys.exit(main())
