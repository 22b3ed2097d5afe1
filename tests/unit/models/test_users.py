from datetime import datetime, timezone

from hypothesis import given

from connectycube.models import Session, User
from tests.support.damage import damaged
from tests.support.examples import SESSION, USER


def test_a_user_is_read_bare_or_wrapped():
    user = User.from_json(USER)
    assert user == User.from_json({"user": USER})
    assert (user.id, user.login, user.full_name, user.timezone) == (81, "ana", "Ana Oro", 180)
    assert user.tags == ("vip", "dev")
    assert user.created_at == datetime(2024, 6, 15, 14, 20, 54, tzinfo=timezone.utc)
    assert user.extra == {"external_user_id": None, "blob_id": None}


def test_tags_are_read_from_text_and_from_a_list():
    assert User.from_json({"user_tags": " a, b ,,c"}).tags == ("a", "b", "c")
    assert User.from_json({"user_tags": ["a", "b"]}).tags == ("a", "b")
    assert User.from_json({"user_tags": None}).tags == ()


def test_a_session_is_read_with_its_user():
    session = Session.from_json(SESSION)
    assert session == Session.from_json(SESSION["session"])
    assert (session.id, session.token, session.user_id) == ("111", "5EC5E7", 81)
    assert session.user == User.from_json(USER)
    assert session.expires_at is None


def test_a_session_does_not_show_its_token():
    assert "5EC5E7" not in repr(Session.from_json(SESSION))
    assert "5EC5E7" not in str(Session.from_json({"token": "t", "other_token": "5EC5E7"}))


@given(damaged(USER))
def test_a_damaged_user_is_read(data):
    User.from_json(data)
    User.from_json({"user": data})


@given(damaged(SESSION))
def test_a_damaged_session_is_read(data):
    Session.from_json(data)
