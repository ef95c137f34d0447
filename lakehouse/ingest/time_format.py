"""Formats of dates and times, as strftime writes them, made into regular expressions that read nothing else.

A directive stands for as many digits as strftime writes: `%d` is `01`, `%-d` is `1` or `12`.
"""

import re

MONTHS = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip

_TWO = {"m": "m", "d": "d", "H": "H", "I": "I", "M": "M", "S": "S", "y": "y"}
_PATTERNS = {
    **{name: f"(?P<{group}>[0-9]{{2}})" for name, group in _TWO.items()},
    **{f"-{name}": f"(?P<{group}>[0-9]{{1,2}})" for name, group in _TWO.items()},
    "Y": "(?P<Y>[0-9]{4})",
    "j": "(?P<j>[0-9]{3})",
    "f": "(?P<f>[0-9]{1,9})",
    "p": "(?P<p>(?i:AM|PM))",
    "b": f"(?P<b>(?i:{'|'.join(month[:3] for month in MONTHS)}))",
    "B": f"(?P<B>(?i:{'|'.join(MONTHS)}))",
    "z": "(?P<z>Z|[+-][0-9]{2}:?[0-9]{2}|[+-][0-9]{2})",
    "%": "%",
}
_SHORT = {"F": "%Y-%m-%d", "T": "%H:%M:%S"}
_VARIABLE = ("-m", "-d", "-H", "-I", "-M", "-S", "f")
_DIRECTIVE = re.compile(r"%(-?.)", re.DOTALL)

ISO_DATE = "%Y-%m-%d"
_ISO_TIME = (
    "(?P<Y>[0-9]{4})-(?P<m>[0-9]{2})-(?P<d>[0-9]{2})[T ](?P<H>[0-9]{2})"
    r"(?::(?P<M>[0-9]{2})(?::(?P<S>[0-9]{2})(?:\.(?P<f>[0-9]{1,9}))?)?)?"
)
# The same without any offset.
ISO_LOCAL = f"^{_ISO_TIME}$"


def iso_time(with_zone: bool) -> str:
    """The expression of times as ISO 8601 writes them; their offset may lack where a zone is declared."""
    return f"^{_ISO_TIME}{_PATTERNS['z']}{'?' if with_zone else ''}$"


def has_offset(time_format: str) -> bool:
    """Whether each value says its offset from UTC."""
    return "z" in _names(time_format)


def pattern(time_format: str) -> str:
    """The regular expression of a format, with a group for each directive.

    >>> pattern("%-d.%Y")
    '^(?P<d>[0-9]{1,2})\\\\.(?P<Y>[0-9]{4})$'
    """
    parts = _DIRECTIVE.split(_plain(time_format))
    read = [_PATTERNS[part] if index % 2 else re.escape(part) for index, part in enumerate(parts)]
    return f"^{''.join(read)}$"


def format_problem(time_format: str, kind: str) -> str | None:
    """Why a format does not say which date or timestamp a text is; None where it does."""
    names = [name for name in _names(time_format) if name != "%"]
    unknown = [name for name in names if name not in _PATTERNS]
    if unknown or time_format.replace("%%", "").endswith("%"):
        known = ", ".join(f"%{name}" for name in (*_PATTERNS, *_SHORT))
        return f"has {', '.join(f'%{name}' for name in unknown) or 'a % at its end'}: known are {known}"
    given = [name.removeprefix("-") for name in names]
    twice = {name for name in given if given.count(name) > 1}
    if twice:
        return f"has %{', %'.join(sorted(twice))} twice"
    months = [name for name in given if name in ("m", "b", "B")]
    years = [name for name in given if name in ("Y", "y")]
    is_day = (len(months), given.count("d"), given.count("j")) in ((1, 1, 0), (0, 0, 1))
    if len(years) != 1 or not is_day:
        return "does not say the year, month and day, each once"
    of_time = [name for name in given if name in ("H", "I", "M", "S", "f", "p", "z")]
    if kind == "date":
        if of_time:
            return f"has %{of_time[0]}, and a date has no time of day: declare a timestamp"
        return _follows(time_format)
    if ("I" in given) != ("p" in given) or {"I", "H"} <= set(given):
        return "needs %H, or %I and %p, for the hour"
    order = [name in given or (name == "H" and "I" in given) for name in ("H", "M", "S", "f")]
    if order != sorted(order, reverse=True):
        return "has a part of the time of day without the one above it"
    return _follows(time_format)


def _follows(time_format: str) -> str | None:
    found = list(_DIRECTIVE.finditer(_plain(time_format)))
    text = _plain(time_format)
    for each in found:
        if each[1] in _VARIABLE and re.match(r"[0-9]|%-?[YmdHIMSfyj]", text[each.end() :]):
            return f"has %{each[1]}, of one or more digits, with other digits behind it"
    return None


def _names(time_format: str) -> list[str]:
    return _DIRECTIVE.findall(_plain(time_format))


def _plain(time_format: str) -> str:
    for name, long in _SHORT.items():
        time_format = re.sub(rf"(?<!%)((?:%%)*)%{name}", rf"\g<1>{long}", time_format)
    return time_format
