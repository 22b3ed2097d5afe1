"""A service that must not be asked: whoever connects to it fails the test."""

from __future__ import annotations

import socket

import pytest


class Untouched:
    """A place where the service would be, and where nobody answers."""

    def __init__(self):
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.setblocking(False)
        self.port = self._listening.getsockname()[1]

    def environment(self):
        return {
            "CONNECTYCUBE_APP_ID": "1",
            "CONNECTYCUBE_AUTH_KEY": "key",
            "CONNECTYCUBE_API_URL": f"http://127.0.0.1:{self.port}",
            "CONNECTYCUBE_CHAT_HOST": "localhost",
            "CONNECTYCUBE_CHAT_PORT": str(self.port),
        }

    def assert_untouched(self):
        with pytest.raises(BlockingIOError):
            self._listening.accept()[0].close()

    def close(self):
        self._listening.close()
