"""A send finds room in the outbound buffer, whatever else is on its way to the server."""

from __future__ import annotations

import pytest

from connectycube import ChatState as S
from connectycube import DialogRef, Limits, Message, SendQueueFullError
from tests.support.people import SLOW, Person, logged_in
from tests.support.proxy import FaultProxy
from tests.support.waiting import TIMEOUT


def test_a_thousand_requests_block_no_message(alice, bob):
    with logged_in(alice):
        for _ in range(1_100):
            alice.chat.ping(TIMEOUT)
        handle = alice.chat.send_private(bob.id, "after the pings", timeout=1.0)
        assert handle.result(TIMEOUT).body == "after the pings"


def test_thousands_of_markers_and_typing_block_no_message(alice, bob):
    read = Message(id="5f3a1b2c3d4e5f6071829304", sender_id=bob.id)
    dialog = DialogRef.private(bob.id)
    with logged_in(alice):
        for _ in range(1_500):
            alice.chat.mark_read(read)
            alice.chat.send_typing(dialog)
        handle = alice.chat.send_private(bob.id, "after the markers", timeout=TIMEOUT)
        assert handle.result(TIMEOUT).body == "after the markers"


def test_the_error_of_a_full_buffer_says_what_it_waits_for(emulator):
    with FaultProxy("localhost", emulator.chat_port) as proxy:
        eve = Person.new(
            emulator, limits=Limits(outbound_stanzas=2), chat_port=proxy.port, reconnect=SLOW
        )
        with logged_in(eve):
            proxy.freeze()
            with pytest.raises(SendQueueFullError, match="wait for the server's acknowledgement"):
                for number in range(10):
                    eve.chat.send_private(eve.id + 1, str(number), timeout=0.1)
            with pytest.raises(SendQueueFullError, match="wait for the server's acknowledgement"):
                eve.chat.ping(0.1)
            proxy.rst()
            eve.wait_for_state(S.FORCE_CLOSED)
            with pytest.raises(SendQueueFullError, match="wait for the link, which is down"):
                eve.chat.send_private(eve.id + 1, "another", timeout=0.1)
