"""The fuzz runner: what it finds, how it makes a finding smaller, and that a seed repeats a run."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from random import Random

from tests.fuzz.mutation import Mutator, pieces_of
from tests.fuzz.runner import TooMuchWork, fuzz
from tests.fuzz.target import Target


class Fragile(Target):
    """Fails at a word of its list, and at a number of repetitions."""

    name = "fragile"
    words = (b"bad", b"good", b"x" * 20)

    def __init__(self) -> None:
        self.ran: list[bytes] = []

    def seeds(self) -> list[bytes]:
        return [b"a seed", b"another seed"]

    def run(self, data: bytes) -> Hashable:
        self.ran.append(data)
        if b"bad" in data:
            raise ValueError("a bad word")
        return len(data) % 7


class Slow(Fragile):
    """Needs a square of its input's size."""

    def run(self, data: bytes) -> Hashable:
        for _ in range(len(data) ** 2 * 600):
            len(data)
        return 0


def test_a_fault_is_found_once_with_a_small_input() -> None:
    report = fuzz(Fragile(), seed=0, inputs=2000)
    (finding,) = report.findings
    assert finding.data == b"bad" and isinstance(finding.error, ValueError)
    assert "a bad word" in finding.trace and report.inputs == 2000 and report.kinds == 8


def test_a_seed_repeats_a_run_and_another_does_not() -> None:
    runs = []
    for seed in (0, 0, 1):
        target = Fragile()
        fuzz(target, seed=seed, inputs=300)
        runs.append(target.ran)
    assert runs[0] == runs[1] != runs[2]


def test_too_much_work_for_the_size_is_a_finding() -> None:
    report = fuzz(Slow(), seed=0, inputs=200)
    assert [type(finding.error) for finding in report.findings] == [TooMuchWork]


def test_what_showed_something_new_is_kept_for_the_next_run(tmp_path: Path) -> None:
    fuzz(Fragile(), seed=0, inputs=1000, kept=tmp_path)
    kept = {path.read_bytes() for path in tmp_path.iterdir()}
    assert len({len(data) % 7 for data in kept}) == 7
    target = Fragile()
    fuzz(target, seed=1, inputs=2 + len(kept), kept=tmp_path)
    assert kept <= set(target.ran)


def test_mutations_bring_words_parts_of_others_and_damage() -> None:
    mutator = Mutator(Random(0), [b"<word>"])
    made = {mutator.mutate(b"0123456789", b"other input") for _ in range(2000)}
    assert len(made) > 500 and any(b"<word>" in data for data in made)
    assert any(data.endswith(b"input") for data in made) and any(len(data) < 8 for data in made)


def test_pieces_are_the_whole_input() -> None:
    random = Random(0)
    cuts = [pieces_of(b"0123456789" * 5, random) for _ in range(50)]
    assert {b"".join(pieces) for pieces in cuts} == {b"0123456789" * 5}
    assert min(map(len, cuts)) == 1 and max(map(len, cuts)) == 50
