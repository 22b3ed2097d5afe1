"""ApiError: a rule of the service refuses a request, over REST or XMPP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["ApiError"]

NO_SESSION = "Required session does not exist"


class ApiError(Exception):
    """The service refuses a request.

    ``status`` is the HTTP status of the answer, ``errors`` the value of its "errors" key: lists of
    sentences by field, where "base" stands for the request as a whole.
    """

    def __init__(
        self,
        status: int,
        message: str | None = None,
        *,
        errors: Mapping[str, Sequence[str]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status = status
        self.errors: dict[str, list[str]] = {
            name: list(texts) for name, texts in (errors or {}).items()
        }
        if message is not None:
            self.errors.setdefault("base", []).append(message)
        self.headers: dict[str, str] = dict(headers or {})
        super().__init__(self.sentence)

    @property
    def sentence(self) -> str:
        """All reasons as one line of text."""
        return "; ".join(
            text if name == "base" else f"{name} {text}"
            for name, texts in self.errors.items()
            for text in texts
        )

    @classmethod
    def no_session(cls) -> ApiError:
        """The answer to a token that is unknown, expired or missing; clients compare its text."""
        return cls(401, NO_SESSION)

    @classmethod
    def invalid(cls, field: str, text: str) -> ApiError:
        """The answer to a field with a wrong value."""
        return cls(422, errors={field: [text]})
