"""What a response holds: its records, each as the API wrote it, and where the next page is."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from lakehouse.ingest.api.client import Answer
from lakehouse.ingest.api.declared import Api, Cursor, LinkHeader, NextLink, NoPages, Offset, PageNumber
from lakehouse.ingest.api.problems import RefusedAnswerError

_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()


@dataclass(frozen=True)
class Page:
    """One response, read.

    Args:
        records: each as one line of JSON, with its digits as the API wrote them.
        total: the number of all records asked for, where the API says it.
        next: where the next page is; None where this is the last.
    """

    records: list[bytes]
    total: int | None
    next: httpx.URL | None


def read_page(api: Api, asked: httpx.URL, answer: Answer, rows_before: int) -> Page:
    """Read a response.

    Args:
        asked: the page's address.
        rows_before: how many records the pages before it had.

    Raises:
        RefusedAnswerError: it is not JSON, or lacks what the declaration says of it.
    """
    if answer.status in api.empty_status:
        return Page([], None, None)
    text = _text(answer)
    try:
        body = json.loads(text, parse_constant=_no_number)
    except RecursionError:
        raise RefusedAnswerError("the answer is not JSON that can be read: it is nested too deeply") from None
    except ValueError as error:
        raise RefusedAnswerError(f"the answer is not JSON: {error}") from None
    found = _at(body, api.records, "records")
    if not isinstance(found, list):
        raise RefusedAnswerError(
            f"{_path(api.records) or 'the answer'} is {_kind(found)}, not a list (api.records)"
        )
    records = [line.encode() for line in _slices(text, api.records)]
    total = None
    if api.total is not None:
        total = _whole_number(body, api.total, "total")
    return Page(records, total, _next(api, asked, answer, body, len(records), total, rows_before))


def _text(answer: Answer) -> str:
    try:
        return answer.body.decode(answer.encoding or "utf-8").removeprefix("\ufeff")
    except LookupError:
        raise RefusedAnswerError(f"the answer is in an unknown encoding, {answer.encoding}") from None
    except UnicodeDecodeError as error:
        raise RefusedAnswerError(f"the answer is not {answer.encoding or 'UTF-8'}: {error.reason}") from None


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is not a value of JSON")


def _next(
    api: Api, asked: httpx.URL, answer: Answer, body: Any, count: int, total: int | None, rows_before: int
) -> httpx.URL | None:
    pages = api.pagination
    match pages:
        case NoPages():
            return None
        case LinkHeader():
            link = answer.links.get("next")
            return _joined(answer.url, link) if link else None
        case NextLink():
            link = _word(body, pages.next, pages.may_be_absent)
            return _joined(answer.url, link) if link else None
        case Cursor():
            if pages.has_more is not None and not _truth(body, pages.has_more):
                return None
            cursor = _word(body, pages.next, pages.may_be_absent)
            if cursor is None and pages.has_more is not None:
                said = f"{_path(pages.has_more)} is true, but {_path(pages.next)} has no cursor"
                raise RefusedAnswerError(f"{said} (api.pagination)")
            return None if cursor is None else asked.copy_set_param(pages.parameter, cursor)
        case PageNumber():
            number = int(asked.params[pages.parameter])
            if pages.total_pages is not None:
                last = pages.first + _whole_number(body, pages.total_pages, "pagination.total_pages") - 1
                is_last = number >= last
            else:
                is_last = _is_last(pages, body, count, total, rows_before)
            return None if is_last else asked.copy_set_param(pages.parameter, number + 1)
        case Offset():
            number = int(asked.params[pages.parameter])
            is_last = _is_last(pages, body, count, total, rows_before)
            return None if is_last else asked.copy_set_param(pages.parameter, number + count)


def _is_last(pages: PageNumber | Offset, body: Any, count: int, total: int | None, rows_before: int) -> bool:
    """A page shorter than asked for is no end: an API may cap what it gives. An empty one is."""
    if pages.has_more is not None:
        return not _truth(body, pages.has_more)
    return count == 0 or (total is not None and rows_before + count >= total)


def first_url(api: Api, url: httpx.URL) -> httpx.URL:
    """The first page's address: that of a period, with the first page's number if pages have numbers."""
    if isinstance(api.pagination, PageNumber | Offset):
        return url.copy_set_param(api.pagination.parameter, api.pagination.first)
    return url


def _joined(base: httpx.URL, link: str) -> httpx.URL:
    try:
        return base.join(link)
    except httpx.InvalidURL as error:
        raise RefusedAnswerError(f"the next page's link is no address: {error}") from None


def _at(body: Any, path: tuple[str, ...], field: str) -> Any:
    """What stands at a path.

    Raises:
        RefusedAnswerError: nothing does.
    """
    found = body
    for depth, key in enumerate(path):
        if not isinstance(found, dict):
            above = _path(path[:depth]) or "the answer"
            raise RefusedAnswerError(f"{above} is {_kind(found)}, so there is no {_path(path)} (api.{field})")
        if key not in found:
            had = ", ".join(sorted(map(str, found))[:10]) or "nothing"
            raise RefusedAnswerError(
                f"the answer lacks {_path(path[: depth + 1])} (api.{field}); it has: {had}"
            )
        found = found[key]
    return found


def _word(body: Any, path: tuple[str, ...], may_be_absent: bool) -> str | None:
    """A cursor or link; None where this is the last page."""
    try:
        found = _at(body, path, "pagination.next")
    except RefusedAnswerError:
        if may_be_absent:
            return None
        raise
    if found is None or found is False or found == "":
        return None
    if not isinstance(found, str | int) or isinstance(found, bool):
        raise RefusedAnswerError(f"{_path(path)} is {_kind(found)}, not a text (api.pagination.next)")
    return str(found)


def _truth(body: Any, path: tuple[str, ...]) -> bool:
    found = _at(body, path, "pagination.has_more")
    if not isinstance(found, bool):
        raise RefusedAnswerError(
            f"{_path(path)} is {_kind(found)}, not true or false (api.pagination.has_more)"
        )
    return found


def _whole_number(body: Any, path: tuple[str, ...], field: str) -> int:
    found = _at(body, path, field)
    if not isinstance(found, int) or isinstance(found, bool):
        raise RefusedAnswerError(f"{_path(path)} is {_kind(found)}, not a whole number (api.{field})")
    return found


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    kinds = {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "a list"}
    return kinds.get(type(value), "an object")


def _path(path: tuple[str, ...]) -> str:
    return ".".join(path)


def _slices(text: str, path: tuple[str, ...]) -> Iterator[str]:
    """The items of the list at a path of a whole JSON text, each as it is written there, on one line.

    Parsed and written again, 1.10 would become 1.1, and a number with more digits than a double has, another.
    """
    at = _after_space(text, 0)
    for key in path:
        at = _value_of(text, at, key)
    at = _after_space(text, at + 1)
    while text[at] != "]":
        _, end = _DECODER.raw_decode(text, at)
        # Between two tokens only: JSON has no line break within a string.
        yield text[at:end].replace("\r", " ").replace("\n", " ")
        at = _after_comma(text, end)


def _value_of(text: str, at: int, wanted: str) -> int:
    """Where the value of a key begins, of the object that begins at a place; of the last such key."""
    found = -1
    at = _after_space(text, at + 1)
    while text[at] != "}":
        key, end = _DECODER.raw_decode(text, at)
        value = _after_space(text, _after_space(text, end) + 1)
        if key == wanted:
            found = value
        _, end = _DECODER.raw_decode(text, value)
        at = _after_comma(text, end)
    return found


def _after_comma(text: str, at: int) -> int:
    at = _after_space(text, at)
    return _after_space(text, at + 1) if text[at] == "," else at


def _after_space(text: str, at: int) -> int:
    matched = _SPACE.match(text, at)
    return matched.end() if matched else at
