"""What a server said is in the errors of a connection: without our secrets, bounded, on one line."""

from __future__ import annotations

import base64
import traceback

import pytest

from connectycube.chat.protocol.decoding import error_of
from connectycube.chat.protocol.parser import StreamParser
from connectycube.errors import ChatAuthenticationError, StreamError, StreamProtocolError
from tests.support.simulation.simulated import ALICE, PASSWORD, SASL, Server
from tests.support.simulation.world import World, closed_reason

STREAM = "urn:ietf:params:xml:ns:xmpp-streams"
INITIAL = base64.b64encode(f"\0{ALICE}-7\0{PASSWORD}".encode()).decode()


def refused(step: str, reply: str) -> Exception:
    """The reason of a connection whose server answers a step of the login with ``reply``."""
    server = Server()
    server.replies[step] = reply
    world = World(server)
    world.login()
    reason = closed_reason(world)
    assert reason is not None
    return reason


def shown(error: BaseException) -> str:
    report = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join(report.format()) + repr(vars(error))


def failure(text: str, condition: str = "not-authorized") -> str:
    return f"<failure xmlns='{SASL}'><{condition}/><text>{text}</text></failure>"


def error(text: str, condition: str = "policy-violation") -> str:
    return (
        f"<stream:error><{condition} xmlns='{STREAM}'/><text xmlns='{STREAM}'>{text}</text>"
        "</stream:error>"
    )


@pytest.mark.parametrize("secret", [PASSWORD, INITIAL])
@pytest.mark.parametrize(
    ("step", "reply", "kind"),
    [
        ("auth", lambda secret: failure(f"{secret} is wrong"), ChatAuthenticationError),
        ("auth", lambda secret: failure(f"it was {secret}", "temporary-auth-failure"), StreamError),
        ("auth", lambda secret: error(f"no {secret} here"), StreamError),
        ("auth", lambda secret: f"<p xmlns='{secret}'/>", StreamProtocolError),
        ("bind", lambda secret: error(f"no {secret} here"), StreamError),
        ("enable", lambda secret: error(f"no {secret} here"), StreamError),
    ],
)
def test_a_secret_that_the_server_repeats_is_masked(secret, step, reply, kind) -> None:
    reason = refused(step, reply(secret))
    assert isinstance(reason, kind)
    assert "***" in str(reason)
    assert secret not in shown(reason)


def test_a_condition_that_is_the_password_is_masked() -> None:
    for reply in (failure("", PASSWORD), error("", PASSWORD)):
        assert PASSWORD not in shown(refused("auth", reply))


@pytest.mark.parametrize("reply", [failure, error])
def test_a_long_text_of_the_server_is_cut_and_stays_on_one_line(reply) -> None:
    reason = refused("auth", reply("no\r\nway\u202e\u0085" + "x" * 900_000))
    assert 400 < len(str(reason)) <= 500
    assert "no\\nway\\u202e\\x85" in str(reason)


@pytest.mark.parametrize("reply", [failure, error])
def test_a_long_name_of_the_server_is_cut(reply) -> None:
    reason = refused("auth", reply("", "x" * 900_000))
    assert len(str(reason)) <= 500
    assert len(reason.condition) <= 500


def test_an_element_out_of_place_is_cut() -> None:
    assert len(str(refused("auth", f"<p xmlns='{'x' * 900_000}'/>"))) <= 500
    assert len(str(refused("features", f"<stream:{'x' * 900_000}/>"))) <= 500


def test_the_error_of_a_stanza_is_cut() -> None:
    items: list = []
    parser = StreamParser(stanza_bytes=10_000_000, stanza_depth=9, stanza_elements=99)
    long = "x" * 900_000
    parser.feed(
        f"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
        f"<iq><error type='{long}'><{long}/><text>{long}\n</text></error></iq>".encode(),
        items,
    )
    made = error_of(items[1].kids[0])
    sizes = map(len, (str(made), made.condition, made.text or "", made.type or ""))
    assert max(sizes) <= 500
