"""Users for tests: users of the emulator, each with a client that is logged in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import asdict, field, frozen

from connectycube import User

if TYPE_CHECKING:
    from typing_extensions import Unpack  # mypy brings it; nothing imports it at run time

    from connectycube import Config, ConnectyCube
    from connectycube.emulator import Emulator, UserFields

__all__ = ["CubeUser", "People"]

_PASSWORD = "a password"


@frozen(kw_only=True, slots=True, eq=False)
class CubeUser(User):
    """A user of the emulator, with a client that has a REST session of this user.

    The rest is that of a :class:`User`, so every call that takes a user takes it. The fixture ``cube_user``
    makes one, and closes the client at the end of the test.

    Args:
        id: The id of the user.
        login: The login.
        password: The password.
        cube: The client.

    Example:
        >>> def test_bob_gets_a_greeting(cube_user):
        ...     alice, bob = cube_user("alice"), cube_user("bob")
        ...     with alice.cube.chat as chat:
        ...         chat.send_private(bob, "Hello").result()
    """

    # Unlike those of a User, neither is ever missing.
    id: int  # pyright: ignore[reportGeneralTypeIssues]
    login: str  # pyright: ignore[reportGeneralTypeIssues]
    password: str = field(repr=False)
    cube: ConnectyCube = field(repr=False)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return object.__hash__(self)

    def __repr__(self) -> str:
        return f"CubeUser(login={self.login!r}, id={self.id})"


class People:
    """Creates users with their clients; any thread may call it."""

    def __init__(self, emulator: Emulator, config: Config) -> None:
        self._emulator = emulator
        self._config = config
        self._clients: list[ConnectyCube] = []

    def __call__(
        self, login: str, *, password: str = _PASSWORD, **fields: Unpack[UserFields]
    ) -> CubeUser:
        """Create a user and log in over REST.

        Args:
            login: The login.
            password: The password.
            fields: Other fields of a sign-up (full_name, email, …).

        Raises:
            ArgumentValueError: The login is taken, or a value is wrong.
        """
        from connectycube import ConnectyCube

        self._emulator.add_user(login, password, **fields)
        cube = ConnectyCube(config=self._config)
        self._clients.append(cube)
        user = cube.login(login=login, password=password)
        return CubeUser(**asdict(user, recurse=False), password=password, cube=cube)

    def close(self) -> None:
        """Close every client, even if closing one fails; then raise the first failure."""
        failures: list[BaseException] = []
        while self._clients:
            try:
                self._clients.pop().close()
            except Exception as error:  # noqa: BLE001  (the others have to be closed as well)
                failures.append(error)
        if failures:
            raise failures[0]
