"""The colours of the emulator's page can be read, in the light and in the dark. (WCAG 2.2, 1.4.3.)"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import connectycube.emulator

SHEET = (Path(connectycube.emulator.__file__).parent / "page" / "page.css").read_text("utf-8")
LEAST = 4.5
PAIRS = [
    *(("text", ground) for ground in ("ground", "surface", "raised", "accent-soft")),
    *(("muted", ground) for ground in ("surface", "raised", "accent-soft")),
    *((name, f"{name}-soft") for name in ("accent", "good", "warn", "bad")),
    *((name, "surface") for name in ("accent", "good", "warn", "bad")),
    *(("accent-text", "accent"), ("surface", "bad"), ("ground", "text")),
]


def colours(scheme):
    """Return the colours by name; the second block is that of the dark scheme."""
    block = re.findall(r":root \{(.*?)\}", SHEET, re.S)[("light", "dark").index(scheme)]
    return dict(re.findall(r"--([\w-]+): #([0-9a-f]{6});", block))


def luminance(colour):
    parts = [int(colour[start : start + 2], 16) / 255 for start in (0, 2, 4)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_text_stands_out_from_its_ground(scheme, text, ground):
    found = colours(scheme)
    light, dark = sorted((luminance(found[text]), luminance(found[ground])), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= LEAST


def test_both_schemes_have_the_same_colours():
    assert colours("light").keys() == colours("dark").keys()
