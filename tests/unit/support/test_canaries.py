"""The search for secrets finds each kind of leak, when one is planted."""

import logging
import sqlite3

import pytest

from connectycube.errors import ConnectyCubeError
from tests.support.canaries import MARK, Canaries

SECRET = "a password that nobody else has"


@pytest.fixture
def canaries():
    made = Canaries()
    made.learn(SECRET)
    return made


def raised(source):
    """The error of a function ``planted`` of another package, called with the secret."""
    module = {"__name__": "connectycube.planted", "ConnectyCubeError": ConnectyCubeError}
    exec(compile(source, "/elsewhere/planted.py", "exec"), module)
    with pytest.raises(Exception) as caught:
        module["planted"](SECRET)
    return caught.value


@pytest.mark.parametrize(
    ("source", "where"),
    [
        (
            "def planted(secret):\n    raise ConnectyCubeError('refused')",
            "local secret of planted",
        ),
        (
            "def planted(secret):\n    body = [secret]; del secret\n    raise ConnectyCubeError('a')",
            "local body of planted",
        ),
        ("def planted(secret): raise ConnectyCubeError('not ' + secret)", "text"),
        (
            "def planted(secret):\n    error = ConnectyCubeError('a'); error.request = {'body': secret}\n"
            "    raise error",
            "attributes",
        ),
        (
            "def planted(secret):\n    try: raise ValueError(secret)\n"
            "    except ValueError: raise ConnectyCubeError('a') from None",
            "ValueError: text",
        ),
    ],
)
def test_a_planted_leak_of_an_error_is_found(canaries, source, where):
    canaries.look_at_error(raised(source))
    assert any(where in hit for hit in canaries.hits), canaries.hits


def test_an_error_without_a_secret_is_no_hit(canaries):
    source = (
        "def planted(secret):\n    secret = len(secret)\n    raise ConnectyCubeError('refused')"
    )
    canaries.look_at_error(raised(source))
    assert canaries.hits == []


def test_a_planted_leak_of_a_pickle_is_found(canaries):
    error = ConnectyCubeError("a")
    error.cause = ValueError(SECRET)
    canaries.look_at_error(error)
    assert "ConnectyCubeError: pickle" in canaries.hits


@pytest.mark.parametrize("arguments", [("%s", SECRET), (SECRET,), ("%r", {"body": SECRET})])
def test_a_planted_leak_of_a_log_is_found(canaries, arguments):
    record = logging.LogRecord("urllib3", logging.DEBUG, "f", 1, arguments[0], arguments[1:], None)
    canaries.look_at_record(record)
    assert canaries.hits == ["log of urllib3"]


def test_a_planted_leak_of_a_file_is_found(canaries, tmp_path):
    database = sqlite3.connect(tmp_path / "bot.db")
    database.execute("CREATE TABLE t (text)")
    database.execute("INSERT INTO t VALUES (?)", (SECRET,))
    database.commit()
    database.close()
    canaries.look_at_files(tmp_path)
    assert canaries.hits == ["file bot.db"]


def test_the_mark_is_found_in_any_text(canaries):
    canaries.look_at("name of a thread", f"thread-{MARK}")
    assert canaries.hits == ["name of a thread"]


def test_the_search_runs_over_every_test(pytester):
    pytester.makeconftest('pytest_plugins = ["tests.support.leaks", "tests.support.canaries"]\n')
    pytester.makepyfile(
        """
        import logging
        from connectycube import Config

        def test_leak():
            key = Config(app_id=1, auth_key="a key that is long enough").auth_key
            logging.getLogger("connectycube.rest").debug("the key is %s", key)
        """
    )
    result = pytester.runpytest_inprocess("-p", "no:connectycube", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*a secret is shown in:*", "*log of connectycube.rest*"])


@pytest.mark.parametrize(
    ("name", "text", "is_wild"),
    [
        ("connectycube.chat", "x" * 2_500, False),
        ("connectycube.chat", "x" * 2_501, True),
        ("connectycube.rest", "two\nlines", True),
        ("connectycube.rest", "red \x1b[31m", True),
        ("urllib3.connectionpool", "x" * 5_000, False),
    ],
)
def test_a_long_record_or_one_of_several_lines_is_found(canaries, name, text, is_wild):
    canaries.look_at_record(logging.LogRecord(name, 10, __file__, 1, "%s", (text,), None))
    assert bool(canaries.wild) is is_wild
