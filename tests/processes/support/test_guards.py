"""The guards notice what they are there for: each is shown a run of tests that offend."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

GUARDS = ("hanging", "leaks", "network", "referees", "tiers")

OFFENDERS = """
import socket, subprocess, sys, tempfile, threading
import pytest

kept = []

def test_leaves_a_thread():
    release = threading.Event()
    thread = threading.Thread(target=release.wait, name="forgotten", daemon=True)
    thread.start()
    kept.append((thread, release))

def test_leaves_a_socket():
    kept.append(socket.create_server(("127.0.0.1", 0)))

def test_leaves_a_process():
    kept.append(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE))

def test_leaves_a_zombie():
    child = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    child.stdout.read()
    child.stdout.close()
    kept.append(child)

def test_leaves_a_file():
    tempfile.mkdtemp(prefix="forgotten")

def test_leaves_nothing(tmp_path):
    thread = threading.Thread(target=int)
    thread.start()
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()
    (tmp_path / "file").write_text("text")

def test_thread_raises():
    thread = threading.Thread(target=int, args=("x",))
    thread.start()
    thread.join()

def test_connects_to_the_internet():
    with socket.socket() as client:
        client.connect(("192.0.2.1", 80))

def test_looks_up_a_name():
    socket.getaddrinfo("example.com", 80)

def test_swallows_the_refusal():
    try:
        socket.create_connection(("example.com", 80))
    except Exception:
        pass

def test_looks_up_local_names():
    socket.getaddrinfo("localhost", 80)
    socket.getaddrinfo(None, 80)
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("host.invalid", 80)

@pytest.mark.time_limit(0.2)
def test_hangs():
    threading.Lock().acquire() and threading.Event().wait()

@pytest.mark.referee("prosody", "slixmpp")
def test_with_a_referee():
    pass

@pytest.mark.referee("javascript")
def test_fails_with_a_referee():
    assert False

@pytest.fixture(scope="module", autouse=True)
def cleanup():
    yield
    kept[0][1].set()
    kept[1].close()
    kept[2].communicate(b"x")
    kept[3].wait()
"""


def run(folder: Path, content: str, *options: str, tier: str = "") -> tuple[int, str]:
    place = folder / tier
    place.mkdir(exist_ok=True)
    (place / "test_inner.py").write_text(content)
    (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\ntestpaths = .\n")
    (folder / "conftest.py").write_text(
        "from pathlib import Path\n"
        "import tests.support.leaks, tests.support.tiers\n"
        "tests.support.leaks.GRACE = 0.2\n"
        "tests.support.tiers._TESTS = Path(__file__).parent\n"
    )
    plugins = [part for guard in GUARDS for part in ("-p", f"tests.support.{guard}")]
    environ = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "400",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    # Its temporary files are not to be taken for what this test leaves behind.
    own = ("-p", "no:cacheprovider", f"--basetemp={folder / 'temporary'}")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rA", *own, *plugins, *options],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> str:
    _, output = run(tmp_path_factory.mktemp("offenders"), OFFENDERS)
    return output


@pytest.mark.parametrize(
    ("test", "words"),
    [
        ("leaves_a_thread", "left behind: thread .*forgotten"),
        ("leaves_a_socket", r"left behind: descriptor \d+ \(socket:.* TCP port \d+, other end 0"),
        ("leaves_a_process", "left behind: .*child process .*input\\(\\)"),
        ("leaves_a_zombie", "left behind: child process .*nobody waited for it"),
        ("leaves_a_file", "left behind: temporary file .*forgotten"),
        ("swallows_the_refusal", "tried to reach: the name example.com"),
    ],
)
def test_what_a_test_leaves_or_hides_is_an_error_at_its_end(report, test, words):
    assert re.search(rf"^PASSED test_inner.py::test_{test}$", report, re.MULTILINE)
    assert re.search(
        rf"^ERROR test_inner.py::test_{test} - Failed: .*{words}", report, re.MULTILINE
    )


@pytest.mark.parametrize(
    ("test", "words"),
    [
        ("thread_raises", "PytestUnhandledThreadException"),
        ("connects_to_the_internet", "InternetAccessError: .*192.0.2.1 port 80"),
        ("looks_up_a_name", "InternetAccessError: .*example.com"),
        ("hangs", "not done within 0.2 s"),
    ],
)
def test_what_a_test_must_not_do_fails_it(report, test, words):
    assert re.search(rf"^FAILED test_inner.py::test_{test} - .*{words}", report, re.MULTILINE)


@pytest.mark.parametrize("test", ["leaves_nothing", "looks_up_local_names", "with_a_referee"])
def test_a_tidy_test_passes_without_an_error(report, test):
    outcomes = re.findall(rf"^(\w+) test_inner.py::test_{test}\b", report, re.MULTILINE)
    assert outcomes == ["PASSED"]


def test_a_hanging_test_shows_the_stacks_of_all_threads(report):
    assert re.search(r"test_hangs hangs\. Threads:\n +<_MainThread", report)
    assert "most recent call first" in report


def test_referees_are_counted_by_the_tests_that_passed(report):
    for line in ("    1 prosody", "    1 slixmpp", "    0 javascript"):
        assert line in report.splitlines()
    assert "took part in no test" not in report


ONE_REFEREE = """
import pytest

