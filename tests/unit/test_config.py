import attrs
import pytest

from connectycube.config import Config, ConfigFields, Limits, ReconnectPolicy, Timeouts
from connectycube.errors import ArgumentTypeError, ArgumentValueError

REQUIRED = {"app_id": 7, "auth_key": "k"}
ENVIRONMENT = {"CONNECTYCUBE_APP_ID": "7", "CONNECTYCUBE_AUTH_KEY": "k"}


def test_two_fields_are_enough():
    config = Config(**REQUIRED)
    assert config.api_url == "https://api.connectycube.com"
    assert (config.chat_host, config.chat_port) == ("chat.connectycube.com", 5223)
    assert config.auth_secret is None and config.ca_file is None
    assert config.auto_delivered is True


def test_the_keyword_arguments_of_a_client_are_the_fields():
    types = {name: hint.__forward_arg__ for name, hint in ConfigFields.__annotations__.items()}
    assert list(types) == [entry.name for entry in attrs.fields(Config)]
    for entry in attrs.fields(Config):
        if entry.converter is None:  # a path is also taken as an object
            assert types[entry.name] == entry.type


def test_the_time_outs_are_those_of_the_table():
    assert attrs.asdict(Timeouts()) == {
        "connect": 10,
        "login": 30,
        "iq": 10,
        "join": 10,
        "event": 30,
        "acknowledgement": 30,
        "send": 10,
        "rest_connect": 5,
        "rest_read": 30,
        "rest_transfer": 600,
        "liveness_interval": 30,
        "liveness_answer": 15,
        "logout": 5,
        "exit": 2,
        "token_store": 5,
        "slow_callback": 5,
    }


def test_the_reconnect_policy_is_the_guides():
    policy = ReconnectPolicy()
    assert (policy.max_attempts, policy.delay, policy.max_delay) == (5, 5, 60)
    assert ReconnectPolicy(max_attempts=None).max_attempts is None
    assert ReconnectPolicy(max_attempts=0).max_attempts == 0


@pytest.mark.parametrize(
    ("fields", "cls"),
    [
        ({"app_id": 0}, ArgumentValueError),
        ({"app_id": "7"}, ArgumentTypeError),
        ({"app_id": True}, ArgumentTypeError),
        ({"auth_key": ""}, ArgumentValueError),
        ({"auth_key": None}, ArgumentTypeError),
        ({"auth_secret": ""}, ArgumentValueError),
        ({"auth_secret": 5}, ArgumentTypeError),
        ({"api_url": ""}, ArgumentValueError),
        ({"api_url": "api.example.org"}, ArgumentValueError),
        ({"api_url": "ftp://example.org"}, ArgumentValueError),
        ({"api_url": "https://"}, ArgumentValueError),
        ({"api_url": "https://me:pw@example.org"}, ArgumentValueError),
        ({"api_url": "https://example.org?a=1"}, ArgumentValueError),
        ({"api_url": "https://example.org#a"}, ArgumentValueError),
        ({"api_url": "https://example.org:99999"}, ArgumentValueError),
        ({"api_url": "https://[::1"}, ArgumentValueError),
        ({"api_url": "http://example.org"}, ArgumentValueError),
        ({"api_url": "http://10.0.0.1"}, ArgumentValueError),
        ({"api_url": "http://localhost.example.org"}, ArgumentValueError),
        ({"api_url": "http://a.localhost"}, ArgumentValueError),
        ({"api_url": "http://127.1"}, ArgumentValueError),
        ({"api_url": "http://0.0.0.0"}, ArgumentValueError),
        ({"chat_host": "a b"}, ArgumentValueError),
        ({"chat_host": "host:5222"}, ArgumentValueError),
        ({"chat_host": ""}, ArgumentValueError),
        ({"chat_port": 0}, ArgumentValueError),
        ({"chat_port": 65536}, ArgumentValueError),
        ({"chat_port": "5223"}, ArgumentTypeError),
        ({"ca_file": "/no/such/file"}, ArgumentValueError),
        ({"ca_file": 5}, ArgumentTypeError),
        ({"client_cert": "/no/such/file"}, ArgumentValueError),
        ({"client_cert": 5}, ArgumentTypeError),
        ({"client_key": "/no/such/file"}, ArgumentValueError),
        ({"client_key": __file__}, ArgumentValueError),
        ({"client_key_password": "S3CRET"}, ArgumentValueError),
        ({"client_key_password": ""}, ArgumentValueError),
        ({"proxy": 5}, ArgumentTypeError),
        ({"proxy": ""}, ArgumentValueError),
        ({"proxy": "p:1"}, ArgumentValueError),
        ({"proxy": "socks4://p:1"}, ArgumentValueError),
        ({"proxy": "http://p:99999"}, ArgumentValueError),
        ({"proxy": "http://p:1/path"}, ArgumentValueError),
        ({"trust_env": 1}, ArgumentTypeError),
        ({"workers": 0}, ArgumentValueError),
        ({"auto_delivered": 1}, ArgumentTypeError),
        ({"auto_delivered": "some"}, ArgumentValueError),
        ({"timeouts": 5}, ArgumentTypeError),
        ({"reconnect": {}}, ArgumentTypeError),
        ({"limits": None}, ArgumentTypeError),
    ],
)
def test_a_wrong_field_is_refused_by_name(fields, cls):
    (name,) = fields
    with pytest.raises(cls, match=name):
        Config(**{**REQUIRED, **fields})


