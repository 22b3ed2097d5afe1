"""Last activity. (XEP-0012.)"""

from __future__ import annotations

import pytest

from connectycube import StanzaError


def test_who_is_gone_was_active_some_seconds_ago_and_who_is_here_0(server):
    ana, ben = server.person(), server.person()
    if not server.supports("last activity of anybody"):
        with pytest.raises(StanzaError, match=f"last activity of user {ben.id} is not known"):
            ana.chat.last_activity(ben.id)
        ben.chat.contacts.add(ana.id)
        ana.events.wait_for("contact_requested")
        ana.chat.contacts.confirm(ben.id)
        ben.events.wait_for("contact_requested")
        ben.chat.contacts.confirm(ana.id)
        ana.events.wait_for("contact_confirmed")
        ana.events.wait_for("presence_changed")
    assert ana.chat.last_activity(ben.id) == 0
    ben.chat.logout()
    ana.chat.ping()
    assert ana.chat.last_activity(ben.id) >= 0


def test_of_who_does_not_exist_it_is_not_known(server):
    ana = server.person()
    with pytest.raises(StanzaError, match="last activity of user 999999999 is not known"):
        ana.chat.last_activity(999_999_999)
