"""Signal handlers that raise at any moment of a login, in a process with the locks of Python itself.

The locks of the tests note their order in Python code. A handler that raises there would leave one of them
held, where ``with`` of a real lock is one step.
"""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.support.canaries import MARK
from tests.support.certificates import Certificates
from tests.support.paths import ROOT

LOGINS = """
import random, signal, sys, threading

from connectycube import Config, ConnectyCubeError
from tests.support.canaries import Canaries
from tests.support import people
from tests.support.ports import free_port

class Alarm(Exception):
    pass

def ring(number, frame):
    raise Alarm

signal.signal(signal.SIGALRM, ring)
seen, random = Canaries(), random.Random(1)
for _ in range(200):
    config = Config(
        app_id=1, auth_key="key", chat_host="localhost", chat_port=free_port(), ca_file=sys.argv[1]
    )
    person = people.Person(5, config)
    try:
        signal.setitimer(signal.ITIMER_REAL, random.uniform(0.00001, 0.0006))
        person.chat.login(5, people.PASSWORD)
    except (Alarm, ConnectyCubeError) as error:
        signal.setitimer(signal.ITIMER_REAL, 0)
        seen.look_at_error(error)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        person.chat.destroy()
# Before the first step of a call nothing can clear its frame yet, as docs/security.md says.
hits = [hit for hit in seen.hits if " of hiding (" not in hit]
print(hits, [thread.name for thread in threading.enumerate()])
"""


@pytest.mark.posix
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there are no alarms")
def test_an_alarm_during_a_chat_login_shows_no_password_and_holds_no_lock(
    certificates: Certificates,
) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", LOGINS, certificates.ca_file],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=80,
        check=False,
    )
    # Python itself prints an alarm that rings inside the callback of a weak reference.
    assert done.stdout == "[] ['MainThread']\n", done.stderr
    assert MARK not in done.stderr
