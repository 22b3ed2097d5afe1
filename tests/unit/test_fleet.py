"""What a fleet refuses before anything is sent, and which errors it tries again after."""

import pytest

from connectycube import (
    ApiAuthenticationError,
    ArgumentTypeError,
    ArgumentValueError,
    CallbackFailure,
    ChatAuthenticationError,
    ClientClosedError,
    ConnectionLostError,
    ConnectyCube,
    Fleet,
    HostUnreachableError,
    NotFoundError,
    RateLimitError,
    ServerError,
    StreamError,
)
from connectycube.fleet import _delay
from connectycube.testing import MockTransport
from tests.support.inside import signals_of

PASSWORD = "pa55w0rd-5ec4e7"
GOOD = {"login": "alice", "password": PASSWORD}


@pytest.fixture
def cube():
    with ConnectyCube(app_id=7, auth_key="k", transport=MockTransport()) as made:
        yield made


@pytest.mark.parametrize(
    ("credentials", "error", "words"),
    [
        (None, ArgumentTypeError, "credentials must be a mapping"),
        ("alice", ArgumentTypeError, "credentials must be a mapping"),
        (["alice", PASSWORD], ArgumentTypeError, "credentials must be a mapping"),
        ({}, ArgumentValueError, "credentials must not be empty"),
        ({"password": PASSWORD}, ArgumentValueError, "give login or email"),
        ({"login": "alice"}, ArgumentTypeError, "password is missing"),
        ({"login": "", "password": PASSWORD}, ArgumentValueError, "login"),
        ({"login": "alice", "password": ""}, ArgumentValueError, "password"),
        ({"login": 7, "password": PASSWORD}, ArgumentTypeError, "login"),
        ({"login": "alice", "pasword": "s"}, ArgumentTypeError, "no field 'pasword'.*password"),
        ({1: "alice"}, ArgumentTypeError, "no field 1"),
        ({**GOOD, "timeout": 3}, ArgumentTypeError, "no field 'timeout'"),
        ({"provider": "nobody", "token": "t"}, ArgumentValueError, "provider"),
    ],
)
def test_wrong_credentials_are_named_before_anything_is_sent(cube, credentials, error, words):
    fleet = Fleet(cube)
    with pytest.raises(error, match=words) as caught:
        fleet.add(credentials)
    assert PASSWORD not in str(caught.value)
    assert len(fleet) == 0


def test_one_login_twice_is_refused(cube):
    fleet = Fleet(cube, [GOOD])
    with pytest.raises(ArgumentValueError, match="credentials are those of a member"):
        fleet.add({**GOOD, "password": "another"})
    assert len(fleet) == 1


def test_statistics_are_shown_as_the_numbers_of_members(cube):
    statistics = Fleet(cube, [GOOD]).statistics()
    assert repr(statistics) == "<FleetStatistics: 0 ready, 1 waiting, 0 failed>"


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"credentials": GOOD}, ArgumentTypeError, "credentials must be several mappings"),
        ({"credentials": "alice"}, ArgumentTypeError, "credentials must be several mappings"),
        ({"credentials": 7}, ArgumentTypeError, "credentials must be several mappings"),
        ({"workers": 0}, ArgumentValueError, "workers"),
        ({"workers": "4"}, ArgumentTypeError, "workers"),
        ({"logins": 0}, ArgumentValueError, "logins"),
        ({"durable": 7}, ArgumentTypeError, "durable must be the path of a folder"),
        ({"durable": ""}, ArgumentValueError, "durable must be the path of a folder, not an empty"),
        (
            {"durable": b"bots"},
            ArgumentTypeError,
            "durable must be the path of a folder, not bytes",
        ),
        ({"renew_session": 7, "credentials": [GOOD]}, ArgumentTypeError, "renew_session"),
    ],
)
def test_a_wrong_argument_of_a_fleet_is_named(cube, arguments, error, words):
    with pytest.raises(error, match=words):
        Fleet(cube, **arguments)


def test_a_folder_that_is_a_file_is_refused(cube, tmp_path):
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(ArgumentValueError, match="durable must be a folder"):
        Fleet(cube, durable=path)


def test_a_fleet_needs_a_client_whose_stores_are_for_several_users(tmp_path):
    with pytest.raises(ArgumentTypeError, match="cube must be a ConnectyCube"):
        Fleet("cube")
    with (
        ConnectyCube(app_id=7, auth_key="k", durable=str(tmp_path / "bot.db")) as cube,
        pytest.raises(ArgumentValueError, match="cube has a configuration with durable"),
    ):
        Fleet(cube)


def test_a_fleet_that_never_logged_in_can_be_closed(cube):
    fleet = Fleet(cube, [GOOD])
    first = fleet.add({**GOOD, "login": "bob"})
    assert not fleet.close()
    with pytest.raises(ClientClosedError):
        first.result(0)
    with pytest.raises(ClientClosedError):
        fleet.message_received.connect(lambda chat, event: None)
    with pytest.raises(ClientClosedError):
        fleet.around(lambda chat, signal, event, receiver: None)


def test_a_member_without_a_session_is_removed_by_its_login(cube):
    fleet = Fleet(cube, [GOOD])
    first = fleet.add({"email": "bob@example.com", "password": PASSWORD})
    fleet.remove("bob@example.com")
    with pytest.raises(ClientClosedError, match="the member was removed"):
        first.result(0)
    with pytest.raises(ArgumentValueError, match="user is no member: 'bob@"):
        fleet.remove("bob@example.com")
    assert len(fleet) == 1 and list(fleet) == [] and 7 not in fleet and "alice" not in fleet


def test_all_signals_of_a_chat_are_those_of_a_fleet(cube):
    names = {signal.name for signal in signals_of(Fleet(cube))}
    assert names == {signal.name for signal in signals_of(cube.chat)} | {"member_failed"}
    assert CallbackFailure in {signal.event for signal in signals_of(Fleet(cube))}


def api_error(kind, **attributes):
    return kind("no", status=400, method="POST", url="/session", **attributes)


@pytest.mark.parametrize(
    "error",
    [
        ArgumentValueError("no"),
        ChatAuthenticationError("no", condition="not-authorized"),
        StreamError("no", condition="conflict"),
        api_error(ApiAuthenticationError),
        api_error(NotFoundError),
        SystemExit(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_would_fail_again_is_not_tried_again(error):
    assert _delay(error, lambda random: 1.0) is None


def test_a_shorter_rate_limit_does_not_end_a_longer_one(cube):
    fleet, pauses = Fleet(cube, [GOOD]), []
    for seconds in (1e12, 1.0):
        fleet._failed(fleet._members[0], api_error(RateLimitError, retry_after=seconds))
        pauses.append(fleet._paused_until)
    fleet.close()
    assert pauses[0] == pauses[1]


@pytest.mark.parametrize(
    ("error", "delay"),
    [
        (ConnectionLostError("no"), 1.0),
        (HostUnreachableError("no"), 1.0),
        (StreamError("no", condition="system-shutdown"), 1.0),
        (api_error(ServerError), 1.0),
        (api_error(RateLimitError, retry_after=7.0), 7.0),
        (api_error(RateLimitError, retry_after=0.5), 1.0),
        (RuntimeError("a transport of the application"), 1.0),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_may_pass_is_tried_again_after_a_while(error, delay):
    assert _delay(error, lambda random: 1.0) == delay