@pytest.mark.parametrize(
    "url", ["http://me:S3CRET@p:1", "https://p", "socks5://me:S3CRET@p", "socks5h://[::1]:1080"]
)
def test_a_proxy_of_each_kind_is_accepted_and_not_shown(url):
    config = Config(**REQUIRED, proxy=url)
    assert config.proxy == url
    assert "S3CRET" not in repr(config)


def test_a_client_certificate_is_named_by_paths_and_its_password_not_shown(tmp_path):
    path = tmp_path / "client.pem"
    path.touch()
    config = Config(
        **REQUIRED, client_cert=path, client_key=str(path), client_key_password="S3CRET"
    )
    assert (config.client_cert, config.client_key) == (str(path), str(path))
    assert "S3CRET" not in repr(config)


@pytest.mark.parametrize(
    "url",
    ["http://localhost:8080", "http://127.0.0.1", "http://[::1]:80/base", "http://127.9.9.9"],
)
def test_plain_http_is_for_this_machine(url):
    assert Config(**REQUIRED, api_url=url).api_url == url


@pytest.mark.parametrize("table", [Timeouts, Limits])
def test_every_number_of_a_table_is_checked_by_name(table):
    for entry in attrs.fields(table):
        for value, cls in (
            (0, ArgumentValueError),
            (-1, ArgumentValueError),
            ("1", ArgumentTypeError),
        ):
            with pytest.raises(cls, match=entry.name):
                table(**{entry.name: value})


@pytest.mark.parametrize(
    ("fields", "cls"),
    [
        ({"max_attempts": -1}, ArgumentValueError),
        ({"max_attempts": 1.5}, ArgumentTypeError),
        ({"delay": 0}, ArgumentValueError),
        ({"max_delay": float("inf")}, ArgumentValueError),
        ({"reset_after": None}, ArgumentTypeError),
    ],
)
def test_a_wrong_reconnect_policy_is_refused_by_name(fields, cls):
    (name,) = fields
    with pytest.raises(cls, match=name):
        ReconnectPolicy(**fields)


@pytest.mark.parametrize("name", ["ca_file", "client_cert"])
def test_a_file_that_is_not_there_is_named_in_the_error(name):
    with pytest.raises(
        ArgumentValueError, match=rf"^{name} is not the path of a file: '/no/such'$"
    ):
        Config(**REQUIRED, **{name: "/no/such"})


def test_the_certificate_of_an_emulator_that_has_ended_is_told_as_such():
    with pytest.raises(ArgumentValueError, match="its emulator has ended"):
        Config(**REQUIRED, ca_file="/no/such/connectycube-emulator-x1/ca.pem")


