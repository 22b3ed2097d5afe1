"""The negotiation of a stream as tables: what the server says at each step, and what follows."""

from __future__ import annotations

import base64
import itertools
from typing import Any

import pytest

from connectycube.chat.protocol.addresses import Addresses
from connectycube.chat.protocol.events import (
    Authenticated,
    Bound,
    Credentials,
    Nonza,
    NotResumed,
    Resumable,
    Resumed,
    Stanza,
)
from connectycube.chat.protocol.parser import MessageStanza
from connectycube.chat.protocol.stream import Stream
from connectycube.config import Limits
from connectycube.errors import (
    ChatAuthenticationError,
    ConnectionLostError,
    StreamError,
    StreamProtocolError,
)

SM, SASL = "urn:xmpp:sm:3", "urn:ietf:params:xml:ns:xmpp-sasl"
BIND, SESSION = "urn:ietf:params:xml:ns:xmpp-bind", "urn:ietf:params:xml:ns:xmpp-session"
STREAMS, STANZAS = (f"urn:ietf:params:xml:ns:xmpp-{kind}" for kind in ("streams", "stanzas"))

HEADER = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
PLAIN = f"<mechanisms xmlns='{SASL}'><mechanism>PLAIN</mechanism></mechanisms>"
SUCCESS = f"<success xmlns='{SASL}'/>"
ENABLED = f"<enabled xmlns='{SM}' resume='true' id='sm1'/>"
JID = "1001-7@chat.example/laptop"
BOUND = f"<iq type='result' id='id1'><bind xmlns='{BIND}'><jid>{JID}</jid></bind></iq>"
RESUMED = f"<resumed xmlns='{SM}' previd='old' h='5'/>"


def features(*inner: str) -> str:
    return f"<stream:features>{''.join(inner)}</stream:features>"


BIND_FEATURE, SM_FEATURE = f"<bind xmlns='{BIND}'/>", f"<sm xmlns='{SM}'/>"
FEATURES = features(BIND_FEATURE, SM_FEATURE)
RESUMABLE = Resumable("old", 3)


class Negotiation:
    """A stream with what it wrote and what came of each line of the server."""

    def __init__(self, resumable: Resumable | None = None, password: str = "s3cret") -> None:
        numbers = itertools.count(1)
        self.stream = Stream(
            Addresses(7, "chat.example"),
            Credentials(1001, password, "laptop"),
            resumable,
            Limits(),
            lambda: f"id{next(numbers)}",
        )

    def written(self) -> str:
        """What was written since the last call."""
        text = "".join(self.stream.output)
        self.stream.output.clear()
        return text

    def hear(self, *lines: str) -> list[Any]:
        """The events that these lines of the server bring."""
        return [event for line in lines for event in self.stream.receive(line.encode())]


TO_AUTH = (HEADER, features(PLAIN))
TO_FEATURES = (*TO_AUTH, SUCCESS, HEADER)
TO_BIND = (*TO_FEATURES, FEATURES)
TO_ENABLE = (*TO_BIND, BOUND)
TO_READY = (*TO_ENABLE, ENABLED)
SESSION_FEATURES = features(BIND_FEATURE, f"<session xmlns='{SESSION}'/>")
TO_SESSION = (*TO_FEATURES, SESSION_FEATURES, BOUND)

STEPS: dict[str, tuple[Resumable | None, tuple[str, ...]]] = {
    "features to authenticate": (None, (HEADER,)),
    "authentication": (None, TO_AUTH),
    "features": (None, TO_FEATURES),
    "resumption": (RESUMABLE, (*TO_FEATURES, FEATURES)),
    "binding": (None, TO_BIND),
    "session": (None, TO_SESSION),
    "enabling": (None, TO_ENABLE),
    "ready": (None, TO_READY),
    "resumed": (RESUMABLE, (*TO_FEATURES, FEATURES, RESUMED)),
}


# --- the good ways --------------------------------------------------------------------------------


