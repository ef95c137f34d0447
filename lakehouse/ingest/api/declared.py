"""The `api:` section of a source: what an API is asked for, how its pages follow each other, how gently."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Annotated, Any, Literal, Self
from urllib.parse import parse_qsl, urlsplit

from pydantic import BeforeValidator, Field, field_validator, model_validator

from lakehouse.ingest.api.template import FIELDS, TIMES_OF_DAY, fields_of, fill
from lakehouse.ingest.declared import Declared, Text
from lakehouse.ingest.periods import Period

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
# They carry secrets, and a declaration holds none.
_OF_AUTH = ("authorization", "proxy-authorization", "cookie")


def _keys(value: object) -> object:
    """A path as it is written: keys between dots, or a list where a key has a dot itself."""
    return value.split(".") if isinstance(value, str) else value


Path = Annotated[tuple[Text, ...], BeforeValidator(_keys)]
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class NoPages(Declared):
    """All records are in one response."""

    kind: Literal["none"] = "none"


class PageNumber(Declared):
    """Pages are numbered."""

    kind: Literal["page"]
    parameter: Text = Field(default="page", description="The query parameter that has the page's number.")
    first: int = Field(default=1, ge=0, description="The number of the first page.")
    total_pages: Path | None = Field(default=None, description="Where a response has the number of pages.")
    has_more: Path | None = Field(default=None, description="Where a response says whether another follows.")


class Offset(Declared):
    """Pages begin at a record's number."""

    kind: Literal["offset"]
    parameter: Text = Field(default="offset", description="The query parameter: how many records to skip.")
    first: int = Field(default=0, ge=0, description="The first record's number.")
    has_more: Path | None = Field(default=None, description="Where a response says whether more follow.")


class Cursor(Declared):
    """A response has a word by which the next page is asked for."""

    kind: Literal["cursor"]
    parameter: Text = Field(default="cursor", description="The query parameter that takes the word.")
    next: Path = Field(min_length=1, description="Where a response has the word; null or empty on the last.")
    may_be_absent: bool = Field(default=False, description="The last response does not have it at all.")
    has_more: Path | None = Field(default=None, description="Where a response says whether more follow.")


class NextLink(Declared):
    """A response has the next page's address."""

    kind: Literal["next_link"]
    next: Path = Field(min_length=1, description="Where a response has it; null or empty on the last.")
    may_be_absent: bool = Field(default=False, description="The last response does not have it at all.")


class LinkHeader(Declared):
    """The header `Link` of a response has the next page's address, with rel="next"."""

    kind: Literal["link_header"]


class BearerToken(Declared):
    """`Authorization: Bearer …`."""

    kind: Literal["bearer"]
    token_env: Variable


class HeaderKey(Declared):
    """A header of the API's own."""

    kind: Literal["header"]
    name: Text
    value_env: Variable


class UserAndPassword(Declared):
    """`Authorization: Basic …`."""

    kind: Literal["basic"]
    user_env: Variable
    password_env: Variable


class QueryKey(Declared):
    """A query parameter."""

    kind: Literal["query"]
    name: Text
    value_env: Variable


Pagination = Annotated[
    NoPages | PageNumber | Offset | Cursor | NextLink | LinkHeader, Field(discriminator="kind")
]
Auth = Annotated[BearerToken | HeaderKey | UserAndPassword | QueryKey, Field(discriminator="kind")]


