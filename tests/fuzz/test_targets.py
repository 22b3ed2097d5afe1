"""The fuzz targets notice faults: each of these is planted in the package, and a short run finds it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from connectycube.chat.durable.store import DurableStore
from connectycube.chat.protocol import message_shapes
from connectycube.chat.protocol.inbound import Inbound
from connectycube.chat.protocol.parser import StreamParser
from connectycube.emulator.xmpp.parser import StreamParser as EmulatorParser
from connectycube.rest import _response
from tests.fuzz.runner import fuzz
from tests.fuzz.targets import TARGETS


def _counts_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Inbound, "count", lambda self: None)


def _forgets_text(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(StreamParser, "_end_text", lambda self: self._text.clear())


def _joins_no_text(patch: pytest.MonkeyPatch) -> None:
    real = EmulatorParser._characters
    patch.setattr(EmulatorParser, "_characters", lambda self, text: real(self, text.strip()))


def _believes_bodies(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_response, "_shape", lambda value: value["no such key"])


def _believes_senders(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(DurableStore, "_key", lambda self, one, sender, other: (one, int(sender), other))


def _opens_texts_to_all(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(message_shapes, "_OPEN_TEXT", "[^<]*")


DEFECTS: dict[str, tuple[str, Callable[[Any], None]]] = {
    "stanzas are not counted": ("stanzas", _counts_nothing),
    "the client's parser loses text": ("parsers", _forgets_text),
    "the emulator's parser strips text": ("parsers", _joins_no_text),
    "a shape takes any text": ("shapes", _opens_texts_to_all),
    "a body is believed": ("responses", _believes_bodies),
    "a saved sender is believed": ("store", _believes_senders),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_planted_defect_is_found(defect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, plant = DEFECTS[defect]
    plant(monkeypatch)
    with TARGETS[name]() as target:
        report = fuzz(target, seed=1, inputs=200)
    assert report.findings
