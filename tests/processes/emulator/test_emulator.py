"""An emulator leaves its program alone: no file stays behind, and signals are the program's."""

from __future__ import annotations

import os
import subprocess
import sys


def test_program_that_ends_without_stop_leaves_no_file():
    code = "from connectycube.emulator import Emulator; print(Emulator().start().ca_file)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")
    assert not os.path.exists(os.path.dirname(done.stdout.strip()))


def test_sigint_in_a_program_with_an_emulator_is_the_programs_own():
    code = (
        "import os, signal\n"
        "from connectycube.emulator import Emulator\n"
        "with Emulator():\n"
        "    try:\n"
        "        os.kill(os.getpid(), signal.SIGINT); signal.pause()\n"
        "    except KeyboardInterrupt: print('mine')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert (done.stdout, done.returncode) == ("mine\n", 0), done.stderr
