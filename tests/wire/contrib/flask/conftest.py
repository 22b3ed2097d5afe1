from __future__ import annotations

import threading
from contextlib import contextmanager

import pytest
from flask import Flask, request

from connectycube import ConnectyCube, ReconnectPolicy
from connectycube.contrib.flask import FlaskCube
from connectycube.contrib.flask.clients import Clients
from connectycube.contrib.flask.listener import Listener
from tests.support.waiting import TIMEOUT

PASSWORD = "a password"


@pytest.fixture
def bot_id(emulator):
    return emulator.add_user("bot", PASSWORD)


@pytest.fixture
def cube():
    return FlaskCube()


@pytest.fixture
def app(emulator, bot_id, cube, tmp_path):
    """An application on the emulator, whose page is ``/stream/DIALOG?as=LOGIN``."""
    app = Flask("shop")
    app.config.update(
        {f"CONNECTYCUBE_{key}": value for key, value in keys_of(emulator, tmp_path).items()}
    )
    cube.init_app(app)

    @app.get("/stream/<dialog>")
    def stream(dialog):
        client = cube.client_for(login=request.args["as"], password=PASSWORD)
        return cube.stream(
            *(dialog,),
            as_client=client,
            history=int(request.args.get("history", 0)),
            heartbeat=float(request.args.get("heartbeat", 15)),
        )

    yield app
    with app.app_context():
        cube.close()


def keys_of(emulator, folder):
    return {
        "APP_ID": emulator.app_id,
        "AUTH_KEY": emulator.auth_key,
        "API_URL": emulator.api_url,
        "CHAT_HOST": emulator.domain,
        "CHAT_PORT": emulator.chat_port,
        "CA_FILE": emulator.ca_file,
        "LOGIN": "bot",
        "PASSWORD": PASSWORD,
        "HANDLING": {"DELAY": 0.02, "MAX_DELAY": 0.1},
        "RECONNECT": ReconnectPolicy(max_attempts=None, delay=0.05),
        "RUN_FOLDER": folder,
        "STREAM_POLL": 30.0,
    }


@pytest.fixture
def friend(emulator):
    """A client of a user of the service, with a chat that keeps what it receives."""
    emulator.add_user("friend", PASSWORD)
    with ConnectyCube(config=emulator.config()) as client:
        client.login(login="friend", password=PASSWORD)
        client.chat.login()
        yield client


@pytest.fixture
def listening(app, cube):
    """``with listening() as said:`` has a listener on a thread; ``said`` is what it tells people.

    One that is ``apart`` has clients of its own, as another process has.
    """

    @contextmanager
    def listening(apart=False, **options):
        with app.app_context():
            clients = Clients(cube._clients.settings) if apart else cube._clients
        said, is_ready = [], threading.Event()

        def say(sentence):
            said.append(sentence)
            is_ready.set()

        listener = Listener(app=app, clients=clients, handlers=cube.handlers, say=say, **options)
        failures = []

        def run():
            try:
                listener.run()
            except BaseException as error:
                failures.append(error)
                is_ready.set()

        thread = threading.Thread(target=run)
        thread.start()
        try:
            assert is_ready.wait(TIMEOUT)
            if failures:
                raise failures[0]
            yield said
        finally:
            chat = clients._chat
            if chat is not None:
                chat.logout()
            thread.join(TIMEOUT)

    return listening