def test_a_new_session_is_negotiated_step_by_step() -> None:
    talk = Negotiation()
    header = (
        '<?xml version=\'1.0\'?><stream:stream to="chat.example" version="1.0"'
        ' xmlns="jabber:client" xmlns:stream="http://etherx.jabber.org/streams">'
    )
    assert talk.written() == header
    assert talk.hear(*TO_AUTH) == []
    initial = base64.b64encode(b"\x001001-7\x00s3cret").decode()
    assert talk.written() == f'<auth xmlns="{SASL}" mechanism="PLAIN">{initial}</auth>'
    assert talk.hear(SUCCESS) == [Authenticated()]
    assert talk.written() == header
    assert talk.hear(HEADER, FEATURES) == []
    assert talk.written() == (
        f'<iq type="set" id="id1"><bind xmlns="{BIND}"><resource>laptop</resource></bind></iq>'
    )
    assert talk.hear(BOUND) == []
    assert talk.written() == f'<enable xmlns="{SM}" resume="true"/>'
    assert talk.hear(ENABLED) == [Bound(JID, managed=True, resume_id="sm1")]
    assert talk.written() == ""


@pytest.mark.parametrize(
    ("password", "expected"),
    [
        ("s3cret", "ADEwMDEtNwBzM2NyZXQ="),
        ("", "ADEwMDEtNwA="),
        ("pä&<ß😀", base64.b64encode("\x001001-7\x00pä&<ß😀".encode()).decode()),
        ("x" * 500, base64.b64encode(b"\x001001-7\x00" + b"x" * 500).decode()),
    ],
)
def test_plain_holds_local_part_and_password_without_authorization_id(
    password: str, expected: str
) -> None:
    talk = Negotiation(password=password)
    talk.hear(*TO_AUTH)
    assert talk.written().endswith(f'mechanism="PLAIN">{expected}</auth>')


@pytest.mark.parametrize("password", ["s3cret", "token-abc"])
def test_the_password_is_in_no_repr(password: str) -> None:
    assert password not in repr(Credentials(1001, password, "laptop"))


@pytest.mark.parametrize(
    ("offered", "asks"),
    [
        (f"<session xmlns='{SESSION}'/>", True),
        (f"<session xmlns='{SESSION}'><optional/></session>", False),
        ("", False),
    ],
)
def test_the_legacy_session_is_begun_only_where_it_is_required(offered: str, asks: bool) -> None:
    talk = Negotiation()
    talk.hear(*TO_FEATURES, features(BIND_FEATURE, offered))
    talk.written()
    events = talk.hear(BOUND)
    if asks:
        assert events == []
        assert talk.written() == f'<iq type="set" id="id2"><session xmlns="{SESSION}"/></iq>'
        events = talk.hear("<iq type='result' id='id2'/>")
    assert talk.written() == ""
    assert events == [Bound(JID, managed=False, resume_id=None)]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (ENABLED, Bound(JID, True, "sm1")),
        (f"<enabled xmlns='{SM}' resume='1' id='x&amp;y'/>", Bound(JID, True, "x&y")),
        (f"<enabled xmlns='{SM}' id='sm1'/>", Bound(JID, True, None)),
        (f"<enabled xmlns='{SM}' resume='false' id='sm1'/>", Bound(JID, True, None)),
        (f"<enabled xmlns='{SM}' resume='true'/>", Bound(JID, True, None)),
        (f"<enabled xmlns='{SM}'/>", Bound(JID, True, None)),
        (f"<failed xmlns='{SM}'/>", Bound(JID, False, None)),
        (
            f"<failed xmlns='{SM}'><unexpected-request xmlns='{STANZAS}'/></failed>",
            Bound(JID, False, None),
        ),
    ],
)
def test_enabling_stream_management_succeeds_as_far_as_the_server_says(
    answer: str, expected: Bound
) -> None:
    talk = Negotiation()
    assert talk.hear(*TO_ENABLE, answer)[-1] == expected


def test_stanzas_may_come_while_binding_and_enabling() -> None:
    talk = Negotiation()
    talk.hear(*TO_BIND)
    first, second = talk.hear("<presence/><message/>")
    assert isinstance(first, Stanza) and first.item.name == "presence"
    assert isinstance(second, Stanza) and isinstance(second.item, MessageStanza)
    (other,) = talk.hear("<iq type='get' id='id1'/>")  # a request, not the answer, by the same id
    assert isinstance(other, Stanza)
    (stranger,) = talk.hear("<iq type='result' id='id9'/>")
    assert isinstance(stranger, Stanza)
    assert len(talk.hear(BOUND, "<presence/>", ENABLED)) == 2


