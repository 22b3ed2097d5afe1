"""multiprocessing: pools of processes that are forked, and of new ones."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys

import pytest

from tests.support.paths import ROOT
from tests.support.people import PASSWORD

# A file and not "-c": a new process imports it again.
SCRIPT = """
import multiprocessing, sys
from connectycube import ConnectyCube

cube = ConnectyCube.from_env()
cube.login(login=sys.argv[2], password=sys.argv[3])

def get(number):
    return cube.users.get(number).id

def has_no_chat(number):
    return not cube.chat.is_ready

def chat(number):
    cube.chat.login()
    return cube.chat.ping() >= 0 and not cube.chat.logout()

if __name__ == "__main__":
    cube.chat.login()
    users = [int(number) for number in sys.argv[4:]]
    with multiprocessing.get_context(sys.argv[1]).Pool(3) as pool:
        print(pool.map(get, users * 15, chunksize=1) == users * 15)
        print(all(pool.map(has_no_chat, range(6), chunksize=1)))
        print(all(pool.map(chat, range(6), chunksize=1)))
        try:
            pool.map(cube.users.get, users)
        except TypeError as error:
            print("make a ConnectyCube in the other process" in str(error))
        pool.close()
        pool.join()
    print(cube.chat.ping() >= 0)
"""


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_the_processes_of_a_pool_have_their_own_connections(emulator, tmp_path, method):
    emulator.add_user("pooled", PASSWORD)
    users = [emulator.add_user(f"user{number}", PASSWORD) for number in range(20)]
    script = tmp_path / "pool.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(script), method, "pooled", PASSWORD, *map(str, users)],
        env={**os.environ, **emulator.environment(), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["True"] * 5
