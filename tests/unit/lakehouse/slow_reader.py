"""Readers of CSV and JSON lines that are slow and obvious, against which the fast ones are held.

They know nothing of Arrow or of blocks, and go from character to character.
"""

import json
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation, localcontext
from typing import Any

BAD = object()


def csv_rows(
    text: str, width: int, dialect: dict[str, Any]
) -> tuple[list[list[str | None]], list[tuple[int, str]]]:
    """Rows of text below a header, and those that are wrong, each with its line."""
    delimiter, quote = dialect.get("delimiter", ","), dialect.get("quote", '"')
    escape, comment = dialect.get("escape"), dialect.get("comment")
    nulls = dialect.get("null_values", [""])
    good: list[list[str | None]] = []
    bad: list[tuple[int, str]] = []
    at, line = 0, 1
    while at < len(text):
        first_line_end = text.index("\n", at) + 1
        if comment is not None and text.startswith(comment, at):
            at, line = first_line_end, line + 1
            continue
        values, end, is_odd = _row(text, at, delimiter, quote, escape)
        if values is None:
            values, end, is_odd = [], first_line_end, True
        raw = text[at:end]
        lines = raw.split("\n")[:-1]
        if raw.strip("\r\n"):
            is_wrong = is_odd or "\0" in raw or raw.startswith("\ufeff") or len(values) != width
            if len(lines) > 1 and not is_wrong and dialect.get("multiline") != "allowed":
                is_wrong = all(
                    _width(each + "\n", delimiter, quote, escape) == width
                    for each in lines
                    if each.strip("\r\n")
                )
            if is_wrong:
                bad += [(line + index, each) for index, each in enumerate(lines) if each.strip("\r\n")]
            else:
                good.append([None if not quoted and value in nulls else value for value, quoted in values])
        line += len(lines)
        at = end
    return good, bad


def _row(
    text: str, at: int, delimiter: str, quote: str | None, escape: str | None
) -> tuple[list[tuple[str, bool]] | None, int, bool]:
    """Values with whether each is quoted, the row's end, whether it is odd; None if a quote stays open."""
    values: list[tuple[str, bool]] = []
    is_odd = False
    while True:
        value, quoted = "", False
        if quote is not None and text.startswith(quote, at):
            quoted, at = True, at + 1
            while True:
                if at >= len(text):
                    return None, 0, True
                if escape is not None and text[at] == escape:
                    if at + 1 >= len(text):
                        return None, 0, True
                    value, at = value + text[at + 1], at + 2
                elif text[at] == quote and escape is None and text.startswith(quote, at + 1):
                    value, at = value + quote, at + 2
                elif text[at] == quote:
                    at += 1
                    break
                else:
                    value, at = value + text[at], at + 1
            rest = text[at:]
            is_odd |= not (rest.startswith((delimiter, "\n", "\r\n")))
        while True:
            if at >= len(text):
                return None, 0, True
            if text[at] == delimiter:
                values.append((value, quoted))
                at += 1
                break
            if text[at] == "\n":
                values.append(
                    (value.removesuffix("\r") if not quoted or value.endswith("\r") else value, quoted)
                )
                return values, at + 1, is_odd
            if escape is not None and text[at] == escape:
                if at + 1 >= len(text):
                    return None, 0, True
                value, at = value + text[at + 1], at + 2
                continue
            if text[at] == "\r" and not text.startswith("\r\n", at):
                is_odd = True
            if text[at] == "\r" and text.startswith("\r\n", at):
                values.append((value, quoted))
                return values, at + 2, is_odd
            value, at = value + text[at], at + 1


def _width(line: str, delimiter: str, quote: str | None, escape: str | None) -> int:
    """How many values a line has, where a quote that is not closed on it is text."""
    count, at = 1, 0
    is_start = True
    while line[at] not in "\r\n":
        if is_start and quote is not None and line[at] == quote:
            closed = _closing(line, at + 1, quote, escape)
            if closed is not None:
                at, is_start = closed + 1, False
                continue
        is_start = False
        if escape is not None and line[at] == escape:
            if line[at + 1] in "\r\n":
                return -1
            at += 2
        elif line[at] == delimiter:
            count, at, is_start = count + 1, at + 1, True
        else:
            at += 1
    return count


