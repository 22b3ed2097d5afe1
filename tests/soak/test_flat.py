"""A client that lives long does not grow: a short life here, a long one in ``make soak``."""

from __future__ import annotations

import logging

import pytest

from tests.soak.flat import live, main

MESSAGES = 10_000
RECONNECTS = 50


@pytest.mark.time_limit(240)
def test_messages_and_reconnects_grow_no_threads_descriptors_or_objects(caplog):
    caplog.set_level(logging.WARNING, "connectycube")  # pytest keeps each line that is logged
    lines = []
    taken = live("emulator", MESSAGES, RECONNECTS, 5, lines.append)
    assert lines == [str(sample) for sample in taken]
    first, last = taken[0], taken[-1]
    assert (last.messages, last.reconnects) == (MESSAGES, RECONNECTS)
    assert {sample.threads for sample in taken} == {first.threads}
    assert {sample.descriptors for sample in taken} == {first.descriptors}
    # A leak of one object for each message would be 8,000.
    assert abs(last.objects - first.objects) < (last.messages - first.messages) / 8


def test_a_run_of_any_size_ends_with_its_figures(capsys):
    assert (
        main(["--messages", "200", "--reconnects", "4", "--samples", "2", "--server", "emulator"])
        == 0
    )
    *samples, figures = capsys.readouterr().out.splitlines()
    assert [line.split(" RSS")[0] for line in samples] == [
        "messages 100 reconnects 2",
        "messages 200 reconnects 4",
    ]
    assert figures.startswith("flat: 200 messages, 4 reconnects in ")
