"""ejabberd as a referee: what its process is, and that it understands slixmpp without any code of ours."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest

from tests.interop.ejabberd import Ejabberd
from tests.interop.slixmpp_peer import PeerError, SlixmppPeer
from tests.support.people import PASSWORD

pytestmark = pytest.mark.referee("ejabberd", "slixmpp")


def processes_that_name(folder):
    """The ids of the processes with a path in ``folder`` in their command or environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            told = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in told:
            found.append(int(entry.name))
    return found


def listening_addresses(pid):
    """The addresses, as the kernel writes them, that a process listens on."""
    sockets = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):  # closed since it was listed
            sockets.add(str(descriptor.readlink()))
    found = []
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            fields = line.split()
            if f"socket:[{fields[9]}]" in sockets and (fields[3] == "0A" or "udp" in table):
                found.append(fields[1])
    return sorted(found)


def test_ejabberd_listens_on_two_loopback_ports_and_leaves_no_process(tmp_path, certificates):
    began = time.monotonic()
    with Ejabberd(tmp_path, certificates) as server:
        print(f"ejabberd was ready after {time.monotonic() - began:.2f} s")
        assert len(processes_that_name(tmp_path)) > 1
        expected = [f"0100007F:{port:04X}" for port in (server.port, server._api_port)]
        assert listening_addresses(server._running().pid) == sorted(expected)
    assert processes_that_name(tmp_path) == []


def test_a_command_that_it_refuses_is_an_error(ejabberd):
    with pytest.raises(RuntimeError, match="refused get_room_options: 4"):
        ejabberd.call("get_room_options", nonsense=1)


def test_two_slixmpp_users_chat_and_resume(ejabberd, slixmpp_on):
    alice, bob = slixmpp_on(ejabberd, "2002-1"), slixmpp_on(ejabberd, "2003-1")
    bob.cut()
    sent = alice.send_message(bob.jid, "  Grüße, <you> & 👋\t")
    alice.ping()
    assert bob.reconnect() == "resumed"
    message = bob.messages.wait_for()
    assert (message["id"], message["body"]) == (sent, "  Grüße, <you> & 👋\t")


def test_a_wrong_password_is_refused(ejabberd):
    jid = ejabberd.add_user("2004-1", "another")
    peer = SlixmppPeer(
        jid, PASSWORD, host=ejabberd.host, port=ejabberd.port, ca_file=ejabberd.ca_file
    )
    with pytest.raises(PeerError, match="password"):
        peer.start()


def test_a_killed_ejabberd_starts_again_on_the_same_port_with_its_accounts(
    own_ejabberd, slixmpp_on
):
    peer = slixmpp_on(own_ejabberd, "2005-1")
    port = own_ejabberd.port
    own_ejabberd.kill()
    peer.links.wait_for(lambda word: word == "disconnected")
    own_ejabberd.start()
    assert own_ejabberd.port == port
    assert peer.reconnect() == "ready"
