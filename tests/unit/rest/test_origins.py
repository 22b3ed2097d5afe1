import threading

import pytest

from connectycube.config import Config
from connectycube.errors import UnexpectedResponseError
from connectycube.rest.origins import ConnectionPools


@pytest.fixture
def origins():
    made = ConnectionPools(Config(app_id=1, auth_key="k", api_url="http://localhost:1"))
    yield made
    made.close()


@pytest.mark.parametrize(
    "url", ["https://s3.example/a?b=c", "http://127.0.0.1:5/x", "http://localhost/x"]
)
def test_tls_and_this_machine_are_safe(origins, url):
    assert origins.safe(url) == url


def test_a_relative_url_is_of_the_base(origins):
    assert origins.safe("/b?c", "https://s3.example/a") == "https://s3.example/b?c"


@pytest.mark.parametrize(
    "url",
    ["http://s3.example/a?token=S3CRET", "ftp://localhost/token=", "http://[/", "https://", "a"],
)
def test_everything_else_is_not_and_shows_no_secret(origins, url):
    with pytest.raises(UnexpectedResponseError, match="not safe") as caught:
        origins.safe(url)
    assert "S3CRET" not in str(caught.value) + caught.value.url


def test_there_is_one_pool_for_each_scheme_whoever_asks(origins):
    found = []

    def ask():
        found.append(origins.of("https://s3.example/a"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert {id(pool) for pool in found} == {id(origins.of("HTTPS://other.example"))}
    assert origins.of("http://localhost") is not found[0]