@pytest.mark.parametrize("piece", [1, 3, 1000])
def test_a_whole_negotiation_works_in_any_pieces(piece: int) -> None:
    talk = Negotiation()
    events: list[Any] = []
    for line in TO_READY:
        for start in range(0, len(line), piece):
            events += talk.hear(line[start : start + piece])
    assert events == [Authenticated(), Bound(JID, True, "sm1")]


def test_what_follows_success_in_the_old_stream_is_ignored() -> None:
    talk = Negotiation()
    assert talk.hear(*TO_AUTH, f"{SUCCESS}<presence/><message/>") == [Authenticated()]
    assert talk.hear(HEADER, FEATURES, BOUND, ENABLED) == [Bound(JID, True, "sm1")]


# --- resumption -----------------------------------------------------------------------------------


def test_a_session_is_resumed_by_its_id_and_count() -> None:
    talk = Negotiation(Resumable("a&b'\"", 4294967295))
    talk.hear(*TO_FEATURES)
    talk.written()
    talk.hear(FEATURES)
    assert talk.written() == f'<resume xmlns="{SM}" h="4294967295" previd="a&amp;b\'&quot;"/>'
    assert talk.hear(f"<resumed xmlns='{SM}' previd='a&amp;b&apos;&quot;' h='5'/>") == [Resumed(5)]
    assert talk.written() == ""


def test_a_server_that_does_not_say_which_session_it_resumed_is_believed() -> None:
    talk = Negotiation(RESUMABLE)
    talk.hear(*TO_FEATURES, FEATURES)
    assert talk.hear(f"<resumed xmlns='{SM}' h='5'/>") == [Resumed(5)]


@pytest.mark.parametrize("previous", ["", "older", "OLD", " old"])
def test_a_server_that_resumes_another_session_ends_the_stream(previous: str) -> None:
    talk = Negotiation(RESUMABLE)
    talk.hear(*TO_FEATURES, FEATURES)
    with pytest.raises(StreamProtocolError, match="another session than the one asked for"):
        talk.hear(f"<resumed xmlns='{SM}' previd='{previous}' h='5'/>")


@pytest.mark.parametrize(
    ("answer", "handled"),
    [
        (f"<failed xmlns='{SM}'/>", None),
        (f"<failed xmlns='{SM}'><item-not-found xmlns='{STANZAS}'/></failed>", None),
        (f"<failed xmlns='{SM}' h='7'><item-not-found xmlns='{STANZAS}'/></failed>", 7),
        (f"<failed xmlns='{SM}' h='0'/>", 0),
    ],
)
def test_a_session_that_cannot_be_resumed_is_followed_by_a_new_one(
    answer: str, handled: int | None
) -> None:
    talk = Negotiation(RESUMABLE)
    talk.hear(*TO_FEATURES, FEATURES)
    talk.written()
    assert talk.hear(answer) == [NotResumed(handled)]
    assert talk.written().startswith('<iq type="set" id="id1"><bind ')
    assert talk.hear(BOUND, ENABLED) == [Bound(JID, True, "sm1")]


def test_a_server_without_stream_management_any_more_cannot_resume() -> None:
    talk = Negotiation(RESUMABLE)
    assert talk.hear(*TO_FEATURES, features(BIND_FEATURE))[-1] == NotResumed(None)
    assert talk.hear(BOUND) == [Bound(JID, False, None)]


BAD_COUNTS = ["", "-1", "+1", "x", "1.0", " 1", "4294967296", "99999999999", "1" * 5000, "0" * 5000]
BAD_COUNTS += ["١", "²", "1\n"]


@pytest.mark.parametrize("h", BAD_COUNTS)
@pytest.mark.parametrize("name", ["resumed", "failed", "a"])
def test_a_count_that_is_none_ends_the_stream(name: str, h: str) -> None:
    talk = Negotiation(None if name == "a" else RESUMABLE)
    talk.hear(*(TO_READY if name == "a" else (*TO_FEATURES, FEATURES)))
    value = h.replace("\n", "&#10;")
    with pytest.raises(StreamProtocolError, match=f"the server sent <{name}/> with h="):
        talk.hear(f"<{name} xmlns='{SM}' h='{value}'/>")


