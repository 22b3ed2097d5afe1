"""The log of exchanges: off until it is asked for, bounded in bytes, and readable as curl."""

from __future__ import annotations

import shlex
import threading

import pytest

from connectycube.emulator.control.exchanges import Exchange, Exchanges
from connectycube.errors import ArgumentTypeError, ArgumentValueError


def add(log, number=1, **values):
    for index in range(number):
        log.add(**{"at": 1.0, "side": "rest", "user_id": 1, "what": f"GET /{index}", **values})


def test_it_is_active_while_anybody_asks():
    log, seen = Exchanges(), []
    assert not log.active
    log.record()
    assert (log.active, log.recording) == (True, True)
    log.watch(seen.append)
    log.stop()
    assert (log.active, log.recording) == (True, False)
    add(log)
    log.unwatch(seen.append)
    assert not log.active
    assert seen == log.find()


def test_the_oldest_make_room_in_bytes():
    log = Exchanges()
    add(log, 300, answer="x" * 60_000)
    kept = log.find()
    assert sum(each.size for each in kept) <= 8 * 1_048_576
    assert kept[-1].id == 300
    assert kept[0].id == log.left_out + 1 > 100
    with pytest.raises(LookupError, match=r"exchange 1$"):
        log.get(1)
    log.clear()
    assert (log.find(), log.left_out) == ([], 0)


def test_a_long_body_is_cut():
    log = Exchanges()
    add(log, answer="é" * 100_000)
    (one,) = log.find()
    assert one.answer.endswith("… and 34,464 more characters")
    assert one.size < 140_000


def test_exchanges_are_found_by_user_side_id_and_number():
    log = Exchanges()
    add(log, 3)
    add(log, 2, side="chat", user_id=2, what="message")
    assert [each.id for each in log.find(user_id=1)] == [1, 2, 3]
    assert [each.id for each in log.find(side="chat")] == [4, 5]
    assert [each.id for each in log.find(after=3)] == [4, 5]
    assert [each.id for each in log.find(limit=2, user_id=1)] == [2, 3]
    assert log.get(4).what == "message"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"user_id": "1"}, ArgumentTypeError),
        ({"side": "smtp"}, ArgumentValueError),
        ({"after": -1}, ArgumentValueError),
        ({"limit": 0}, ArgumentValueError),
    ],
)
def test_wrong_arguments_are_named(arguments, error):
    with pytest.raises(error, match=next(iter(arguments))):
        Exchanges().find(**arguments)


def test_curl_is_one_command_whose_secrets_are_variables():
    one = Exchange(
        id=1,
        at=1.0,
        side="rest",
        user_id=1,
        what="POST /chat/Message",
        url="http://127.0.0.1:1/chat/Message?a=$(rm)",
        request_headers={"CB-Token": "***", "Content-Type": "application/json", "Host": "h"},
        request='{"message": "it\'s $HOME"}',
    )
    assert shlex.split(one.curl()) == [
        *("curl", "--request", "POST", "http://127.0.0.1:1/chat/Message?a=$(rm)"),
        *("--header", "CB-Token: $CB_TOKEN", "--header", "Content-Type: application/json"),
        *("--data-raw", '{"message": "it\'s $HOME"}'),
    ]


def test_a_stanza_has_no_curl():
    with pytest.raises(ArgumentValueError, match="curl"):
        Exchange(id=1, at=1.0, side="chat", user_id=1, what="iq").curl()


def test_it_is_read_while_it_is_written():
    log = Exchanges()
    writer = threading.Thread(target=add, args=(log, 3000))
    writer.start()
    while writer.is_alive():
        log.find(limit=1)
    writer.join()
    assert len(log.find()) == 3000
