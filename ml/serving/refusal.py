"""A request that gets no score, and the status that says why."""

from typing import Any


class Refusal(Exception):  # noqa: N818 - an answer, not a failure
    """Why a request is not answered.

    Args:
        status: of HTTP.
        what: for people.
        more: parts of the answer's body beside `detail`.
        headers: of the answer.
    """

    def __init__(
        self,
        status: int,
        what: Any,
        more: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(what)
        self.status = status
        self.body: dict[str, Any] = {"detail": what, **(more or {})}
        self.headers = headers or {}


def overloaded(what: str) -> Refusal:
    """A request beyond what is taken at once; it may be sent again."""
    return Refusal(429, what, headers={"retry-after": "1"})