class Api(Declared):
    """How the deliveries of a source are fetched from an API over HTTP."""

    url: Text = Field(description="Where it is asked, with placeholders for the period; see `params`.")
    params: dict[str, str] = Field(
        default={}, description=f"Query parameters. Placeholders: {', '.join(FIELDS)}."
    )
    headers: dict[str, str] = Field(default={}, description="Headers without secrets; for its own host only.")
    auth: Auth | None = Field(default=None, description="By which secret, and which variable has it.")
    records: Path = Field(
        default=(), description="Where a response has the list of records; it is the list itself by default."
    )
    total: Path | None = Field(
        default=None,
        description="Where a response has the number of all records asked for; fewer or more are refused.",
    )
    pagination: Pagination = NoPages()
    period: Literal["day", "hour"] = Field(default="day", description="What one delivery holds.")
    first_day: date | None = Field(default=None, description="The first day asked for; the setting's.")
    last_day: date | None = Field(default=None, description="The last day asked for; the setting's.")
    ask_after_minutes: int | None = Field(
        default=None,
        ge=-3660 * 24 * 60,
        le=366 * 24 * 60,
        description="How long after a period's end it is asked for; delivery_delay_minutes by default. "
        "Negative for plans, which are there before.",
    )
    empty_status: list[Annotated[int, Field(ge=200, le=499)]] = Field(
        default=[204], description="The statuses that mean that there is no record."
    )
    requests_per_second: float | None = Field(default=None, gt=0, le=1000, description="At most so many.")
    max_retries: int = Field(default=5, ge=0, le=20, description="Of one request.")
    max_wait_seconds: float = Field(
        default=120,
        ge=0,
        le=3600,
        description="The longest wait before a retry. An API that asks for a longer one is left for later.",
    )
    timeout_seconds: float = Field(default=30, gt=0, le=600, description="For a connection, or for bytes.")
    max_page_mb: int = Field(default=64, ge=1, le=1024, description="The largest response, in MiB.")
    max_pages: int = Field(default=10_000, ge=1, le=1_000_000, description="The most pages of a delivery.")

    @field_validator("url")
    @classmethod
    def _is_plain(cls, value: str) -> str:
        url = urlsplit(_sample(value))
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ValueError("must begin with https:// or http:// and a host")
        if url.port == 0:
            raise ValueError("has no port that can be asked")
        if "@" in url.netloc:
            raise ValueError("holds a user or a password: declare auth, which names a variable")
        if url.fragment:
            raise ValueError("has a fragment (#…), which is never sent")
        if fields_of(value.split("/", 3)[2]):
            raise ValueError("has a placeholder in its host")
        return value

    @field_validator("params")
    @classmethod
    def _are_filled(cls, value: dict[str, str]) -> dict[str, str]:
        for template in value.values():
            _sample(template)
        return value

    @field_validator("headers")
    @classmethod
    def _hold_no_secret(cls, value: dict[str, str]) -> dict[str, str]:
        wrong = [name for name in value if name.lower() in _OF_AUTH]
        if wrong:
            raise ValueError(f"{', '.join(wrong)}: declare auth, which names a variable")
        for name, text in value.items():
            if not (name + text).isascii() or not (name + text).isprintable():
                raise ValueError(f"{name}: a header is printable ASCII")
        return value

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        url = urlsplit(self.address)
        if self.auth is not None and url.scheme == "http" and url.hostname not in _LOOPBACK:
            raise ValueError("url: http:// would show the secret to everyone on the way; use https://")
        if self.first_day and self.last_day and self.first_day > self.last_day:
            raise ValueError(f"last_day: {self.last_day} is before first_day")
        name = self.auth.name if isinstance(self.auth, QueryKey) else None
        pages = self.pagination
        own = [pages.parameter] if isinstance(pages, PageNumber | Offset | Cursor) else []
        asked = dict(parse_qsl(url.query, keep_blank_values=True))
        taken = sorted({*self.params, *asked} & {*own, name})
        if taken:
            raise ValueError(f"params: {', '.join(taken)} is set by pagination or auth")
        twice = sorted({*self.params} & {*asked})
        if twice:
            raise ValueError(f"params: {', '.join(twice)} is in url, too")
        return self

    @property
    def address(self) -> str:
        """The address of some period: scheme, host and port are those of all."""
        return _sample(self.url)

    @property
    def placeholders(self) -> set[str]:
        """What of the period it is asked by."""
        return fields_of(self.url).union(*map(fields_of, self.params.values()))

    def check(self, declared: Mapping[str, Any], days_ahead: int) -> None:
        """Whether the rest of the declaration goes with it.

        Args:
            declared: fields of the source.
            days_ahead: how many days before its end a delivery may come.

        Raises:
            ValueError: it does not, with the field.
        """
        for field, value in (("format", "jsonl"), ("complete_when", "manifest")):
            if declared[field] != value:
                raise ValueError(f"{field}: must be {value}, as what an API gives is written so")
        if declared["arrives"] == "snapshot":
            pointless = [field for field in _OF_PERIODS if getattr(self, field) is not None]
            if pointless:
                raise ValueError(f"api.{pointless[0]}: a snapshot is asked for as it is now")
            return
        if not self.placeholders:
            raise ValueError(f"api.url: neither it nor api.params name the period: {_listed(FIELDS)}")
        if self.period == "hour" and not self.placeholders & set(TIMES_OF_DAY):
            raise ValueError(f"api.period: an hour is asked for, but none of {_listed(TIMES_OF_DAY)} is used")
        early = -(self.ask_after_minutes or 0)
        if declared["arrives"] == "live" and early > 0:
            raise ValueError("api.ask_after_minutes: what happens is there when the period is over, or later")
        if early > days_ahead * 24 * 60:
            raise ValueError(f"api.ask_after_minutes: is earlier than days_ahead ({days_ahead}) allows")
        if declared["arrives"] == "ahead" and self.ask_after_minutes is None:
            raise ValueError("api.ask_after_minutes: say how long before the end of its day a plan is there")


_OF_PERIODS = ("first_day", "last_day", "ask_after_minutes")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in names)


def _sample(template: str) -> str:
    """A template filled for some period.

    Raises:
        ValueError: it has a placeholder that there is not.
    """
    unknown = sorted(fields_of(template) - set(FIELDS))
    if unknown:
        raise ValueError(f"{_listed(unknown)} is not one of {_listed(FIELDS)}")
    try:
        return fill(template, Period(date(2013, 10, 1), 9), "UTC")
    except (ValueError, LookupError, AttributeError) as error:
        raise ValueError(f"{template!r} cannot be filled: {error}") from None
