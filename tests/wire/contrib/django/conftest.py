from __future__ import annotations

import pytest

from connectycube import ConnectyCube
from connectycube.contrib.django import backends
from connectycube.contrib.django.conf import LIVE
from tests.support.django_setup import (  # noqa: F401
    _database_of_session,
    database,
    locmem,
    setting,
    tables,
)


@pytest.fixture
def live(emulator, setting, tables):  # noqa: F811
    """The backend ``live`` and the emulator, with a bot; ``live(BOTS={…})`` changes the setting."""

    def change(_others=None, **changes):
        setting(
            {
                "BACKEND": LIVE,
                "APP_ID": emulator.app_id,
                "AUTH_KEY": emulator.auth_key,
                "API_URL": emulator.api_url,
                "CHAT_HOST": emulator.domain,
                "CHAT_PORT": emulator.chat_port,
                "CA_FILE": emulator.ca_file,
                "BOTS": {"default": {"LOGIN": "bot", "PASSWORD": "a password"}},
                "HANDLING": {"DELAY": 0.02, "MAX_DELAY": 0.1},
                "RECONNECT": {"MAX_ATTEMPTS": None, "DELAY": 0.05},
                **changes,
            },
            **(_others or {}),
        )

    change()
    change.bot_id = emulator.add_user("bot", "a password")
    yield change
    backends.reset()


@pytest.fixture
def friend(emulator):
    """A client of a user of the service, with a chat that keeps what it receives."""
    emulator.add_user("friend", "a password")
    with ConnectyCube(config=emulator.config()) as client:
        client.login(login="friend", password="a password")
        client.chat.login()
        yield client