@pytest.mark.referee("prosody", "slixmpp")
def test_with_two():
    pass

def test_with_none():
    pass
"""


@pytest.mark.parametrize("workers", [(), ("-p", "xdist", "-n", "2")], ids=["alone", "two workers"])
def test_an_absent_referee_fails_a_run_that_wants_all(tmp_path, workers):
    status, output = run(tmp_path, ONE_REFEREE, "--all-referees", *workers)
    assert status == pytest.ExitCode.TESTS_FAILED
    assert "FAILED: javascript took part in no test" in output
    assert "FAILED: prosody" not in output
    assert "    1 slixmpp" in output.splitlines()


def test_an_absent_referee_is_no_failure_of_a_run_that_does_not_ask(tmp_path):
    status, output = run(tmp_path, ONE_REFEREE)
    assert status == pytest.ExitCode.OK, output
    assert "took part in no test" not in output


def test_an_unknown_referee_is_refused(tmp_path):
    content = ONE_REFEREE.replace("prosody", "nobody")
    status, output = run(tmp_path, content)
    assert status == pytest.ExitCode.USAGE_ERROR
    assert "unknown referee {'nobody'}" in output


MOVED = """
import os, socket, subprocess, sys

def test_socket():
    socket.socket().close()

def test_swallows():
    try:
        socket.socket().close()
    except RuntimeError:
        pass

def test_process():
    subprocess.run([sys.executable, "-c", ""], check=True)

def test_fork():
    if os.fork() == 0:
        os._exit(0)
    os.wait()

def test_neither():
    pass
"""


@pytest.mark.parametrize(
    ("tier", "socket", "process"),
    [
        ("unit", "tests/wire", "tests/processes"),
        ("wire", None, "tests/processes"),
        ("processes", None, None),
        ("elsewhere", None, None),
    ],
)
def test_a_test_may_do_what_its_folder_allows(tmp_path, tier, socket, process):
    _, output = run(tmp_path, MOVED, tier=tier)
    for test, belongs in (("socket", socket), ("process", process), ("fork", process)):
        refused = f"FAILED .*::test_{test} - .*TierError: tests/{tier} .* belongs into {belongs}"
        expected = refused if belongs else f"PASSED .*::test_{test}"
        assert re.search(f"^{expected}$", output, re.MULTILINE)
    assert f"PASSED {tier}/test_inner.py::test_neither" in output
    assert (f"ERROR {tier}/test_inner.py::test_swallows" in output) == (socket is not None)
