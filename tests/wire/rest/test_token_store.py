"""Clients of several processes of one application, here of several clients, with one token store."""

from __future__ import annotations

import threading

import pytest

from connectycube import (
    ApiAuthenticationError,
    ArgumentTypeError,
    ConnectyCube,
    MemoryTokenStore,
    Session,
    Timeouts,
)
from tests.support.observing import Requests
from tests.support.people import PASSWORD
from tests.support.waiting import TIMEOUT, Gate

LATER = 7_201  # seconds: a session has ended by then


class Processes:
    """Clients that share a store and nothing else, and how often one of them made a session."""

    def __init__(self, emulator, store):
        self.emulator = emulator
        self.store = store
        self.made = 0
        self.requests = 0
        self.clients = []

    def note(self, record):
        self.requests += 1
        self.made += record.method == "POST" and record.url.endswith("/session")

    def start(self, **options):
        options = {"timeouts": Timeouts(token_store=60.0), **options}
        observer = Requests(self.note)
        config = self.emulator.config(token_store=self.store, observer=observer, **options)
        self.clients.append(ConnectyCube(config=config))
        return self.clients[-1]

    def user(self, login="bob", *, renew_session=None, password=PASSWORD, shared_as=None):
        return self.start().for_user(
            login=login, password=password, renew_session=renew_session, shared_as=shared_as
        )


@pytest.fixture
def store():
    return MemoryTokenStore()


@pytest.fixture
def bob(emulator):
    return emulator.add_user("bob", PASSWORD)


@pytest.fixture
def processes(emulator, bob, store):
    made = Processes(emulator, store)
    yield made
    for client in made.clients:
        client.close()


