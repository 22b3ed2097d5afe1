"""The account of a command: the selected profile, or the variables of the environment."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import ExitStack, contextmanager

from attrs import define, evolve, field

from connectycube import Config, ConnectyCube, Session, Timeouts
from connectycube.errors import ArgumentValueError

from .failure import Failure
from .profiles import Profile, Profiles
from .secret_store import Secrets, SecretStore

__all__ = [
    "ENVIRONMENT",
    "Account",
    "NotLoggedInError",
    "account_of",
    "application_of",
    "chosen_name",
    "patient",
]

ENVIRONMENT = "environment"
"""The name of the profile whose application is that of the environment, as of ``connectycube exec``."""
_SECRETS = ("auth_key", "auth_secret")


class NotLoggedInError(Failure):
    """The command needs a user, and the profile has none."""

    def __init__(self, text: str) -> None:
        super().__init__(text, 4)


@define(kw_only=True)
class Account:
    """One user of one application, with what logs the user in.

    Args:
        name: The name of the profile.
        config: The application.
        login: The user's login.
        email: The user's address, if there is no login.
        user_id: The id of the user, if it is known.
        secrets: The password and, if there is one, the token of a session.
        store: Where a new token is kept; None: nowhere.
    """

    name: str
    config: Config
    login: str | None = None
    email: str | None = None
    user_id: int | None = None
    secrets: Secrets = Secrets()
    store: SecretStore | None = field(default=None, repr=False)

    @contextmanager
    def client(self) -> Generator[ConnectyCube]:
        """Yield a client with a session of the user: the last one, as long as the service keeps it."""
        with ExitStack() as stack:
            client = stack.enter_context(ConnectyCube(config=self.config))
            if self.secrets.token:
                client = stack.enter_context(
                    client.with_token(
                        self.secrets.token, user_id=self.user_id, renew_session=self._renew
                    )
                )
            else:
                self.log_in(client)
            yield client

    def log_in(self, client: ConnectyCube, seconds: float | None = None) -> None:
        """Make a session of the user with the password."""
        client.login(
            login=self.login, email=self.email, password=self.secrets.password, timeout=seconds
        )

    def _renew(self, old: Session, client: ConnectyCube) -> Session:
        session = client.sessions.create(
            login=self.login, email=self.email, password=self.secrets.password
        )
        if self.store is not None:
            # The others may have changed since: another process renews as well.
            secrets = self.store.load(self.name)
            if secrets.password:
                self.store.save(self.name, evolve(secrets, token=session.token))
        return session


def chosen_name(profiles: Profiles, asked_for: str | None) -> str:
    """Return the name of the profile: ``--profile``, CONNECTYCUBE_PROFILE, the environment's, the current."""
    named = asked_for or os.environ.get("CONNECTYCUBE_PROFILE")
    if named:
        return named
    return ENVIRONMENT if os.environ.get("CONNECTYCUBE_APP_ID") else profiles.current


def account_of(profiles: Profiles, asked_for: str | None) -> Account:
    """Return the account of a command.

    Raises:
        NotLoggedInError: The profile has no user.
        ProfileError: There is no such profile, or its file cannot be used.
        SecretStoreError: Its secrets cannot be read.
        ArgumentValueError: A variable of the environment is wrong.
    """
    name = chosen_name(profiles, asked_for)
    login = os.environ.get("CONNECTYCUBE_LOGIN")
    if name == ENVIRONMENT and login:
        secrets = Secrets(password=os.environ.get("CONNECTYCUBE_PASSWORD"))
        if not secrets.password:
            raise ArgumentValueError("CONNECTYCUBE_LOGIN needs CONNECTYCUBE_PASSWORD")
        return Account(name=name, config=Config.from_env(), login=login, secrets=secrets)
    profile = profiles.get(name)
    if profile is None and name not in (ENVIRONMENT, profiles.current):
        raise profiles.unknown(name)
    if profile is None or not profile.who:
        raise NotLoggedInError(f"nobody is logged in{_in_profile(name)}: run 'connectycube login'")
    store = profiles.store_of(profile)
    secrets = store.load(name)
    if not secrets.password:
        raise NotLoggedInError(f"the password{_in_profile(name)} is gone: run 'connectycube login'")
    config = _config(profile, secrets)
    return Account(
        name=name,
        config=config,
        login=profile.login,
        email=None if profile.login else profile.email,
        user_id=profile.user_id,
        secrets=secrets,
        store=store,
    )


def application_of(profiles: Profiles, asked_for: str | None) -> Config | None:
    """Return the application of a command that needs no user; None if no application is known."""
    name = chosen_name(profiles, asked_for)
    if name == ENVIRONMENT:
        return Config.from_env()
    profile = profiles.get(name)
    return None if profile is None else _config(profile, profiles.store_of(profile).load(name))


def _in_profile(name: str) -> str:
    return "" if name == ENVIRONMENT else f" in profile {name!r}"


def _config(profile: Profile, secrets: Secrets) -> Config:
    """Return the application of a profile. Its secrets go to no other one."""
    if profile.name != ENVIRONMENT:
        return Config(
            app_id=profile.app_id,
            auth_key=secrets.auth_key or "",
            auth_secret=secrets.auth_secret,
            admin_key=_admin_key(secrets),
            api_url=profile.api_url,
            chat_host=profile.chat_host,
            chat_port=profile.chat_port,
            ca_file=profile.ca_file,
        )
    config = Config.from_env()
    known = (profile.app_id, profile.api_url, profile.chat_host)
    if known != (config.app_id, config.api_url, config.chat_host):
        raise NotLoggedInError(
            f"nobody is logged in to {config.api_url}: run 'connectycube login' (the last login was to "
            f"{profile.api_url})"
        )
    return config


def _admin_key(secrets: Secrets) -> str | None:
    """Return the key of the Administration API for the application of a profile.

    Beside CONNECTYCUBE_APP_ID the variable is that of another application, which must not get it.
    """
    if not os.environ.get("CONNECTYCUBE_APP_ID"):
        return os.environ.get("CONNECTYCUBE_ADMIN_KEY") or secrets.admin_key
    return secrets.admin_key


def patient(config: Config, seconds: float | None) -> Config:
    """Return the configuration with ``--timeout``: so many seconds for each answer of the service."""
    if seconds is None:
        return config
    ours = Timeouts()
    return config.replace(
        timeouts=evolve(
            ours,
            connect=min(seconds, ours.connect),
            login=seconds,
            iq=seconds,
            join=seconds,
            acknowledgement=seconds,
            rest_connect=min(seconds, ours.rest_connect),
            rest_read=seconds,
        )
    )
