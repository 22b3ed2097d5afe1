import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectycube._redact import MASK, peer_text, redact_url, secrets_in
from connectycube._secrets import Secret


@pytest.mark.parametrize(
    ("url", "redacted"),
    [
        ("https://h/blobs/u?token=abc", "https://h/blobs/u?token=***"),
        (
            "https://h/x?limit=5&user[password]=p&skip=1",
            "https://h/x?limit=5&user[password]=***&skip=1",
        ),
        ("https://h/x?keys%5Btoken%5D=p", "https://h/x?keys%5Btoken%5D=***"),
        (
            "https://h/x?AUTH_KEY=p&auth-key=q&authkey=r",
            "https://h/x?AUTH_KEY=***&auth-key=***&authkey=***",
        ),
        ("https://me:pw@h:8080/x?a=1#token=f", "https://h:8080/x?a=1"),
        ("https://h/chat/Message?count=1", "https://h/chat/Message?count=1"),
        ("https://h/x?token", "https://h/x?token"),
    ],
)
def test_url_keeps_everything_but_secret_values(url, redacted):
    assert redact_url(url) == redacted


def test_secrets_are_found_at_any_depth():
    body = {
        "auth_key": "k",
        "application_id": "1",
        "user": {"login": "bob", "password": "p"},
        "keys": {"token": "t", "secret": "s"},
        "list": [{"access_token": "a"}, "token"],
        "signature": "x",
    }
    assert {secret.open() for secret in secrets_in(body)} == {"k", "p", "t", "s", "a", "x"}


def test_a_secret_that_holds_another_is_masked_whole():
    known = ["abcabc", "abcabcdef", ""]
    assert peer_text("the abcabcdef and abcabc", map(Secret, known)) == f"the {MASK} and {MASK}"


@pytest.mark.parametrize("secret", ["a", "e", "em", "ul", "error", "is"])
def test_a_short_secret_masks_no_part_of_the_words_around_it(secret):
    text = f"The emulator failed: an error, and {secret} is everywhere"
    assert peer_text(text, [Secret(secret)]) == text


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("password a is wrong", "password *** is wrong"),
        ("password: a", "password: ***"),
        ("user[password]=a&user[login]=a", "user[password]=***&user[login]=a"),
        ('{"user":{"login":"a","password":"a"}}', '{"user":{"login":"a","password":"***"}}'),
        ("{'password' => 'a'}", "{'password' => '***'}"),
        ("access_token = a;", "access_token = ***;"),
        ("password is a", "password is a"),
    ],
)
def test_a_short_secret_is_masked_as_the_value_of_a_secret_name(text, masked):
    assert peer_text(text, [Secret("a")]) == masked


@given(st.text(), st.lists(st.text(alphabet="abcXYZ09", min_size=6), max_size=4))
def test_no_secret_is_left(text, secrets):
    redacted = peer_text(text + "".join(secrets) + text, map(Secret, secrets))
    assert not any(secret in redacted for secret in secrets)
