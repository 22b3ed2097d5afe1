"""The examples in docstrings of public names run, and print what they say.

They are doctests. Each has the names of ``connectycube`` and ``connectycube.testing``, and these: ``cube`` (a
client with a session), ``chat`` (its chat, logged in), ``group`` (a dialog of both users), ``bob_id`` and
``bob`` (the other user, logged in), ``emulator``. An example closes what it opens.
"""

from __future__ import annotations

import doctest
from collections.abc import Iterator
from typing import Any

import pytest

import connectycube
from connectycube import ConnectyCube, testing
from connectycube.emulator import Emulator
from tests.support.django_setup import locmem, setting  # noqa: F401 - fixtures
from tests.support.people import FAST, PASSWORD, Person, logged_in
from tests.support.public_names import PublicName, public_names

EXAMPLES = [one for one in public_names() if ">>>" in one.docstring]
_PARSER = doctest.DocTestParser()


@pytest.fixture(scope="module")
def service() -> Iterator[Emulator]:
    """An emulator for this module; each example has users of its own in it."""
    with Emulator() as running:
        yield running


@pytest.fixture
def names(service: Emulator, tmp_path, monkeypatch) -> Iterator[dict[str, Any]]:
    """The names that examples have; the folder is one of their own."""
    monkeypatch.chdir(tmp_path)
    for name, value in service.environment().items():
        monkeypatch.setenv(name, value)
    alice, bob = Person.new(service), Person.new(service)
    with logged_in(bob), ConnectyCube(config=service.config(reconnect=FAST)) as cube:
        cube.login(login=alice.name, password=PASSWORD)
        cube.chat.login()
        yield {
            **{name: getattr(testing, name) for name in testing.__all__},
            **{name: getattr(connectycube, name) for name in connectycube.__all__},
            "cube": cube,
            "chat": cube.chat,
            "group": cube.dialogs.create_group("Climbers", [bob.id]),
            "bob": bob,
            "bob_id": bob.id,
            "emulator": service,
        }


@pytest.mark.parametrize("public", EXAMPLES, ids=lambda public: public.name)
def test_the_example_of_a_docstring_says_what_happens(public: PublicName, names, request):
    if "django" in public.path.parts:
        request.getfixturevalue("locmem")  # a setting, and an outbox that is empty
    example = _PARSER.get_doctest(
        public.docstring, dict(names), public.name, str(public.path), public.node.lineno
    )
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    said: list[str] = []
    runner.run(example, out=said.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(said)
