import copy
import inspect
import pickle
import re

import pytest

from connectycube import errors

CLASSES = [getattr(errors, name) for name in errors.__all__]


def make(cls):
    """An instance with every argument that its constructor asks for."""
    known = {
        "method": "GET",
        "url": "https://h/x",
        "status": 500,
        "condition": "policy-violation",
        "receiver": "answer",
        "path": "bot.db",
        "holder": "process 5 on web-1 (9f3a1c22b07e)",
        "class_name": "library.Error",
    }
    takes = inspect.getfullargspec(cls.__init__)
    needed = {name: known[name] for name in set(takes.kwonlyargs) - set(takes.kwonlydefaults or ())}
    return cls("what happened", **needed)


def drawn_tree():
    """The tree in the module's docstring as {name: (parent's name, what is said of it)}."""
    tree, parents = {}, {}
    for line in errors.__doc__.splitlines():
        found = re.match(r"    (?P<branch>[│├└─ ]*)(?P<name>[A-Z]\w+)(?P<said>.*)", line)
        if found:
            depth = len(found["branch"]) // 4
            parents[depth] = found["name"]
            tree[found["name"]] = (parents.get(depth - 1), found["said"])
    return tree


def test_every_public_name_is_an_error_of_ours():
    assert errors.__all__ == sorted(errors.__all__)
    for cls in CLASSES:
        assert issubclass(cls, errors.ConnectyCubeError)


def test_the_drawn_tree_is_the_real_one():
    tree = drawn_tree()
    assert sorted(tree) == errors.__all__
    for name, (parent, said) in tree.items():
        bases = [base.__name__ for base in getattr(errors, name).__bases__]
        drawn = [parent or "Exception", *re.findall(r"also (\w+)", said)]
        assert bases == drawn, name


def test_one_except_serves_who_was_refused_on_either_wire():
    refused = errors.AuthenticationError
    assert {cls for cls in CLASSES if issubclass(cls, refused) and cls is not refused} == {
        errors.ApiAuthenticationError,
        errors.ChatAuthenticationError,
    }


@pytest.mark.parametrize("cls", CLASSES, ids=errors.__all__)
def test_each_error_says_what_happened(cls):
    assert str(make(cls)) == "what happened"


def test_a_response_error_carries_what_the_service_said():
    error = errors.RateLimitError(
        "slow down",
        method="POST",
        url="https://h/x",
        status=429,
        messages=["a", "b"],
        retry_after=2.5,
    )
    assert (error.method, error.url, error.status) == ("POST", "https://h/x", 429)
    assert (error.messages, error.retry_after) == (("a", "b"), 2.5)


def test_what_the_service_did_not_say_is_empty():
    error = make(errors.ServerError)
    assert (error.messages, error.retry_after) == ((), None)
    stanza = errors.StanzaError("no", condition="forbidden")
    assert (stanza.type, stanza.text, stanza.code) == (None, None, None)


@pytest.mark.parametrize("cls", CLASSES, ids=errors.__all__)
@pytest.mark.parametrize("travel", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_an_error_survives_the_way_to_another_process(cls, travel):
    error = make(cls)
    arrived = travel(error)
    assert type(arrived) is cls
    assert (str(arrived), vars(arrived)) == (str(error), vars(error))
