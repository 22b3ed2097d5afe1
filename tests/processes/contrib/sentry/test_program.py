"""What Sentry is sent of a bot: each receiver that is given up, once, with its scope and without secrets."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from connectycube._checks import to_install
from tests.support import canaries
from tests.support.paths import ROOT
from tests.support.people import PASSWORD


@pytest.fixture
def ran(emulator):
    """What the program printed; with spans of its requests, too."""
    return run(emulator)


def run(emulator, *arguments):
    for login in ("bot-login", "other-login", "peer-login"):
        emulator.add_user(login, PASSWORD)
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.sentry_program", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
        env={**os.environ, **emulator.environment(), "PYTHONPATH": str(ROOT), "TRACED": "1"},
    )
    assert done.returncode == 0, done.stderr
    canaries.look_at("a report of Sentry", done.stdout)
    return json.loads(done.stdout)


def errors(ran):
    return [event for event in ran["events"] if "exception" in event]


def kind_of(event):
    return event["exception"]["values"][-1]["type"]


def test_a_program_reports_what_is_given_up_and_nothing_secret(ran):
    assert ran["calls"].count("flaky") == 2
    found = errors(ran)
    # Not the first attempt of "flaky", and each of the others once.
    assert [kind_of(event) for event in found] == [
        *("ValueError", "ConnectionRefusedError", "KeyError"),
        kind_of(found[-1]),
    ]
    assert not [event for event in ran["events"] if event.get("logger") == "connectycube.chat"]
    broken, forever, callback, _ = found

    # The scope of the last attempt, and no other.
    assert broken["tags"] == {
        "connectycube.receiver": "obey",
        "connectycube.signal": "message_received",
        "connectycube.attempts": 1,
        "order": "broken 3",
    }
    attempts = forever["tags"]["connectycube.attempts"]
    assert attempts > 1
    assert forever["tags"]["order"] == f"forever {3 + attempts}"
    assert "order" not in callback["tags"]
    assert "connectycube.signal" not in callback["tags"]

    # The states before, and the attempts.
    texts = [crumb.get("message") for crumb in broken["breadcrumbs"]["values"]]
    assert "authenticated → ready" in texts
    assert "obey raised ConnectionRefusedError" in texts

    # Nothing that people wrote, and no local variable of the package.
    everything = json.dumps(ran["events"])
    for secret in ("written-by-peer", PASSWORD):
        assert secret not in everything
    frames = [
        frame
        for event in found
        for value in event["exception"]["values"]
        for frame in value["stacktrace"]["frames"]
    ]
    ours = [frame for frame in frames if frame["module"].startswith("connectycube.")]
    assert ours
    assert not [frame["function"] for frame in ours if "vars" in frame]
    assert [frame for frame in frames if frame["module"] == "__main__" and "vars" in frame]

    # Nor the query of a request, in breadcrumbs and spans.
    queries = [part for part in parts(ran["events"]) if "http.query" in part["data"]]
    assert queries
    assert not [part for part in queries if "peer-login" in json.dumps(part)]


def parts(events):
    """The breadcrumbs and spans that have data."""
    for event in events:
        for part in [*event.get("breadcrumbs", {}).get("values", []), *event.get("spans", [])]:
            if isinstance(part.get("data"), dict):
                yield part


def test_each_member_of_a_fleet_is_reported_once_also_one_that_fails(emulator):
    found = errors(run(emulator, "fleet"))
    # In any order: the receivers of two members run at the same time.
    reports = [(kind_of(event), event["tags"]) for event in found]
    assert sorted(
        (kind, tags["connectycube.signal"], tags.get("order")) for kind, tags in reports
    ) == [
        ("LookupError", "member_failed", None),
        ("ValueError", "message_received", "broken 1"),
        ("ValueError", "message_received", "broken 2"),
    ]


def test_the_extra_that_is_missing_is_named():
    code = (
        "import sys; sys.modules['sentry_sdk'] = None\n"
        "try: import connectycube.contrib.sentry\n"
        "except ModuleNotFoundError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == f"{to_install('sentry_sdk', 'sentry')}\n", done.stderr
