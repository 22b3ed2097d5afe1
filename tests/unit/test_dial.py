"""The first step of a connection, as the systems report it."""

from __future__ import annotations

import errno

from connectycube import _dial
from connectycube._os_errors import error_of


def test_a_refused_connection_is_the_error_of_its_number():
    error = error_of(errno.ECONNREFUSED)
    assert isinstance(error, ConnectionRefusedError)
    assert error.errno == errno.ECONNREFUSED and error.strerror


def test_a_connection_that_is_being_made_is_no_error():
    assert errno.EINPROGRESS in _dial._CONNECTING
    assert errno.ECONNREFUSED not in _dial._CONNECTING