def _closing(line: str, at: int, quote: str, escape: str | None) -> int | None:
    while line[at] not in "\r\n":
        if escape is not None and line[at] == escape:
            if line[at + 1] in "\r\n":
                return None
            at += 2
        elif line[at] == quote and escape is None and line[at + 1] == quote:
            at += 2
        elif line[at] == quote:
            return at
        else:
            at += 1
    return None


def value_of(text: str, kind: str) -> Any:
    """The value of a text, by its type; BAD where it is none."""
    if kind == "string":
        return text
    text = text.strip(" \t")
    if kind in ("int", "bigint"):
        limit = 2**31 if kind == "int" else 2**63
        is_number = re.fullmatch("-?[0-9]+", text, re.ASCII) is not None
        return int(text) if is_number and -limit <= int(text) < limit else BAD
    if kind == "boolean":
        return {"true": True, "True": True, "TRUE": True, "1": True,
                "false": False, "False": False, "FALSE": False, "0": False}.get(text, BAD)  # fmt: skip
    if kind == "date":
        if not re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", text, re.ASCII):
            return BAD
        try:
            return date.fromisoformat(text)
        except ValueError:
            return BAD
    if kind == "timestamp":
        return _instant(text)
    if not re.fullmatch(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,6})?", text, re.ASCII):
        return BAD
    return _double(text) if kind == "double" else _decimal(text, kind)


def _double(text: str) -> Any:
    number = float(text)
    is_whole = re.fullmatch("[+-]?[0-9]+", text) is not None
    if abs(number) == float("inf") or (number == 0 and re.search("[1-9]", text.lower().partition("e")[0])):
        return BAD
    return BAD if is_whole and int(number) != int(text) else number


def _decimal(text: str, kind: str) -> Any:
    digits, scale = map(int, kind.removeprefix("decimal(").removesuffix(")").split(","))
    with localcontext() as context:
        context.prec = 4000
        try:
            number = Decimal(text)
            scaled = number.quantize(Decimal(1).scaleb(-scale))
        except InvalidOperation:
            return BAD
        return scaled if scaled == number and abs(scaled) < Decimal(10) ** (digits - scale) else BAD


def _instant(text: str) -> Any:
    found = re.fullmatch(
        r"([0-9]{4})-([0-9]{2})-([0-9]{2})[T ]([0-9]{2})(?::([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?)?"
        r"(Z|[+-][0-9]{2}:?[0-9]{2}|[+-][0-9]{2})",
        text,
        re.ASCII,
    )
    if not found:
        return BAD
    nanos = int((found[7] or "").ljust(9, "0"))
    if nanos % 1000:
        return BAD
    offset = found[8].replace(":", "").replace("Z", "+0000").ljust(5, "0")
    try:
        local = datetime(*(int(found[part] or 0) for part in range(1, 7)), nanos // 1000, tzinfo=UTC)
        if int(offset[1:3]) > 23 or int(offset[3:]) > 59:
            return BAD
        east = timedelta(hours=int(offset[1:3]), minutes=int(offset[3:]))
        return local - east if offset[0] == "+" else local + east
    except (ValueError, OverflowError):
        return BAD


def json_row(line: str, kinds: dict[str, str]) -> Any:
    """The values of one line of JSON, in the order of the kinds; BAD where it or one of them is not."""
    try:
        found = json.loads(
            line.strip(" \t\r"), parse_float=Decimal, parse_constant=_fail, object_pairs_hook=_unique
        )
    except (ValueError, RecursionError):
        return BAD
    if not isinstance(found, dict):
        return BAD
    values = [
        None if found.get(name) is None else _json_value(found[name], kind) for name, kind in kinds.items()
    ]
    return BAD if any(value is BAD for value in values) else values


def _fail(word: str) -> Any:
    raise ValueError(word)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError
    return dict(pairs)


def _json_value(value: Any, kind: str) -> Any:
    is_number = isinstance(value, int | Decimal) and not isinstance(value, bool)
    if kind == "boolean":
        return value if isinstance(value, bool) else BAD
    if kind in ("int", "bigint"):
        return value_of(str(value), kind) if is_number and isinstance(value, int) else BAD
    if kind == "double":
        return value_of(str(value), kind) if is_number else BAD
    if kind.startswith("decimal"):
        return value_of(str(value), kind) if is_number or isinstance(value, str) else BAD
    if not isinstance(value, str):
        return BAD
    try:
        value.encode()
    except UnicodeEncodeError:
        return BAD
    return value_of(value, kind)
