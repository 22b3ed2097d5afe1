"""Count the tests that an independent witness took part in: ``@pytest.mark.referee("prosody")``.

The counts are printed at the end. With CI=true a run of the whole suite fails when a known referee took part
in no test that passed: a suite that tests this project only against itself proves little.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from . import components

KNOWN = ("prosody", "ejabberd", "slixmpp", "javascript")

_counts = pytest.StashKey[Counter[str]]()
_selected = pytest.StashKey[bool]()


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line("markers", f"referee(name): takes part in the test: {', '.join(KNOWN)}")
    config.stash[_counts] = Counter()
    config.stash[_selected] = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse referees that nobody knows."""
    for item in items:
        for marker in item.iter_markers("referee"):
            unknown = set(marker.args) - set(KNOWN)
            if unknown or not marker.args:
                raise pytest.UsageError(
                    f"{item.nodeid}: unknown referee {unknown or 'without a name'}"
                )


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Note that this is not the whole suite."""
    for item in items[:1]:
        item.config.stash[_selected] = True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Count each referee of a test that passed once."""
    report = yield
    if report.when == "call" and report.passed:
        referees = {name for marker in item.iter_markers("referee") for name in marker.args}
        item.config.stash[_counts].update(referees)
    return report


def _absent(config: pytest.Config) -> list[str]:
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS and not config.stash[_selected]
    counted = whole and components.IN_CI and not config.option.collectonly
    return [name for name in KNOWN if counted and not config.stash[_counts][name]]


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail the run when a referee is absent."""
    if _absent(session.config) and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print one line for each referee."""
    if config.option.collectonly:
        return
    terminalreporter.section("referees: tests passed with each")
    for name in KNOWN:
        terminalreporter.write_line(f"{config.stash[_counts][name]:5} {name}")
    for name in _absent(config):
        terminalreporter.write_line(f"FAILED: {name} took part in no test", red=True)