def test_a_ca_file_may_be_a_path(tmp_path):
    path = tmp_path / "ca.pem"
    path.write_text("")
    assert Config(**REQUIRED, ca_file=path).ca_file == str(path)


def test_it_cannot_be_changed_but_copied():
    config = Config(**REQUIRED)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        config.app_id = 8
    assert config.replace(app_id=8).app_id == 8
    with pytest.raises(ArgumentValueError, match="app_id"):
        config.replace(app_id=-8)


def test_its_repr_holds_no_secret():
    text = repr(Config(app_id=7, auth_key="K3Y", auth_secret="S3CRET"))
    assert "K3Y" not in text and "S3CRET" not in text


# --- from the environment


def test_from_env_reads_every_variable(tmp_path):
    path = tmp_path / "ca.pem"
    path.write_text("")
    config = Config.from_env(
        {
            **ENVIRONMENT,
            "CONNECTYCUBE_AUTH_SECRET": "s",
            "CONNECTYCUBE_ADMIN_KEY": "a",
            "CONNECTYCUBE_API_URL": "http://localhost:1",
            "CONNECTYCUBE_CHAT_HOST": "localhost",
            "CONNECTYCUBE_CHAT_PORT": "5",
            "CONNECTYCUBE_CA_FILE": str(path),
        }
    )
    assert config == Config(
        app_id=7,
        auth_key="k",
        auth_secret="s",
        admin_key="a",
        api_url="http://localhost:1",
        chat_host="localhost",
        chat_port=5,
        ca_file=str(path),
    )


def test_a_missing_variable_names_its_misspelling_or_the_emulator():
    with pytest.raises(ArgumentValueError, match=r"connectycube exec -- python program.py"):
        Config.from_env({"CONNECTYCUBE_API_URL": "https://api.example.com"})
    with pytest.raises(ArgumentValueError, match=r": CONNECTYCUBE_APPID is, which nothing reads$"):
        Config.from_env({"CONNECTYCUBE_APPID": "1", "CONNECTYCUBE_AUTH_KEY": "key"})


def test_from_env_reads_the_process_environment(monkeypatch):
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    assert Config.from_env().app_id == 7


def test_arguments_go_before_variables_and_empty_variables_are_absent():
    environment = {**ENVIRONMENT, "CONNECTYCUBE_AUTH_SECRET": "", "CONNECTYCUBE_CHAT_PORT": "x"}
    config = Config.from_env(environment, chat_port=6, app_id=8)
    assert (config.app_id, config.chat_port, config.auth_secret) == (8, 6, None)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"CONNECTYCUBE_APP_ID": ""}, "CONNECTYCUBE_APP_ID"),
        ({"CONNECTYCUBE_AUTH_KEY": ""}, "CONNECTYCUBE_AUTH_KEY"),
        ({"CONNECTYCUBE_APP_ID": "seven"}, "CONNECTYCUBE_APP_ID"),
        ({"CONNECTYCUBE_APP_ID": "²"}, "CONNECTYCUBE_APP_ID"),
        ({"CONNECTYCUBE_APP_ID": "9" * 5000}, "CONNECTYCUBE_APP_ID"),
        ({"CONNECTYCUBE_CHAT_PORT": "9" * 19}, "chat_port"),
        ({"CONNECTYCUBE_CHAT_PORT": "-1"}, "CONNECTYCUBE_CHAT_PORT"),
        ({"CONNECTYCUBE_API_URL": "nowhere"}, "api_url"),
    ],
)
def test_a_wrong_variable_is_refused_by_name(change, name):
    with pytest.raises(ArgumentValueError, match=name):
        Config.from_env({**ENVIRONMENT, **change})


@pytest.mark.parametrize("name", [":memory:", "file:bot.db?mode=memory", "file::memory:"])
def test_a_durable_store_is_a_file_on_disk(name):
    with pytest.raises(ArgumentValueError, match="durable must be the path of a file on disk"):
        Config(**REQUIRED, durable=name)