@pytest.mark.parametrize("name", ["resumed", "a"])
def test_a_count_that_is_missing_ends_the_stream(name: str) -> None:
    talk = Negotiation(None if name == "a" else RESUMABLE)
    talk.hear(*(TO_READY if name == "a" else (*TO_FEATURES, FEATURES)))
    with pytest.raises(StreamProtocolError, match="h=None"):
        talk.hear(f"<{name} xmlns='{SM}'/>")


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offered", "words"),
    [
        ("", "offers no mechanism, not PLAIN"),
        (f"<mechanisms xmlns='{SASL}'/>", "offers no mechanism, not PLAIN"),
        (
            f"<mechanisms xmlns='{SASL}'><mechanism>SCRAM-SHA-1</mechanism>"
            "<mechanism>ANONYMOUS</mechanism></mechanisms>",
            "offers SCRAM-SHA-1, ANONYMOUS, not PLAIN",
        ),
        ("<mechanisms xmlns='urn:other'><mechanism>PLAIN</mechanism></mechanisms>", "no mechanism"),
    ],
)
def test_without_plain_no_password_is_sent(offered: str, words: str) -> None:
    talk = Negotiation()
    talk.written()
    with pytest.raises(ChatAuthenticationError, match=words) as caught:
        talk.hear(HEADER, features(offered))
    assert caught.value.condition == "invalid-mechanism"
    assert talk.written() == ""


@pytest.mark.parametrize(
    ("content", "condition", "words"),
    [
        ("<not-authorized/>", "not-authorized", "refused the user id and password: not-authorized"),
        (
            "<account-disabled/><text>banned</text>",
            "account-disabled",
            r"account-disabled \(banned\)",
        ),
        ("<text>first</text><credentials-expired/>", "credentials-expired", r"\(first\)"),
        ("", "not-authorized", "not-authorized"),
    ],
)
def test_a_refusal_of_the_credentials_says_why(content: str, condition: str, words: str) -> None:
    talk = Negotiation()
    with pytest.raises(ChatAuthenticationError, match=words) as caught:
        talk.hear(*TO_AUTH, f"<failure xmlns='{SASL}'>{content}</failure>")
    assert caught.value.condition == condition
    assert "s3cret" not in str(caught.value)


def test_a_temporary_failure_of_the_authentication_is_no_refusal() -> None:
    with pytest.raises(StreamError, match="cannot authenticate now") as caught:
        Negotiation().hear(*TO_AUTH, f"<failure xmlns='{SASL}'><temporary-auth-failure/></failure>")
    assert caught.value.condition == "temporary-auth-failure"
    assert isinstance(caught.value, ConnectionLostError)


@pytest.mark.parametrize(
    ("error", "condition"),
    [
        (f"<error type='cancel'><conflict xmlns='{STANZAS}'/></error>", "conflict"),
        ("<error code='503'/>", "undefined-condition"),
        ("", "undefined-condition"),
    ],
)
@pytest.mark.parametrize(
    ("lines", "request_id", "action"),
    [(TO_BIND, "id1", "bind a resource"), (TO_SESSION, "id2", "begin a session")],
)
def test_a_refused_binding_or_session_ends_the_stream(
    lines: tuple[str, ...], request_id: str, action: str, error: str, condition: str
) -> None:
    talk = Negotiation()
    talk.hear(*lines)
    with pytest.raises(StreamError, match=f"refused to {action}: {condition}") as caught:
        talk.hear(f"<iq type='error' id='{request_id}'>{error}</iq>")
    assert caught.value.condition == condition


@pytest.mark.parametrize(
    "inner", ["", f"<bind xmlns='{BIND}'/>", f"<bind xmlns='{BIND}'><jid> </jid></bind>"]
)
def test_a_binding_without_an_address_ends_the_stream(inner: str) -> None:
    talk = Negotiation()
    talk.hear(*TO_BIND)
    with pytest.raises(StreamProtocolError, match="without saying its JID"):
        talk.hear(f"<iq type='result' id='id1'>{inner}</iq>")


# --- in every step --------------------------------------------------------------------------------


def at(step: str) -> Negotiation:
    resumable, lines = STEPS[step]
    talk = Negotiation(resumable)
    talk.hear(*lines)
    return talk


