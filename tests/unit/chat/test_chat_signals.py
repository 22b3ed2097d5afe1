"""The signals of a chat are made when they are used, each once, and are the same for whoever asks."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from connectycube import Message
from connectycube.chat.chat_signals import ChatSignals, SignalOf
from connectycube.errors import ClientClosedError
from tests.support.inside import signals_of
from tests.support.waiting import TIMEOUT


def on_message(chat, message):
    pass


def test_a_signal_is_made_when_it_is_first_used_and_stays():
    chat = ChatSignals()
    assert "message_received" not in vars(chat)
    made = chat.message_received
    assert (made.name, made.event) == ("message_received", Message)
    assert chat.message_received is vars(chat)["message_received"] is made


def test_the_class_says_what_its_signals_are():
    assert isinstance(ChatSignals.message_received, SignalOf)
    assert ChatSignals.message_received.__doc__ == "A message of another user arrived."


def test_threads_that_use_a_signal_first_get_one_object():
    chat, together = ChatSignals(), threading.Barrier(4)

    def get(_):
        together.wait(TIMEOUT)
        return chat.message_read

    with ThreadPoolExecutor(4) as pool:
        assert {id(signal) for signal in pool.map(get, range(4))} == {id(chat.message_read)}


def test_shared_signals_are_those_of_each_chat():
    shared = ChatSignals()
    first, second = ChatSignals(shared=shared), ChatSignals(shared=shared)
    assert first.typing_started is second.typing_started is shared.typing_started
    assert [*map(id, signals_of(first))] == [*map(id, signals_of(shared))]


def test_no_receiver_is_connected_once_the_client_is_closed():
    def refuse():
        raise ClientClosedError("closed")

    with pytest.raises(ClientClosedError):
        ChatSignals(refuse).message_received.connect(on_message)
