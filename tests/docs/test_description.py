"""The long description is README.md, with links that do not depend on where it is read."""

from __future__ import annotations

import re
import runpy

import pytest

from tests.support.paths import ROOT

REPOSITORY = "https://code.example/group/project"
_described = runpy.run_path(str(ROOT / "setup.py"), run_name="setup")["described"]


def described(readme: str, repository: str = "") -> str:
    text = _described(readme, repository, "1.2.3")
    assert isinstance(text, str)
    return text


@pytest.mark.parametrize(
    ("link", "text"),
    [
        ("[Django](docs/django.md)", "Django (`docs/django.md`)"),
        ("[Queues](docs/chat/index.md#when-it-is-full)", "Queues (`docs/chat/index.md`)"),
        ("[LICENSE](LICENSE)", "LICENSE (`LICENSE`)"),
        ("[two\nlines](docs/chat/index.md)", "two\nlines (`docs/chat/index.md`)"),
        ("[below](#licence)", "[below](#licence)"),
        ("[other](https://example.org/a#b)", "[other](https://example.org/a#b)"),
        ("![a picture](docs/picture.png)", ""),
        ('<picture>\n<img src="docs/picture.png">\n</picture>', ""),
    ],
)
def test_without_a_repository_a_link_becomes_a_text(link, text):
    assert described(f"# Title\n\nSee {link}.").endswith(f"\n\nSee {text}.")


@pytest.mark.parametrize(
    ("link", "text"),
    [
        ("[Django](docs/django.md)", f"[Django]({REPOSITORY}/blob/v1.2.3/docs/django.md)"),
        ("[Q](docs/chat/index.md#full)", f"[Q]({REPOSITORY}/blob/v1.2.3/docs/chat/index.md#full)"),
        ("[below](#licence)", "[below](#licence)"),
        ("![a](docs/a.png)", f"![a]({REPOSITORY}/raw/v1.2.3/docs/a.png)"),
        (
            '<picture><source srcset="docs/b.png"><img src="docs/a.png"></picture>',
            f'<picture><source srcset="{REPOSITORY}/raw/v1.2.3/docs/b.png">'
            f'<img src="{REPOSITORY}/raw/v1.2.3/docs/a.png"></picture>',
        ),
        ('<img src="https://example.org/a.png">', '<img src="https://example.org/a.png">'),
    ],
)
def test_with_a_repository_a_link_leads_to_the_file_of_the_release(link, text):
    assert described(f"# Title\n\nSee {link}.", REPOSITORY) == f"# Title\n\nSee {text}."


def test_code_stays_as_it_is():
    block = "```python\nnames[index](argument)\n```"
    assert described(f"# Title\n\n{block}\n") == f"# Title\n\n{block}\n"


@pytest.mark.parametrize("repository", ["", REPOSITORY])
def test_the_description_of_the_readme_has_no_relative_link(repository):
    text = described((ROOT / "README.md").read_text(encoding="utf-8"), repository)
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    targets = re.findall(r"\]\(([^)]+)\)|src(?:set)?=[\"']([^\"']+)", prose)
    assert [
        one for pair in targets for one in pair if one and not one.startswith(("https://", "#"))
    ] == []
