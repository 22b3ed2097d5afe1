"""Instrumented processes: forks, the entry point of OpenTelemetry's command, and a missing extra."""

from __future__ import annotations

import configparser
import os
import subprocess
import sys
import threading
from importlib import import_module

import pytest
from opentelemetry import trace

from connectycube._checks import to_install
from connectycube.contrib.opentelemetry import ConnectyCubeInstrumentor
from tests.processes.forking import FORKS, holds_in_child
from tests.support.paths import ROOT
from tests.support.people import PASSWORD, Person
from tests.support.telemetry import telemetry
from tests.support.waiting import TIMEOUT


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("fork", FORKS.values(), ids=FORKS)
def test_a_forked_child_has_spans_and_numbers_of_its_own(emulator, fork):
    emulator.add_user("anna", PASSWORD)
    with telemetry(propagate=True) as made:
        anna = Person.in_chat(emulator, "anna")
        end, busy = threading.Event(), threading.Event()

        def work():
            while not end.is_set():
                anna.cube.dialogs.count()
                made.points()
                busy.set()

        thread = threading.Thread(target=work)
        thread.start()
        assert busy.wait(TIMEOUT)

        def works():
            count = len(made.spans)
            with made.tracer.start_as_current_span("the child"):
                anna.cube.dialogs.count()
            request, _ = made.spans[-2:]
            (states,) = made.points()["connectycube.connections"]
            return (
                len(made.spans) == count + 2
                and request.parent is not None
                and states.attributes == {"connectycube.state": "closed"}
            )

        held = holds_in_child(works, fork)
        end.set()
        thread.join()
        anna.cube.close()
    assert held


def test_a_child_that_ends_the_instrumentation_leaves_the_parents_alone(emulator):
    emulator.add_user("anna", PASSWORD)
    with telemetry() as made:
        anna = Person.with_session(emulator, "anna")

        def ends():
            ConnectyCubeInstrumentor().uninstrument()
            count = len(made.spans)
            anna.cube.dialogs.count()
            return len(made.spans) == count

        assert holds_in_child(ends)
        anna.cube.dialogs.count()
        assert made.named("GET /chat/Dialog")
        anna.cube.close()
    assert not trace.get_current_span().get_span_context().is_valid


def test_the_entry_point_for_the_command_names_the_instrumentor():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    line = setup["options.entry_points"]["opentelemetry_instrumentor"].strip()
    name, _, where = line.partition(" = ")
    module, _, attribute = where.partition(":")
    assert name == "connectycube"
    assert getattr(import_module(module), attribute) is ConnectyCubeInstrumentor


def test_the_command_of_opentelemetry_instruments_a_program(tmp_path):
    # The package may be installed without its entry points, as in a folder of PYTHONPATH.
    metadata = tmp_path / "connectycube_entry_points-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: connectycube_entry_points\nVersion: 1\n"
    )
    (metadata / "entry_points.txt").write_text(
        "[opentelemetry_instrumentor]\n"
        "connectycube = connectycube.contrib.opentelemetry:ConnectyCubeInstrumentor\n"
    )
    program = tmp_path / "program.py"
    program.write_text(
        "import connectycube\n"
        "config = connectycube.Config(app_id=1, auth_key='key')\n"
        "print(type(config.observer).__name__)\n"
    )
    run = "from opentelemetry.instrumentation.auto_instrumentation import run; run()"
    done = subprocess.run(
        [sys.executable, "-c", run, sys.executable, program],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
    )
    assert done.stdout == "Observers\n", done.stderr


@pytest.mark.parametrize("missing", ["opentelemetry", "opentelemetry.instrumentation"])
def test_the_extra_that_is_missing_is_named(missing):
    code = (
        f"import sys; sys.modules['{missing}'] = None\n"
        "try: import connectycube.contrib.opentelemetry\n"
        "except ModuleNotFoundError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.endswith(f"{to_install('', 'opentelemetry')}\n"), done.stderr