def at_once(count, call):
    """Call in so many threads at once; return the results."""
    results, start = [], threading.Barrier(count)

    def run(number):
        start.wait(TIMEOUT)
        results.append(call(number))

    threads = [threading.Thread(target=run, args=[number]) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(results) == count
    return results


def test_a_second_process_finds_the_session_and_sends_nothing(processes, bob):
    first = processes.user()
    sent = processes.requests
    second = processes.user()
    assert (processes.made, processes.requests) == (1, sent)
    assert second.session.token == first.session.token
    assert (second.user.id, second.users.get(bob).login) == (bob, "bob")


def test_of_many_that_begin_at_once_one_makes_the_session(processes):
    users = at_once(20, lambda _: processes.user())
    assert (processes.made, len({user.session.token for user in users})) == (1, 1)


def test_of_many_whose_session_ended_one_renews_it(processes, emulator, bob):
    users = [processes.user() for _ in range(20)]
    emulator.clock.advance(LATER)
    found = at_once(20, lambda number: users[number].users.get(bob).id)
    assert (found, processes.made) == ([bob] * 20, 2)
    assert len({user.session.token for user in users}) == 1


def test_a_session_that_another_process_renewed_is_found(processes, emulator, bob):
    first, second = processes.user(), processes.user()
    emulator.clock.advance(LATER)
    first.users.get(bob)
    second.users.get(bob)
    assert processes.made == 2
    assert second.session.token == first.session.token


def test_the_renewal_of_the_application_is_shared(processes, emulator, bob):
    renewed = []

    def renew(session, client):
        renewed.append(session.token)
        return client.sessions.create(login="bob", password=PASSWORD)

    users = [processes.user(renew_session=renew) for _ in range(20)]
    old = users[0].session.token
    emulator.clock.advance(LATER)
    at_once(20, lambda number: users[number].users.get(bob))
    assert (renewed, processes.made) == ([old], 2)


def test_a_session_has_the_name_that_the_application_gives(processes, emulator, bob):
    """As for a provider, whose token is another at each login: here the password is."""

    def renew(session, client):
        return client.sessions.create(login="bob", password=PASSWORD)

    first = processes.user(shared_as="bob of the site", renew_session=renew)
    others = [
        processes.user(password="not asked", shared_as="bob of the site", renew_session=renew)
        for _ in range(9)
    ]
    emulator.clock.advance(LATER)
    at_once(9, lambda number: others[number].users.get(bob))
    assert first.users.get(bob).id == bob
    assert len({user.session.token for user in [first, *others]}) == 1
    assert processes.made == 2
    assert processes.user().session.token != first.session.token, "by credentials alone"


def test_a_name_of_a_session_needs_no_store(emulator, bob):
    with ConnectyCube(config=emulator.config()) as cube:
        user = cube.for_user(login="bob", password=PASSWORD, shared_as="bob")
        assert user.session.user_id == bob
        with pytest.raises(ArgumentTypeError, match="shared_as must be a str"):
            cube.for_user(login="bob", password=PASSWORD, shared_as=3)


def test_a_renewal_by_login_of_the_same_client_does_not_wait_for_itself(
    processes, emulator, bob, caplog
):
    def renew(session):
        user.login(login="bob", password=PASSWORD)

    user = processes.user(renew_session=renew)
    emulator.clock.advance(LATER)
    assert user.users.get(bob).id == bob
    assert processes.user().session.token == user.session.token
    assert (processes.made, caplog.records) == (2, [])


def test_a_session_that_the_service_ended_is_renewed(processes, bob):
    first, second = processes.user(), processes.user()
    other = processes.start().with_token(first.session.token)
    other.sessions.destroy()
    assert first.users.get(bob).id == second.users.get(bob).id == bob
    assert (processes.made, second.session.token) == (2, first.session.token)


def test_a_session_of_the_store_that_has_ended_too_is_renewed(processes, bob):
    first, second, third = processes.user(), processes.user(), processes.user()
    destroyer = processes.start()
    destroyer.with_token(first.session.token).sessions.destroy()
    first.users.get(bob)  # the store has a second session now
    destroyer.with_token(first.session.token).sessions.destroy()
    assert second.users.get(bob).id == third.users.get(bob).id == bob
    assert (processes.made, third.session.token) == (3, second.session.token)


def test_a_logout_takes_the_session_out_of_the_store(processes, bob):
    first, second = processes.user(), processes.user()
    first.logout()
    third = processes.user()
    assert (processes.made, third.session.token != second.session.token) == (2, True)
    assert second.users.get(bob).id == bob
    assert (processes.made, second.session.token) == (2, third.session.token)


def test_a_wrong_password_finds_no_session(processes):
    processes.user()
    with pytest.raises(ApiAuthenticationError):
        processes.user(password="wrong-5ec4e7c0de")


def test_other_users_have_sessions_of_their_own(processes, emulator):
    ann = emulator.add_user("ann", PASSWORD)
    assert processes.user("ann").user.id == ann != processes.user().user.id
    assert processes.made == 2


def test_guests_share_no_session(processes):
    first, second = (processes.start().for_user(guest=True) for _ in range(2))
    assert first.user.id != second.user.id


def test_a_login_makes_a_session_of_its_own(processes):
    user = processes.user()
    cube = processes.start()
    cube.login(login="bob", password=PASSWORD)
    assert cube.session.token != user.session.token


def test_the_chat_logs_in_with_a_session_that_was_found(processes, bob):
    processes.user()
    second = processes.user()
    second.chat.login()
    assert second.chat.ping() >= 0
    second.close()
    assert processes.made == 1


def test_the_chat_logs_in_although_the_session_of_the_store_has_ended_too(processes):
    first, second = processes.user(), processes.user()
    destroyer = processes.start()
    for _ in range(2):  # the sessions of both, and then the one that is in the store
        destroyer.with_token(first.session.token).sessions.destroy()
        if first.session.token == second.session.token:
            first.users.get(first.user.id)
    second.chat.login()
    assert second.chat.ping() >= 0
    second.close()
    assert processes.made == 3


class Broken:
    """A store of which no method works."""

    def get(self, key):
        raise OSError("no cache")

    lock = get

    def set(self, key, value, seconds):
        raise OSError("no cache")


def test_no_request_fails_for_a_store_that_does(processes, emulator, bob, caplog):
    processes.store = Broken()
    user = processes.user()
    emulator.clock.advance(LATER)
    assert user.users.get(bob).id == bob
    assert processes.made == 2
    assert {record.levelname for record in caplog.records} == {"WARNING"}


def test_no_request_waits_long_for_a_store_that_hangs(processes, bob):
    with Gate() as gate:
        processes.store.lock = gate
        user = processes.start(timeouts=Timeouts(token_store=0.05)).for_user(
            login="bob", password=PASSWORD
        )
        assert user.users.get(bob).id == bob


@pytest.mark.parametrize("missing", ["get", "set", "lock"])
def test_what_is_no_token_store_is_refused(emulator, missing):
    store = MemoryTokenStore()
    setattr(store, missing, None)
    with pytest.raises(ArgumentTypeError, match=f"token_store .*: {missing}"):
        emulator.config(token_store=store)


# --- a renewal with a client


def test_a_renewal_that_needs_a_client_gets_one_without_a_session(emulator, bob):
    seen = []

    def renew(session, client):
        seen.append((session.token, client.session, client.config is cube.config))
        return client.sessions.create(login="bob", password=PASSWORD)

    with ConnectyCube(config=emulator.config(), renew_session=renew) as cube:
        cube.login(login="bob", password=PASSWORD)
        old = cube.session.token
        emulator.clock.advance(LATER)
        assert at_once(20, lambda _: cube.users.get(bob).id) == [bob] * 20
        assert seen == [(old, None, True)]
        token = cube.session.token
        for other in (
            cube.with_token(token, renew_session=renew),
            cube.for_user(login="bob", password=PASSWORD, renew_session=renew),
        ):
            emulator.clock.advance(LATER)
            assert other.users.get(bob).id == bob
        assert len(seen) == 3


def test_a_renewal_in_a_chat_gets_a_client(emulator, bob):
    def renew(session, client):
        return client.sessions.create(login="bob", password=PASSWORD).token

    with ConnectyCube(config=emulator.config()) as cube:
        user = cube.with_token("ended-5ec4e7c0de", user_id=bob, renew_session=renew)
        user.chat.login()
        assert user.chat.ping() >= 0
        user.close()


def with_one(session):
    return "new-5ec4e7c0de"


def with_a_default(session, client="default"):
    assert client == "default"
    return "new-5ec4e7c0de"


def with_any_number(*arguments):
    assert [type(argument) for argument in arguments] == [Session]
    return "new-5ec4e7c0de"


@pytest.mark.parametrize("renew", [with_one, with_a_default, with_any_number])
def test_a_renewal_that_needs_the_session_alone_gets_no_client(emulator, renew):
    with ConnectyCube(config=emulator.config()) as cube:
        user = cube.with_token("ended-5ec4e7c0de", renew_session=renew)
        with pytest.raises(ApiAuthenticationError):  # the new token is nobody's
            user.users.get(1)
        assert user.session.token == "new-5ec4e7c0de"


@pytest.mark.parametrize(
    "renew", [lambda: None, lambda session, client, more: None, lambda *, session: None]
)
def test_a_renewal_of_another_form_is_refused(emulator, renew):
    with pytest.raises(ArgumentTypeError, match=r"renew_session\(session\)"):
        ConnectyCube(config=emulator.config(), renew_session=renew)


def test_a_renewal_with_a_client_must_not_be_a_coroutine_function(emulator):
    async def renew(session, client):
        return None

    with pytest.raises(ArgumentTypeError, match="coroutine"):
        ConnectyCube(config=emulator.config(), renew_session=renew)