@pytest.mark.parametrize("step", STEPS)
def test_a_stream_error_ends_the_stream_in_every_step(step: str) -> None:
    error = (
        f"<stream:error><system-shutdown xmlns='{STREAMS}'/>"
        f"<text xmlns='{STREAMS}'>back soon</text></stream:error></stream:stream>"
    )
    with pytest.raises(
        StreamError, match=r"ended the stream: system-shutdown \(back soon\)"
    ) as caught:
        at(step).hear(error)
    assert caught.value.condition == "system-shutdown"


def test_a_stream_error_may_replace_features_or_lack_a_condition() -> None:
    with pytest.raises(StreamError, match="host-unknown"):
        Negotiation().hear(
            f"{HEADER}<stream:error><host-unknown xmlns='{STREAMS}'/></stream:error>"
        )
    with pytest.raises(StreamError, match="undefined-condition"):
        Negotiation().hear(f"{HEADER}<stream:error/>")


@pytest.mark.parametrize("step", STEPS)
def test_the_end_of_the_stream_is_a_lost_connection_in_every_step(step: str) -> None:
    with pytest.raises(ConnectionLostError, match=r"^the server closed the stream$"):
        at(step).hear("</stream:stream>")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    "data", ["<!-- c -->", "<oops></x>", "text"], ids=["comment", "bad XML", "text"]
)
def test_what_no_stream_may_hold_ends_it_in_every_step(step: str, data: str) -> None:
    with pytest.raises(StreamProtocolError):
        at(step).hear(data, "<x>")


UNKNOWN = (f"<foo xmlns='{SM}'/>", f"<R xmlns='{SM}'/>", "<a xmlns='urn:xmpp:sm:2' h='0'/>")
WRONG: dict[str, tuple[str, ...]] = {
    "features to authenticate": ("<message/>", "<iq/>", SUCCESS, "<features xmlns='urn:x'/>"),
    "authentication": (
        f"<challenge xmlns='{SASL}'/>",
        "<message/>",
        "<success xmlns='urn:x'/>",
        FEATURES,
    ),
    "features": ("<message/>", BOUND, SUCCESS),
    "resumption": (
        "<message/>",
        f"<r xmlns='{SM}'/>",
        ENABLED,
        "<resumed xmlns='urn:x' h='1'/>",
        SUCCESS,
    ),
    "binding": (ENABLED, f"<r xmlns='{SM}'/>", FEATURES, "<message xmlns='urn:x'/>"),
    "session": (ENABLED, f"<a xmlns='{SM}' h='0'/>", "<query xmlns='urn:x'/>"),
    "enabling": (RESUMED, f"<r xmlns='{SM}'/>", f"<a xmlns='{SM}' h='0'/>", FEATURES),
    "ready": (
        ENABLED,
        RESUMED,
        f"<failed xmlns='{SM}'/>",
        FEATURES,
        SUCCESS,
        "<iq xmlns='urn:x'/>",
    ),
    "resumed": (RESUMED, ENABLED, FEATURES, f"<failed xmlns='{SM}'/>", "<query/>"),
}


@pytest.mark.parametrize(
    ("step", "line"),
    [(step, line) for step, lines in WRONG.items() for line in (*lines, *UNKNOWN)],
)
def test_what_does_not_belong_to_the_step_ends_the_stream(step: str, line: str) -> None:
    with pytest.raises(StreamProtocolError, match=r"^the server sent .* instead of "):
        at(step).hear(line)


def test_what_came_before_the_fault_is_told_first() -> None:
    talk = at("ready")
    events = []
    with pytest.raises(StreamProtocolError):
        for event in talk.stream.receive(b"<message id='1'/><presence/><oops></x>"):
            events.append(event)
    assert [type(event) for event in events] == [Stanza, Stanza]


def test_established_streams_tell_stanzas_from_acknowledgements() -> None:
    highest, lowest = f"<a xmlns='{SM}' h='4294967295'/>", f"<a xmlns='{SM}' h='0'/>"
    events = at("ready").hear(f"<r xmlns='{SM}'/><message/>{highest}<iq/><presence/>{lowest}")
    assert [event for event in events if isinstance(event, Nonza)] == [
        Nonza("r", None),
        Nonza("a", 4294967295),
        Nonza("a", 0),
    ]
    assert len(events) == 6
