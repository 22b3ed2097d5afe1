"""The documentation in Chromium, on a telephone and on a desk, light and dark: all of it can be read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.browser import Window, window

pytestmark = [pytest.mark.referee("chromium"), pytest.mark.time_limit(600)]

WIDTHS = (390, 1440)
SCHEMES = ("light", "dark")

_FAULTS = """
const faults = [];
const shown = (each) => each.getBoundingClientRect().width > 1
    && !(each.closest("thead")?.getBoundingClientRect().width <= 1);  // heads of columns, for those who hear
if (document.documentElement.scrollWidth > innerWidth) faults.push("the page scrolls sideways");
for (const each of document.querySelectorAll("article *")) {
    if (!shown(each) || each.closest("pre, svg, .headerlink")) continue;
    const box = each.getBoundingClientRect();
    if (box.right > innerWidth + 1)
        faults.push(`${each.tagName} ends at ${Math.round(box.right)}: ${each.innerText}`);
    if (each.matches(".table-wrapper, td, th") && each.scrollWidth > each.clientWidth + 1)
        faults.push(`${each.tagName} is cut: ${each.innerText}`);
    if (each.matches("td, th"))
        for (const word of brokenWords(each)) faults.push(`"${word}" is broken: ${each.innerText}`);
}
for (const block of document.querySelectorAll("article pre"))
    if (block.scrollWidth > block.clientWidth + 1
            && !["auto", "scroll"].includes(getComputedStyle(block).overflowX))
        faults.push(`a code block does not scroll: ${block.innerText}`);
return faults.map((fault) => fault.replace(/\\s+/g, " ").slice(0, 120));

function* brokenWords(cell) {  // words of up to 24 characters fit into any column
    const texts = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
    while (texts.nextNode())
        for (const token of texts.currentNode.data.matchAll(/\\S+/g)) {
            if (token[0].length > 24) continue;
            for (const word of token[0].matchAll(/\\w{2,}/g)) {
                const range = document.createRange(), start = token.index + word.index;
                range.setStart(texts.currentNode, start);
                range.setEnd(texts.currentNode, start + word[0].length);
                const lines = new Set([...range.getClientRects()].map((each) => Math.round(each.top)));
                if (lines.size > 1) yield word[0];
            }
        }
}
"""
_CONTRAST = """
const light = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map((part) => part / 255)
        .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const text = light(getComputedStyle(document.querySelector("article p")).color);
const ground = light(getComputedStyle(document.body).backgroundColor);
return [ground, (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05)];
"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Window]:
    with window() as opened:
        yield opened


def faults_of(chromium: Window, page: Path, width: int) -> list[str]:
    """What cannot be read on a page of this width, in either colour scheme."""
    faults = []
    chromium.resize(width, SCHEMES[0])
    chromium.open(page.as_uri())
    for scheme in SCHEMES:
        chromium.resize(width, scheme)
        faults += [f"{scheme}: {fault}" for fault in chromium.driver.execute_script(_FAULTS)]
    return faults


@pytest.mark.parametrize("width", WIDTHS)
def test_each_page_can_be_read(chromium, site, width):
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 40
    found = {
        str(page.relative_to(site)): faults
        for page in pages
        if (faults := faults_of(chromium, page, width))
    }
    assert found == {}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_text_stands_out_from_the_ground(chromium, site, scheme):
    chromium.resize(390, scheme)
    chromium.open((site / "index.html").as_uri())
    ground, contrast = chromium.driver.execute_script(_CONTRAST)
    assert (ground > 0.5) == (scheme == "light")
    assert contrast >= 7.0


def test_a_table_is_a_list_on_a_telephone_alone(chromium, site):
    page = (site / "explanation" / "delivery.html").as_uri()
    shown = "return getComputedStyle(document.querySelector('article td')).display"
    head = "return getComputedStyle(document.querySelector('article td'), '::before').content"
    for width, display, content in ((390, "block", '"what happens"'), (1440, "table-cell", "none")):
        chromium.resize(width, "light")
        chromium.open(page)
        assert chromium.driver.execute_script(shown) == display
        assert chromium.driver.execute_script(head) == content


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("<div style='width: 500px'>wide</div>", "the page scrolls sideways"),
        (
            "<div class='table-wrapper' style='overflow-x: auto'><table><td>"
            "<div style='width: 500px'>wide</div></table></div>",
            "DIV is cut",
        ),
        (
            "<table style='width: 60px; table-layout: fixed; overflow-wrap: anywhere'>"
            "<td>unacknowledged</table>",
            '"unacknowledged" is broken',
        ),
        (f"<pre style='overflow: hidden'>{'code ' * 100}</pre>", "a code block does not scroll"),
    ],
    ids=["page", "table", "word", "code"],
)
def test_what_cannot_be_read_would_be_noticed(chromium, tmp_path, body, fault):
    page = tmp_path / "page.html"
    page.write_text(f"<!doctype html><title>page</title><article><p>text</p>{body}</article>")
    assert any(fault in each for each in faults_of(chromium, page, 390))
