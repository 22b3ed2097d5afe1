"""Contacts on the emulator and prosody, privacy lists and last activity on the emulator, with slixmpp."""

from __future__ import annotations

import itertools

import pytest
from slixmpp.exceptions import IqError

from connectycube.emulator import Emulator
from tests.interop.slixmpp_peer import SlixmppPeer
from tests.support.inside import on_emulator
from tests.support.mailbox import Mailbox
from tests.support.people import PASSWORD
from tests.support.waiting import TIMEOUT, wait_until

pytestmark = pytest.mark.referee("slixmpp")

_users = itertools.count(1)


class ContactPeer(SlixmppPeer):
    """A slixmpp user with its roster, who decides about requests; ``seen`` holds its events of contacts."""

    def _make_client(self):
        super()._make_client()
        client = self._client
        self.seen = Mailbox(f"events of contacts for {self.jid}")
        client.roster.auto_authorize = None
        client.roster.auto_subscribe = False
        for plugin in ("xep_0012", "xep_0016", "xep_0352"):
            client.register_plugin(plugin)
        for event in (
            *("presence_subscribe", "presence_subscribed", "presence_unsubscribe"),
            *("presence_unsubscribed", "got_online", "got_offline"),
        ):
            client.add_event_handler(event, lambda stanza, event=event: self._note(event, stanza))

    def _note(self, event, stanza):
        if stanza["from"].bare != self.jid:
            self.seen.put((event, stanza["from"].bare))

    def start(self, timeout=15.0):
        super().start(timeout)
        self.answer(self._client.get_roster)

    def answer(self, ask, *args, **options):
        """Call what slixmpp returns an answer from, and return the answer."""

        async def wait():
            return await ask(*args, timeout=TIMEOUT, **options)

        return self._await(wait(), TIMEOUT + 5)

    def subscribe(self, kind, jid):
        self._do(lambda: self._client.send_presence_subscription(pto=jid, ptype=kind))

    def wait_for(self, event, jid):
        self.seen.wait_for(lambda found: found == (event, jid), TIMEOUT)

    def contact(self, jid):
        """Return what slixmpp's copy of the roster, kept by pushes, says of a contact."""
        item = self._client.client_roster[jid]
        return item["subscription"], item["name"], sorted(item["groups"])

    @property
    def privacy(self):
        return self._client.plugin["xep_0016"]

    def last_activity(self, jid):
        answer = self.answer(self._client.plugin["xep_0012"].get_last_activity, jid)
        return answer["last_activity"]["seconds"]


@pytest.fixture(
    scope="module",
    params=["emulator", pytest.param("prosody", marks=pytest.mark.referee("prosody"))],
)
def server(request):
    """The server that the users of a test are on."""
    if request.param == "prosody":
        yield request.getfixturevalue("prosody")
    else:
        with Emulator() as running:
            yield running


on_the_emulator = pytest.mark.parametrize("server", ["emulator"], indirect=True)


@pytest.fixture
def join(server):
    """Log a new user in with slixmpp."""
    peers = []

    def make():
        number = next(_users)
        if isinstance(server, Emulator):
            user_id = server.add_user(f"contact{number}", PASSWORD)
            jid, port = f"{user_id}-{server.app_id}@{server.domain}", server.chat_port
        else:
            jid, port = server.add_user(f"{91_000 + number}-1", PASSWORD), server.port
        peer = ContactPeer(jid, PASSWORD, host=server.host, port=port, ca_file=server.ca_file)
        peer.start()
        peers.append(peer)
        return peer

    yield make
    for peer in peers:
        peer.stop()


@pytest.fixture
def alice(join):
    return join()


@pytest.fixture
def bob(join):
    return join()


def befriend(one, other):
    for asking, answering in ((one, other), (other, one)):
        asking.subscribe("subscribe", answering.jid)
        answering.wait_for("presence_subscribe", asking.jid)
        answering.subscribe("subscribed", asking.jid)
        asking.wait_for("got_online", answering.jid)


