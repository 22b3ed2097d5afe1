import pytest

from connectycube.errors import ArgumentTypeError, ArgumentValueError
from connectycube.models import Dialog, DialogRef, Message, User
from connectycube.rest._arguments import (
    check_dialog,
    check_dialog_id,
    check_each,
    check_message_id,
    check_user_id,
)

PRIVATE = DialogRef.private(5, "d")


# --- ids


@pytest.mark.parametrize("value", [5, User(id=5, login="x")])
def test_a_user_is_an_id_or_a_user(value):
    assert check_user_id("user", value) == 5


@pytest.mark.parametrize(
    ("value", "cls"),
    [
        (0, ArgumentValueError),
        (-1, ArgumentValueError),
        (User(login="x"), ArgumentValueError),
        ("5", ArgumentTypeError),
        (5.0, ArgumentTypeError),
        (True, ArgumentTypeError),
        (None, ArgumentTypeError),
    ],
)
def test_what_is_no_user_is_refused_by_name(value, cls):
    with pytest.raises(cls, match=r"^peer "):
        check_user_id("peer", value)


@pytest.mark.parametrize(
    ("value", "known"),
    [
        ("d", DialogRef(id="d")),
        (PRIVATE, PRIVATE),
        (Dialog(id="d", name="n"), Dialog(id="d", name="n")),
        (Message(dialog_id="d"), DialogRef(id="d")),
        (Message(dialog_id="other", dialog=PRIVATE), PRIVATE),
        (Message(dialog_id="d", dialog=DialogRef.private(5)), PRIVATE),
    ],
)
def test_a_dialog_is_an_id_a_dialog_or_a_message(value, known):
    assert check_dialog("dialog", value) == known
    assert check_dialog_id("dialog", value) == "d"


@pytest.mark.parametrize(
    ("value", "cls"),
    [
        ("", ArgumentValueError),
        ("a b", ArgumentValueError),
        ("a/b", ArgumentValueError),
        ("..", ArgumentValueError),
        ("a,b", ArgumentValueError),
        (DialogRef(), ArgumentValueError),
        (DialogRef(id=""), ArgumentValueError),
        (Message(body="x"), ArgumentValueError),
        (5, ArgumentTypeError),
        (None, ArgumentTypeError),
        (["d"], ArgumentTypeError),
    ],
)
def test_what_is_no_dialog_is_refused_by_name(value, cls):
    with pytest.raises(cls, match=r"^place "):
        check_dialog_id("place", value)


# --- one or several


@pytest.mark.parametrize(
    ("value", "ids"),
    [("m", ["m"]), (Message(id="m"), ["m"]), (["m", Message(id="n"), "m"], ["m", "n"]), ((), [])],
)
def test_several_are_one_or_many_without_repetitions(value, ids):
    assert check_each("x", value, check_message_id) == ids


@pytest.mark.parametrize("value", [None, b"m", {"m": 1}, 1.5, ["m", None], [5], Message(), [""]])
def test_what_is_neither_one_nor_many_names_the_argument(value):
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match=r"^x "):
        check_each("x", value, check_message_id)
