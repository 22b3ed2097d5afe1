"""Packaging: setup.cfg has all but the long description, which is README.md with links that work anywhere."""

import configparser
import re
from pathlib import Path

from setuptools import setup

_FOLDER = Path(__file__).parent
_PARTS = re.compile(
    r"(?P<code>^```.*?^```$)"
    r"|(?P<picture><picture>.*?</picture>\n*|<img [^>]*>|!\[[^\]]*\]\([^)]*\))"
    r"|\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)",
    re.MULTILINE | re.DOTALL,
)
_ADDRESS = re.compile(r"""(?<=\bsrc=["'])[^"']+|(?<=\bsrcset=["'])[^"']+|(?<=\]\()[^)]+""")
_NOTE = (
    "The files that this text names, such as `docs/rest.md`, are in the source distribution.\n\n"
)


def described(readme: str, repository: str, version: str) -> str:
    """Return the README for a page of an index of packages, where a relative link leads nowhere.

    With the address of the repository, links and pictures lead to the files of this release there. Without
    one a link becomes its text and the name of the file, and a picture is left out.
    """

    def replaced(found: re.Match[str]) -> str:
        if found["code"]:
            return found[0]
        if found["picture"]:
            return _ADDRESS.sub(absolute, found[0]) if repository else ""
        text, target = found["text"], found["target"]
        if target.startswith(("#", "https://", "http://")):
            return found[0]
        if repository:
            return f"[{text}]({repository}/blob/v{version}/{target})"
        return f"{text} (`{target.partition('#')[0]}`)"

    def absolute(address: re.Match[str]) -> str:
        return address[0] if "://" in address[0] else f"{repository}/raw/v{version}/{address[0]}"

    text = _PARTS.sub(replaced, readme)
    if repository or text == readme:
        return text
    title, _, rest = text.partition("\n\n")
    return f"{title}\n\n{_NOTE}{rest}"


def _long_description() -> str:
    settings = configparser.ConfigParser()
    settings.read(_FOLDER / "setup.cfg", encoding="utf-8")
    metadata = settings["metadata"]
    urls = dict(
        map(str.strip, line.split("=", 1))
        for line in metadata.get("project_urls", "").splitlines()
        if "=" in line
    )
    readme = (_FOLDER / "README.md").read_text(encoding="utf-8")
    return described(readme, urls.get("Source", "").rstrip("/"), metadata["version"])


if __name__ == "__main__":
    setup(long_description=_long_description())
