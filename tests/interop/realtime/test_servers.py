"""The frame itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.interop.realtime.servers import ALL, FEATURES

README = Path(__file__).parents[1] / "README.md"


def test_the_table_of_differences_is_the_one_that_the_cases_use():
    rows = re.findall(r"^\| (.+) \| (yes|no) \| (yes|no) \| (yes|no) \|", README.read_text(), re.M)
    named = {
        row[0]: {
            name
            for name, has in zip(("emulator", "prosody", "ejabberd"), row[1:], strict=True)
            if has == "yes"
        }
        for row in rows
    }
    assert named == FEATURES
    assert list(named) == sorted(named)


def test_a_feature_without_a_name_is_a_mistake(server):
    assert server.name in ALL
    with pytest.raises(KeyError):
        server.supports("everything")
