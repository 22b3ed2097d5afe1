from __future__ import annotations

import keyring.core
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked


class MemoryKeyring(KeyringBackend):
    """A keyring in memory, which can be locked."""

    priority = 1

    def __init__(self):
        self.values = {}
        self.is_locked = False

    def get_password(self, service, username):
        self._check()
        return self.values.get((service, username))

    def set_password(self, service, username, password):
        self._check()
        self.values[service, username] = password

    def delete_password(self, service, username):
        self._check()
        del self.values[service, username]

    def _check(self):
        if self.is_locked:
            raise KeyringLocked("Failed to unlock the collection!")


@pytest.fixture
def ring():
    """The keyring of the process for one test."""
    before = keyring.core._keyring_backend  # get_keyring() would start processes to look for one
    ring = MemoryKeyring()
    keyring.set_keyring(ring)
    yield ring
    keyring.core._keyring_backend = before
