"""``FUZZ_SECONDS=600 SEED=1 python -m tests.fuzz [TARGET …]``: fuzz the targets in turn, and print a table.

Inputs that showed something new stay in ``.cache/fuzz/TARGET``, where the next run begins. The input of a
finding is written to ``.cache/fuzz/findings``; ``python -m tests.fuzz --replay FILE`` runs it again.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
from pathlib import Path

from tests.fuzz.runner import Finding, Report, fuzz, replay
from tests.fuzz.targets import TARGETS
from tests.support.paths import ROOT

KEPT = ROOT / ".cache" / "fuzz"
FINDINGS = KEPT / "findings"
_SECONDS = 600.0
_LINE = "{:<16}{:>12}{:>10}{:>12}{:>10}{:>10}{:>10}"


def main() -> int:
    """Fuzz what was asked for; return 1 if anything was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}")
    parser.add_argument(
        "--replay", type=Path, metavar="FILE", help="run the input of a finding again"
    )
    asked = parser.parse_args()
    if asked.replay is not None:
        return _replay(asked.replay)
    for name in asked.targets:
        if name not in TARGETS:
            parser.error(f"there is no target {name!r}, only {', '.join(TARGETS)}")
    return _fuzz_all(asked.targets or list(TARGETS))


def _fuzz_all(names: list[str]) -> int:
    seconds = float(os.environ.get("FUZZ_SECONDS") or _SECONDS)
    seed = int(os.environ.get("SEED") or 0)
    shares = sum(TARGETS[name].share for name in names)
    print(
        _LINE.format("target", "inputs", "seconds", "a second", "results", "MB grown", "findings")
    )
    reports = []
    for name in names:
        with TARGETS[name]() as target:
            share = seconds * target.share / shares
            report = fuzz(target, seed=seed, seconds=share, kept=KEPT / name)
        reports.append(report)
        print(_row(report), flush=True)
        for finding in report.findings:
            _tell(finding)
    for title, over_sockets in (("in the process", False), ("over sockets", True)):
        counts = [one.inputs for one in reports if TARGETS[one.target].over_sockets is over_sockets]
        print(f"{title}: {sum(counts):,} inputs")
    return 1 if any(report.findings for report in reports) else 0


def _row(report: Report) -> str:
    speed = report.inputs / report.seconds if report.seconds else 0.0
    return _LINE.format(
        report.target,
        f"{report.inputs:,}",
        f"{report.seconds:.0f}",
        f"{speed:,.0f}",
        f"{report.kinds:,}",
        f"{report.grown:.1f}",
        len(report.findings),
    )


def _tell(finding: Finding) -> None:
    FINDINGS.mkdir(parents=True, exist_ok=True)
    name = f"{finding.target}-{hashlib.sha256(finding.data).hexdigest()[:12]}"
    path = FINDINGS / name
    path.write_bytes(finding.data)
    print(f"\n{finding.data[:500]!r}\n{finding.trace}\npython -m tests.fuzz --replay {path}\n")


def _replay(path: Path) -> int:
    name = path.name.partition("-")[0]
    with TARGETS[name]() as target:
        print(replay(target, path.read_bytes()))
        target.settle()
    return 0


if __name__ == "__main__":
    sys.exit(main())
