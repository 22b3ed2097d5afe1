"""The sample of real texts is fixed, complete in scripts, and untouched."""

from __future__ import annotations

import functools

import pytest

from tests.interop import texts as realtexts
from tests.interop.texts import FORBIDDEN, allowed_in_xml, forbidden_texts, script_of, texts


@pytest.fixture(scope="module")
def sample() -> list[str]:
    return texts()


def test_the_sample_is_the_same_each_time_and_another_with_another_seed(sample):
    assert texts() == sample
    assert texts(seed=1) != sample


def test_there_are_as_many_different_texts_as_asked_for(sample):
    assert len(set(sample)) == len(sample) == 2000
    assert len(set(texts(500))) == 500


def test_every_installed_script_is_in_the_sample(sample):
    assert {script_of(text) for text in sample} == set(realtexts.by_script())
    if realtexts.components.IN_CI:
        assert {"LATIN", "CYRILLIC", "CJK", FORBIDDEN} <= {script_of(text) for text in sample}


def test_texts_keep_tabs_edge_spaces_and_forbidden_characters(sample):
    assert any("\t" in text for text in sample)
    assert any(text != text.strip() for text in sample)
    assert any("\b" in text for text in realtexts.by_script().get(FORBIDDEN, ("\b",)))


def test_texts_that_xml_forbids_are_made_where_none_is_installed(tmp_path, monkeypatch):
    (tmp_path / "allowed").write_text("one\n%\ntwo\n")
    monkeypatch.setattr(realtexts, "FORTUNES", tmp_path)
    monkeypatch.setattr(realtexts, "by_script", functools.cache(realtexts.by_script.__wrapped__))
    assert realtexts.by_script() == {"LATIN": ("one", "two\n")}
    assert forbidden_texts()
    assert not any(map(allowed_in_xml, forbidden_texts()))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("one\n%\ntwo\n%\n", ["one", "two"]),
        ("one\nline\n%\n  two\t\n%\n", ["one\nline", "  two\t"]),
        ("50 %\n% of\n%\ntwo", ["50 %\n% of", "two"]),
        ("one\r\n%\r\ntwo\r\n", ["one\r", "two\r\n"]),
        ("%\n%\none\n%\n\n%\n", ["one"]),
        ("last\n", ["last\n"]),
        ("", []),
    ],
)
def test_files_are_split_at_lines_of_a_single_percent_sign(content, expected):
    assert list(realtexts._split(content)) == expected


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("Grüß Gott", "LATIN"),
        ("Добрый день", "CYRILLIC"),
        ("床前明月光", "CJK"),
        ("Привет, world и мир", "CYRILLIC"),
        ("42 %!", realtexts.WITHOUT_LETTERS),
        ("_\bH_\be", FORBIDDEN),
    ],
)
def test_a_text_belongs_to_the_script_of_most_of_its_letters(text, script):
    assert script_of(text) == script