def test_a_contact_is_named_asked_seen_and_removed(alice, bob):
    work = alice._client.update_roster
    alice.answer(work, bob.jid, name="Bob", groups=["Friends"])
    assert alice.contact(bob.jid) == ("none", "Bob", ["Friends"])
    befriend(alice, bob)
    wait_until(lambda: alice.contact(bob.jid)[0] == bob.contact(alice.jid)[0] == "both", "")
    bob.send_raw("<presence type='unavailable'/>")
    alice.wait_for("got_offline", bob.jid)
    bob.send_raw("<presence/>")
    alice.wait_for("got_online", bob.jid)
    alice.answer(work, bob.jid, subscription="remove")
    bob.wait_for("presence_unsubscribed", alice.jid)
    bob.wait_for("got_offline", alice.jid)
    wait_until(lambda: bob.contact(alice.jid)[0] == "none", "both rosters")


def test_a_request_can_be_declined(alice, bob):
    alice.subscribe("subscribe", bob.jid)
    bob.wait_for("presence_subscribe", alice.jid)
    bob.subscribe("unsubscribed", alice.jid)
    alice.wait_for("presence_unsubscribed", bob.jid)
    wait_until(lambda: alice.contact(bob.jid)[0] == "none", "both rosters")


def test_a_request_waits_for_who_is_offline(join, alice):
    bob = join()
    bob.stop()
    alice.subscribe("subscribe", bob.jid)
    alice.ping()
    bob.start()
    bob.wait_for("presence_subscribe", alice.jid)
    bob.subscribe("subscribed", alice.jid)
    alice.wait_for("presence_subscribed", bob.jid)
    alice.wait_for("got_online", bob.jid)
    wait_until(lambda: alice.contact(bob.jid)[0] == "to", "the subscription")


def test_a_contact_that_withdraws_is_not_seen_any_more(alice, bob):
    befriend(alice, bob)
    bob.subscribe("unsubscribed", alice.jid)
    alice.wait_for("presence_unsubscribed", bob.jid)
    alice.wait_for("got_offline", bob.jid)
    wait_until(
        lambda: (alice.contact(bob.jid)[0], bob.contact(alice.jid)[0]) == ("from", "to"),
        "the end of one direction",
    )


@on_the_emulator
def test_a_privacy_list_is_made_used_shown_and_removed(alice, bob):
    privacy = alice.privacy
    rule = {"type": "jid", "value": bob.jid, "action": "deny", "order": "1", "message": True}
    alice.answer(privacy.edit_list, "blocked", [rule])
    alice.answer(privacy.make_default, "blocked")
    alice.answer(privacy.activate, "blocked")
    found = alice.answer(privacy.get_privacy_lists)["privacy"]
    assert [one["name"] for one in found["lists"]] == ["blocked"]
    assert found["active"]["name"] == found["default"]["name"] == "blocked"
    (item,) = alice.answer(privacy.get_list, "blocked")["privacy"]["list"]["items"]
    assert (item["value"], item["action"], item["order"]) == (bob.jid, "deny", "1")
    assert (item["message"], item["iq"]) == (True, False)

    sent = bob.send_message(alice.jid, "are you there?")
    refusal = bob.messages.wait_for(lambda stanza: stanza["id"] == sent, TIMEOUT)
    assert refusal["type"] == "error"
    assert refusal["error"]["condition"] == "service-unavailable"

    alice.answer(privacy.deactivate)
    alice.answer(privacy.remove_default)
    alice.answer(privacy.remove_list, "blocked")
    with pytest.raises(IqError) as error:
        alice.answer(privacy.get_list, "blocked")
    assert error.value.iq["error"]["condition"] == "item-not-found"
    sent = bob.send_message(alice.jid, "and now?")
    assert alice.messages.wait_for(lambda stanza: stanza["id"] == sent)["body"] == "and now?"


@on_the_emulator
def test_last_activity_of_a_user_and_of_the_server(server, alice, bob):
    assert alice.last_activity(bob.jid) == 0
    assert alice.last_activity(server.domain) >= 0
    bob.send_raw("<presence type='unavailable'/>")
    bob.ping()
    assert alice.last_activity(bob.jid) >= 1
    with pytest.raises(IqError) as error:
        alice.last_activity(f"999-{server.app_id}@{server.domain}")
    assert error.value.iq["error"]["condition"] == "item-not-found"


@on_the_emulator
def test_client_state_is_offered_and_taken(server, alice):
    plugin = alice._client.plugin["xep_0352"]
    alice._do(plugin.send_inactive)
    alice.ping()
    user_id = int(alice.jid.partition("-")[0])

    def is_inactive():
        return on_emulator(server, lambda service: service.hub.sessions(user_id)[0].inactive)

    assert is_inactive()
    alice._do(plugin.send_active)
    alice.ping()
    assert not is_inactive()
