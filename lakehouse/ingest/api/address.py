"""Addresses: whom one asks, and how it is shown."""

import httpx

from lakehouse.ingest.api.problems import RefusedAnswerError


def parsed(text: str) -> httpx.URL:
    """A declared address, filled.

    Raises:
        RefusedAnswerError: it is none.
    """
    try:
        return httpx.URL(text)
    except httpx.InvalidURL as error:
        raise RefusedAnswerError(f"api.url is no address: {error}", is_of_all=True) from None


def origin(url: httpx.URL) -> tuple[str, str, int | None]:
    """Whom an address asks: scheme, host and port."""
    return url.scheme, url.host, url.port


def shown(url: httpx.URL) -> str:
    """An address for people: a query may hold what nobody else should have, such as a signature."""
    return str(url.copy_with(query=None, userinfo=b""))
