"""A scripted server, and clients of it."""

import pytest

from connectycube.client import ConnectyCube
from connectycube.config import Config, RetryPolicy, Timeouts
from connectycube.models import Session
from connectycube.rest._api import Api
from tests.support.inside import api_of
from tests.support.ports import free_port
from tests.support.scripted_http import ScriptedHttpServer

AUTH_KEY = "the-auth-key-5ec4e7c0de"
ADMIN_KEY = "the-admin-key-5ec4e7c0de"
TOKEN = "the-token-5ec4e7c0de"
SESSION = Session(token=TOKEN, user_id=11)


@pytest.fixture
def server():
    with ScriptedHttpServer() as scripted:
        yield scripted


@pytest.fixture
def free_address():
    """A URL at which nobody listens."""
    return f"http://127.0.0.1:{free_port()}"


@pytest.fixture
def storage():
    """Another origin."""
    with ScriptedHttpServer() as scripted:
        yield scripted


@pytest.fixture
def config(server):
    return Config(
        app_id=7,
        auth_key=AUTH_KEY,
        admin_key=ADMIN_KEY,
        api_url=server.url,
        timeouts=Timeouts(rest_connect=5.0, rest_read=5.0),
        retry=RetryPolicy(max_retries=0),
    )


@pytest.fixture
def api(config):
    """The API, with a session that cannot be renewed."""
    made = Api(config)
    made.adopt(SESSION)
    yield made
    made.close()


@pytest.fixture
def visitor(config):
    """A client without a session."""
    with ConnectyCube(config=config) as made:
        yield made


@pytest.fixture
def cube(visitor):
    """A client with a session that cannot be renewed."""
    api_of(visitor).adopt(SESSION)
    return visitor
