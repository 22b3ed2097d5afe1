"""A bot answers 2,000 real texts: each arrives exactly, in order, once, and history equals what was sent."""

from __future__ import annotations

import time

import pytest

from connectycube import ConnectyCube, Limits
from tests.interop.texts import (
    MADE_FORBIDDEN,
    UNHURRIED,
    allowed_in_xml,
    by_script,
    forbidden_texts,
    texts,
)
from tests.support.people import FAST, Events
from tests.support.waiting import TIMEOUT

PASSWORD = "correct horse"
COUNT = 2000
PAGE = 500


@pytest.fixture
def pair(emulator):
    """A person and a bot, each with a session and a chat that is logged in."""
    config = emulator.config(reconnect=FAST, timeouts=UNHURRIED)
    with ConnectyCube(config=config) as person, ConnectyCube(config=config) as bot:
        for cube, login in ((person, "person"), (bot, "bot")):
            emulator.add_user(login, PASSWORD)
            cube.login(login=login, password=PASSWORD)
            cube.chat.login()
        yield person, bot


def history(cube, dialog):
    """Every message of the dialog, oldest first."""
    messages = []
    while True:
        page = cube.messages.list(dialog, sort="date_sent", limit=PAGE, skip=len(messages))
        messages += page.items
        if len(page) < PAGE:
            return messages


def test_a_bot_answers_two_thousand_real_texts(pair, capsys):
    person, bot = pair
    sample = [*MADE_FORBIDDEN, *texts(2300)]
    sendable = [text for text in sample if allowed_in_xml(text)][:COUNT]
    sample = sample[: sample.index(sendable[-1]) + 1]
    assert len(sendable) == COUNT
    answered = []

    @bot.chat.message_received.connect
    def answer(chat, message):
        answered.append(message.body)
        chat.reply(message, message.body)

    events = Events(person.chat.message_received, person.chat.message_delivered)
    dialog = person.dialogs.create_private(bot.user.id)
    refused = 0
    handles = []
    began = time.monotonic()
    for text in sample:
        try:
            handles.append(person.chat.send_message(dialog, text))
        except ValueError as error:
            assert "XML forbids" in str(error)
            refused += 1
    answers = events.wait_for("message_received", len(sendable), timeout=60)
    took = time.monotonic() - began
    for handle in handles:
        handle.result(TIMEOUT)

    assert refused == len(sample) - len(sendable)
    assert answered == sendable
    assert [message.body for message in answers] == sendable
    delivered = events.wait_for("message_delivered", len(sendable))
    assert [status.message_id for status in delivered] == [handle.id for handle in handles]
    stored = history(person, dialog)
    assert [m.body for m in stored if m.sender_id == person.user.id] == sendable
    assert [m.body for m in stored if m.sender_id == bot.user.id] == sendable
    assert len({message.id for message in stored}) == 2 * len(sendable)
    with capsys.disabled():
        print(
            f"\n{len(sendable)} real texts in {len(by_script())} groups of scripts sent and answered"
            f" in {took:.1f} s; {refused} refused for characters that XML forbids"
        )


def test_texts_that_xml_forbids_arrive_when_cleaning_is_asked_for(pair):
    person, bot = pair
    events = Events(bot.chat.message_received)
    forbidden = forbidden_texts()
    for text in forbidden:
        person.chat.send_private(bot.user.id, text, clean=True)
    received = [message.body for message in events.wait_for("message_received", len(forbidden))]
    assert [len(body) for body in received] == [len(text) for text in forbidden]
    for body, text in zip(received, forbidden, strict=True):
        assert all(
            new == old or (new == "\ufffd" and not allowed_in_xml(old))
            for new, old in zip(body, text, strict=True)
        )


def test_tabs_carriage_returns_and_edge_spaces_survive(pair):
    person, bot = pair
    events = Events(bot.chat.message_received)
    bodies = [
        "\ta\t",
        " a ",
        "a\r\nb\rc\n",
        "\r",
        "\n\n",
        "\u2028\u0085\u00a0",
        "]]>",
        "&amp;&#13;",
    ]
    for body in bodies:
        person.chat.send_private(bot.user.id, body)
    assert [m.body for m in events.wait_for("message_received", len(bodies))] == bodies


def test_the_same_when_the_link_is_cut_again_and_again(emulator):
    """Real texts again, with both links cut five times while they flow."""
    sample = [text for text in texts(2000) if allowed_in_xml(text)][:500]
    limits = Limits(outbound_stanzas=100)
    config = emulator.config(reconnect=FAST, limits=limits, timeouts=UNHURRIED)
    with ConnectyCube(config=config) as person, ConnectyCube(config=config) as bot:
        for cube, login in ((person, "person"), (bot, "bot")):
            emulator.add_user(login, PASSWORD)
            cube.login(login=login, password=PASSWORD)
            cube.chat.login()
        bot.chat.message_received.connect(lambda chat, message: chat.reply(message, message.body))
        events = Events(person.chat.message_received)
        handles = []
        for number, text in enumerate(sample):
            handles.append(person.chat.send_private(bot.user.id, text))
            if number % 100 == 50:
                emulator.cut((person, bot)[number // 100 % 2].user.id)
        answers = events.wait_for("message_received", len(sample), timeout=60)
        assert [message.body for message in answers] == sample
        for handle in handles:
            handle.result(TIMEOUT)
