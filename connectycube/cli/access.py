"""The account of the commands: login, logout, whoami and profiles."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click
from attrs import evolve

from connectycube.errors import ConnectyCubeError

from .failure import Failure
from .prompts import ask, password_from_stdin
from .secret_store import Secrets
from .shell import ProfileName, Shell, command, group, pass_shell

if TYPE_CHECKING:
    from connectycube import Config, Session, User

    from .account import Account
    from .profiles import Profile, Profiles

__all__ = ["login", "logout", "profiles", "whoami"]

_NEW = 5.0  # seconds between the beginnings of a user and of a session


@command()
@click.argument("login", metavar="[LOGIN]", required=False)
@click.option("--email", metavar="ADDRESS", help="Log in with this address instead of LOGIN.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.option("--app-id", type=click.IntRange(min=1), metavar="N", help="The application.")
@click.option("--api-url", metavar="URL", help="Its REST API, if it is not the usual one.")
@click.option("--chat-host", metavar="HOST", help="Its chat server.")
@click.option("--chat-port", type=click.IntRange(1, 65535), metavar="N", help="The port of that.")
@click.option(
    "--ca-file", type=click.Path(exists=True, dir_okay=False), help="Authorities to trust."
)
@click.option(
    "--file",
    "in_file",
    is_flag=True,
    help="Keep secrets in a file (mode 0600), not in the keyring.",
)
@pass_shell
def login(
    shell: Shell,
    /,
    login: str | None,
    email: str | None,
    password_stdin: bool,
    in_file: bool,
    **app: Any,
) -> None:
    """Log in, and keep that for later commands.

    What is missing is asked for. The password and the key of the application are read from the terminal, or
    from standard input and CONNECTYCUBE_AUTH_KEY: other users of this machine could see arguments.

    A login that the service does not know becomes a new user, unless the application forbids it.

    \b
    Examples:
      connectycube login alice
      connectycube login --profile work --app-id 4711 alice
      pass show chat/alice | connectycube login alice --password-stdin
    """
    from .account import Account, chosen_name

    known = shell.profiles
    name = chosen_name(known, shell.profile)
    before = known.get(name)
    # Standard input first: a prompt must not read a part of it.
    secrets = password_from_stdin() if password_stdin else Secrets()
    config = _application(shell, before, name, app)
    if login is None and email is None:
        login = ask("Login", "give LOGIN", default=before.login if before is not None else None)
    if secrets.password is None:
        secrets = Secrets(password=ask("Password", "use --password-stdin", secret=True))
    account = Account(name=name, config=config, login=login, email=email, secrets=secrets)
    with account.client() as client:
        assert client.session is not None
        assert client.user is not None
        user, session = client.user, client.session
        try:
            kind = _keep(known, account, user, session, in_file=in_file)
        except BaseException:
            client.logout()
            raise
    if kind == "file" and not in_file:
        shell.output.note(f"this machine has no keyring: the secrets are in {known.folder}")
    _tell_new(shell, session, user)
    shell.output.show(user, f"logged in as {_shown(user)}, profile {name}")


def _application(shell: Shell, before: Profile | None, name: str, app: dict[str, Any]) -> Config:
    """Return the application: by the options, the environment, the profile before, or by asking."""
    from connectycube import Config

    from .account import ENVIRONMENT, patient

    given = {key: value for key, value in app.items() if value is not None}
    if name == ENVIRONMENT:
        return patient(Config.from_env(**given), shell.timeout)
    known = Secrets()
    if before is not None:
        kept = ("app_id", "api_url", "chat_host", "chat_port", "ca_file")
        old = {key: getattr(before, key) for key in kept}
        # The key was given for this service and no other one.
        if all(given.get(key, old[key]) == old[key] for key in ("app_id", "api_url")):
            known = shell.profiles.store_of(before).load(name)
            given = {**old, **given}
    if "app_id" not in given:
        given["app_id"] = _number(
            os.environ.get("CONNECTYCUBE_APP_ID") or ask("Id of the application", "give --app-id")
        )
    config = Config(
        **given,
        auth_key=os.environ.get("CONNECTYCUBE_AUTH_KEY")
        or known.auth_key
        or ask("Key of the application", "set CONNECTYCUBE_AUTH_KEY", secret=True),
        auth_secret=os.environ.get("CONNECTYCUBE_AUTH_SECRET") or known.auth_secret,
        admin_key=known.admin_key,
    )
    return patient(config, shell.timeout)


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 19:
        raise Failure(f"the id of an application is a number, not {text!r}", 2)
    return int(text)


def _keep(known: Profiles, account: Account, user: User, session: Session, *, in_file: bool) -> str:
    """Keep the secrets, then the profile, which says where they are; return where.

    A failure leaves the old profile as it was.
    """
    from .account import ENVIRONMENT
    from .profiles import Profile
    from .secret_store import new_store

    config, before = account.config, known.get(account.name)
    store = new_store(known.folder, in_file=in_file)
    store.save(
        account.name,
        Secrets(
            auth_key=config.auth_key,
            auth_secret=config.auth_secret,
            admin_key=None if account.name == ENVIRONMENT else config.admin_key,
            password=account.secrets.password,
            token=session.token,
        ),
    )
    profile = Profile(
        name=account.name,
        app_id=config.app_id,
        api_url=config.api_url,
        chat_host=config.chat_host,
        chat_port=config.chat_port,
        ca_file=os.path.abspath(config.ca_file) if config.ca_file else None,
        login=account.login,
        email=None if account.login else account.email,
        user_id=user.id,
        secrets=store.kind,
    )
    known.put(profile, make_current=profile.name != ENVIRONMENT)
    if before is not None and before.secrets != store.kind:
        known.store_of(before).remove(profile.name)
    return store.kind


def _tell_new(shell: Shell, session: Session, user: User) -> None:
    """Say that the service has made the user: the login may be a misspelling."""
    if user.created_at is None or session.created_at is None:
        return
    if (session.created_at - user.created_at).total_seconds() < _NEW:
        shell.output.note("the service did not know this login, and has made a new user", "careful")


@command()
@click.option("--all", "everything", is_flag=True, help="Forget the application and its key, too.")
@pass_shell
def logout(shell: Shell, everything: bool) -> None:
    """End the session at the service, and forget the user and the password."""
    from .account import NotLoggedInError, account_of, chosen_name, patient

    known = shell.profiles
    name = chosen_name(known, shell.profile)
    profile = known.get(name)
    if profile is None:
        raise known.unknown(name)
    store = known.store_of(profile)
    if profile.who:
        try:
            account = account_of(known, name)
            account.config = patient(account.config, shell.timeout)
            if account.secrets.token:
                with account.client() as client:
                    client.sessions.destroy()
        except (ConnectyCubeError, NotLoggedInError) as error:
            shell.output.note(f"the session stays at the service: {error}", "careful")
    if everything:
        known.remove(name)
    else:
        store.save(name, evolve(store.load(name), password=None, token=None))
        known.put(profile.without_user())
    shell.output.note(f"logged out of profile {name}")


@command()
@pass_shell
def whoami(shell: Shell) -> None:
    """Ask the service for the user of the profile, and show user and application."""
    account = shell.account()
    with account.client() as client:
        user_id = client.sessions.info().user_id
        if user_id is None:
            raise Failure("the session has no user", 4)
        user = client.users.get(user_id)
    output = shell.output
    if output.as_json:
        output.show(user, "")
        return
    output.fields(
        [
            ("user", _shown(user)),
            ("name", user.full_name),
            ("email", user.email),
            ("profile", account.name),
            ("application", account.config.app_id),
            ("service", account.config.api_url),
        ]
    )


def _shown(user: User) -> str:
    return f"{user.login or user.email} (user {user.id})"


@group(invoke_without_command=True)
@click.pass_context
def profiles(context: click.Context) -> None:
    """List the accounts that this machine knows; the current one has a star."""
    if context.invoked_subcommand is not None:
        return
    from attrs import asdict

    shell = context.ensure_object(Shell)
    known = shell.profiles
    current = known.current
    rows = [
        (
            {**asdict(each), "current": name == current},
            (
                "*" if name == current else "",
                name,
                each.who or "-",
                each.app_id,
                each.api_url,
                each.secrets,
            ),
        )
        for name, each in known.all().items()
    ]
    if not shell.output.table(("", "profile", "user", "application", "service", "secrets"), rows):
        shell.output.note("no profiles yet: run 'connectycube login'")


@profiles.command()
@click.argument("name", type=ProfileName())
@pass_shell
def use(shell: Shell, name: str) -> None:
    """Make NAME the account of the commands that name none."""
    shell.profiles.use(name)


@profiles.command()
@click.argument("name", type=ProfileName())
@pass_shell
def remove(shell: Shell, name: str) -> None:
    """Forget the account NAME and its secrets."""
    shell.profiles.remove(name)
