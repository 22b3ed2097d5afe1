"""The table of reconnections: both clients are tried alike, and what was lost or repeated is counted."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.soak import reconnect_table
from tests.soak.reconnect_table import SCENARIOS, SERVERS, Result, measured, tally, write
from tests.support import components


def test_what_did_not_arrive_and_what_came_again_is_counted():
    sent = {"a", "b", "c", "d"}
    assert tally(sent, ["a", "b", "c", "d"]) == (0, 0)
    assert tally(sent, ["d", "a", "c"]) == (1, 0)
    assert tally(sent, ["a", "b", "c", "d", "a", "a", "d"]) == (0, 3)
    assert tally(sent, []) == (4, 0)


def test_what_a_side_could_not_send_itself_is_no_loss():
    assert tally({"a"}, ["a", "b"]) == (0, 0)


@pytest.mark.referee("prosody", "slixmpp")
@pytest.mark.parametrize("kind", ["slixmpp", "connectycube"])
def test_both_clients_come_back_from_a_reset_by_themselves(kind, monkeypatch):
    if shutil.which("prosody") is None:
        components.missing("prosody", "apt-get install prosody")
    monkeypatch.setattr(reconnect_table, "_BEFORE", 0.3)
    monkeypatch.setattr(reconnect_table, "_AFTER", 0.3)
    result = measured("prosody", "RST", kind)
    assert (result.server, result.scenario, result.subject) == ("prosody", "RST", kind)
    assert (result.lost, result.told, result.repeated) == (0, 0, 0)
    assert result.sent > 10
    assert result.seconds is not None


def test_reconnect_results_name_date_and_versions_for_each_server(monkeypatch, tmp_path):
    monkeypatch.setattr(reconnect_table, "RESULTS", tmp_path / "results.json")
    for server in SERVERS:
        write([Result(server, name, "connectycube", 9, 2, 1, 0, None) for name in SCENARIOS])
    written = json.loads((tmp_path / "results.json").read_text())
    assert tuple(written) == SERVERS
    for server, table in written.items():
        assert [row["scenario"] for row in table["results"]] == list(SCENARIOS)
        assert len(SCENARIOS) == 10
        assert len(table["versions"]) == 4 and table["versions"][0].startswith(server)
        assert table["date"]
