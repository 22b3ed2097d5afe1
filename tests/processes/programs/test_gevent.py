"""gevent that patches after the import of the package, as ``gunicorn -k gevent --preload`` does."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

from tests.processes.programs.running import LOGIN, PASSWORD
from tests.support.scripted_http import ScriptedHttpServer, answer

_SECONDS = 60.0
LATE = """
import sys, warnings
from connectycube import *

cube = ConnectyCube.from_env()
warnings.simplefilter("ignore")  # gevent warns that ssl was imported before
"""
PATCH = """
import gevent
from gevent import monkey
monkey.patch_all()
"""


def run(code, *arguments, **environment):
    """Run a script, which must write nothing to standard error; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


CALLS = """
cube = cube.with_token("token", user_id=1)

def get(number):
    return cube.users.get(number).id

slow = gevent.spawn(get, 1)
while get(2) != 2:  # 3: the server does not have the slow request yet
    gevent.sleep(0.01)
print(slow.get())
"""


def test_calls_of_greenlets_keep_their_deadlines_if_gevent_patches_late(certificates):
    has_come, may_go = threading.Event(), threading.Event()

    def respond(request):
        number = int(request.path.rpartition("/")[2])
        if number == 1:
            has_come.set()
            assert may_go.wait(_SECONDS)
        elif has_come.is_set():
            may_go.set()
        else:
            number = 3
        return answer(200, {"user": {"id": number}})

    with ScriptedHttpServer(tls=certificates.valid) as server:
        server.respond(respond)
        said = run(
            LATE + PATCH + CALLS,
            CONNECTYCUBE_APP_ID="1",
            CONNECTYCUBE_AUTH_KEY="key",
            CONNECTYCUBE_API_URL=server.url,
            CONNECTYCUBE_CA_FILE=str(certificates.ca_file),
        )
    assert said == "1\n"


CHAT = """
cube.chat.login()
pings = [gevent.spawn(cube.chat.ping) for _ in range(10)]
print(all(ping.get() >= 0 for ping in pings))
cube.chat.send_private(int(sys.argv[3]), "hello").result()
cube.chat.logout()
"""
LOG_IN = """
cube.login(login=sys.argv[1], password=sys.argv[2])
cube.chat.message_received.connect(lambda chat, message: None)
"""


def test_a_chat_that_was_made_before_gevent_patched_logs_in(emulator, bob):
    emulator.add_user(LOGIN, PASSWORD)
    code = LATE + LOG_IN + PATCH + CHAT
    said = run(code, LOGIN, PASSWORD, str(bob.id), **emulator.environment())
    assert said == "True\n"
