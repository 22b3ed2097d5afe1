"""Count the tests that a referee took part in: ``@pytest.mark.referee("prosody")``.

The counts are printed at the end. With ``--all-referees`` a run fails when a known referee took part in no
test that passed: a suite that tests this project only against itself proves little.
"""

from __future__ import annotations

from collections import Counter

import pytest

KNOWN = (
    *("prosody", "ejabberd", "slixmpp", "javascript"),
    *("tinyproxy", "stunnel", "microsocks", "postgresql"),
    *("redis", "rabbitmq", "prometheus", "chromium", "tk", "qt", "pyright"),
    "gnome-keyring",
)

_PROPERTY = "referee"
_counts = pytest.StashKey[Counter[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.addoption(
        "--all-referees", action="store_true", help="fail unless each referee takes part in a test"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line("markers", f"referee(name): takes part in the test: {', '.join(KNOWN)}")
    config.stash[_counts] = Counter()
    config.pluginmanager.register(_Counter(config.stash[_counts]))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse referees that nobody knows; note those of each test where its reports carry them along."""
    for item in items:
        names = {name for marker in item.iter_markers("referee") for name in marker.args or ("",)}
        if unknown := names - set(KNOWN):
            raise pytest.UsageError(f"{item.nodeid}: unknown referee {unknown}")
        item.user_properties += [(_PROPERTY, name) for name in sorted(names)]


class _Counter:
    """Counts on the controller of pytest-xdist what its workers report."""

    def __init__(self, counts: Counter[str]) -> None:
        self._counts = counts

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed:
            self._counts.update(
                str(name) for key, name in report.user_properties if key == _PROPERTY
            )


def _absent(config: pytest.Config) -> list[str]:
    required = config.getoption("--all-referees") and not hasattr(config, "workerinput")
    return [name for name in KNOWN if required and not config.stash[_counts][name]]


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail the run when a referee is absent."""
    if _absent(session.config) and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print one line for each referee that took part, and for each that is absent."""
    counts, absent = config.stash[_counts], _absent(config)
    if counts or absent:
        terminalreporter.section("referees: tests passed with each")
    for name in KNOWN if counts or absent else ():
        terminalreporter.write_line(f"{counts[name]:5} {name}")
    for name in absent:
        terminalreporter.write_line(f"FAILED: {name} took part in no test", red=True)
