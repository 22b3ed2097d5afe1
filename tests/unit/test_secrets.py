"""Secrets: values that show themselves only where they are opened."""

import copy
import pickle
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectycube._secrets import Secret, check_secret, clear_locals, confined, hides
from connectycube.errors import ArgumentTypeError, ArgumentValueError

VALUE = "hunter2 and more"


def shown(error):
    """What a report of an error with the locals of our frames says."""
    report = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join(
        str(frame.locals) for frame in report.stack if "connectycube" in frame.filename
    ) + str(error)


@pytest.mark.parametrize(
    "show", [repr, str, "{}".format, "%s".__mod__, "{!r}".format, lambda each: repr([{"a": each}])]
)
def test_a_secret_shows_nothing_of_its_value(show):
    assert "hunter2" not in show(Secret(VALUE))


def test_a_secret_is_opened_compared_and_copied_but_not_pickled():
    secret = Secret(Secret(VALUE))
    assert secret.open() == VALUE
    assert secret == Secret(VALUE) != Secret("another") != VALUE
    assert hash(secret) == hash(Secret(VALUE))
    assert copy.copy(secret) is secret is copy.deepcopy(secret)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="pickle"):
            pickle.dumps(secret, protocol)


@hides("password")
def log_in(login, password=None, *, timeout=None):
    return login, password, timeout


@pytest.mark.parametrize(
    "call",
    [
        lambda: log_in("bob", VALUE),
        lambda: log_in("bob", password=VALUE),
        lambda: log_in(login="bob", password=Secret(VALUE), timeout=None),
    ],
)
def test_a_function_gets_its_secrets_hidden_and_the_rest_as_it_is(call):
    assert call() == ("bob", Secret(VALUE), None)


def test_none_is_no_secret():
    assert log_in("bob") == ("bob", None, None)


@pytest.mark.parametrize("arguments", [("bob", "x", VALUE), ("a", VALUE, VALUE, VALUE)])
@pytest.mark.parametrize("keywords", [{}, {"pasword": VALUE}, {"passwd": VALUE.encode()}])
def test_an_argument_that_a_function_does_not_have_is_hidden(arguments, keywords):
    with pytest.raises(TypeError) as caught:
        log_in(*arguments, **keywords)
    assert "hunter2" not in shown(caught.value)


@given(st.one_of(st.binary(min_size=1), st.text(alphabet="\ud800\udfff", min_size=1), st.just("")))
def test_a_secret_of_the_wrong_kind_is_refused_without_repeating_it(value):
    with pytest.raises((ArgumentTypeError, ArgumentValueError)) as caught:
        check_secret("password", value)
    chain = [caught.value, caught.value.__cause__, caught.value.__context__]
    assert chain[1:] == [None, None]
    assert not value or repr(value) not in shown(caught.value)


@confined
def outer(value):
    copied = value + "!"
    return inner(copied)


def inner(text):
    try:
        raise ValueError("first")
    except ValueError:
        raise KeyboardInterrupt from None


def test_frames_inside_a_confined_function_lose_their_locals(monkeypatch):
    monkeypatch.setattr("connectycube._secrets._CLEARED", {"connectycube", "tests"})
    with pytest.raises(KeyboardInterrupt) as caught:
        outer(VALUE)
    names = []
    for error in (caught.value, caught.value.__context__):
        entry = error.__traceback__
        while entry is not None:
            if entry.tb_frame.f_code.co_name in ("outer", "inner", "confining"):
                names.append(entry.tb_frame.f_code.co_name)
                assert "hunter2" not in repr(entry.tb_frame.f_locals)
            entry = entry.tb_next
    assert names == ["confining", "outer", "inner", "inner"]


def test_frames_of_an_application_keep_their_locals():
    with pytest.raises(KeyboardInterrupt) as caught:
        outer(VALUE)
    clear_locals(caught.value)
    assert "hunter2" in repr(caught.traceback[-1].frame.f_locals)


def test_errors_that_hold_each_other_end_the_clearing():
    first, second = ValueError(), ValueError()
    first.__context__, second.__context__ = second, first
    clear_locals(first)


def test_an_interrupt_while_arguments_are_hidden_shows_none_of_them(monkeypatch):
    def interrupt(value):
        raise KeyboardInterrupt

    monkeypatch.setattr("connectycube._secrets._hidden", interrupt)
    call = hides("password")(lambda login, password: None)
    for arguments, keywords in (("ann", VALUE), {}), (("ann",), {"password": VALUE}):
        with pytest.raises(KeyboardInterrupt) as caught:
            call(*arguments, **keywords)
        ours = [entry.frame for entry in caught.traceback if entry.name in ("hiding", "<genexpr>")]
        assert ours
        assert not any("hunter2" in repr(frame.f_locals) for frame in ours)
