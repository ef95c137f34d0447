"""A proposed declaration: what a sample shows of a source, and its YAML, in which the rest is a TODO."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

TODO = "TODO"
CHECK = "proposed: check it"
_NAME_LENGTH = 60


@dataclass(frozen=True)
class Proposed:
    """A column as a sample shows it.

    Args:
        delivered: its name in the files; of a path, the path.
        type: as declared; TODO where the sample has no value of it.
        is_path: whether `delivered` is a path.
        needs_zone: whether it has local times, of a zone that nobody can know.
        is_filled: whether each row of the sample has a value.
        note: what is to be said about it, for people.
    """

    name: str
    delivered: str
    type: str
    is_path: bool = False
    needs_zone: bool = False
    is_filled: bool = False
    note: str | None = None


@dataclass(frozen=True)
class Proposal:
    """What a sample shows of a source.

    Args:
        sample: where it was seen, for people.
        fields: further fields of the declaration, in order, before `arrives`; those with comments as `Said`.
        keys: columns that tell the sample's rows apart; empty where none do.
        later: fields behind `keys`.
        arrives: where the way of arrival follows from the sample.
        left_out: columns that cannot be declared, and why.
    """

    sample: str
    fields: Mapping[str, Any]
    columns: Sequence[Proposed]
    keys: Sequence[str]
    later: Mapping[str, Any] = field(default_factory=dict[str, Any])
    arrives: "Said | None" = None
    left_out: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Said:
    """A value of the declaration, with a comment behind it."""

    value: Any
    comment: str


def declaration(name: str, proposal: Proposal) -> str:
    """The YAML of a proposal."""
    reported = reported_time(proposal.columns)
    top: dict[str, Any] = {
        "name": name,
        "description": Said(TODO, "what one row is, in a sentence"),
        "owner": Said(TODO, "who answers for it"),
        **proposal.fields,
        "arrives": proposal.arrives
        or Said(TODO, "live: events as they happen; ahead: plans, before their day; snapshot: all at once"),
        "time_zone": Said(TODO, "of the days and hours that it delivers, such as Europe/Berlin"),
        "reported_time": Said(reported, CHECK)
        if reported
        else Said(TODO, "the timestamp that says when the source told the row"),
        "delivery_delay_minutes": Said(TODO, "minutes from reported_time until the row is here"),
        "keys": Said(list(proposal.keys), CHECK)
        if proposal.keys
        else Said([TODO], "the columns that tell rows apart"),
        **proposal.later,
    }
    lines = [
        f"# Proposed from {proposal.sample}: fill in each {TODO}, and look at what says `{CHECK}`.",
        *(line for field_name, value in top.items() for line in _field(field_name, value)),
        "columns:",
        *(line for column in proposal.columns for line in _column(column)),
    ]
    lines += [
        f"# Not proposed, and not read as it is: {name} {why}" for name, why in proposal.left_out.items()
    ]
    return "\n".join(lines) + "\n"


def _field(name: str, value: Any, indent: str = "") -> list[str]:
    comment = ""
    if isinstance(value, Said):
        value, comment = value.value, f"  # {value.comment}"
    if isinstance(value, Mapping):
        return [
            f"{indent}{name}:{comment}",
            *(line for key, each in value.items() for line in _field(str(key), each, f"{indent}  ")),
        ]
    return [f"{indent}{name}: {_flow(value)}{comment}"]


def _flow(value: Any) -> str:
    """A value on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=2**20, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")


def _column(column: Proposed) -> list[str]:
    said: list[tuple[str, Any]] = [("name", column.name)]
    if column.is_path:
        said.append(("path", column.delivered))
    elif column.delivered != column.name:
        said.append(("name_in_file", column.delivered))
    said.append(("type", Said(column.type, column.note) if column.note else column.type))
    if column.needs_zone:
        said.append(("time_zone", Said(TODO, "its times have no offset: the zone of these clocks")))
    said.append(("description", TODO))
    lines = [line for name, value in said for line in _field(name, value, "    ")]
    return [f"  - {lines[0].strip()}", *lines[1:]]


_WHEN_TOLD = ("updated", "modified", "changed", "reported", "published", "recorded", "created", "observed")


def reported_time(columns: Iterable[Proposed]) -> str | None:
    """The column that most likely says when the source told a row."""
    times = [column for column in columns if column.type == "timestamp" and column.is_filled]
    named = [
        column.name for word in _WHEN_TOLD for column in times if re.search(rf"(^|_){word}(_|$)", column.name)
    ]
    return next(iter([*named, *(column.name for column in times)]), None)


def column_names(delivered: Iterable[str]) -> dict[str, str]:
    """The names that columns get in bronze, by their names in the files.

    >>> column_names(["Station No.", "station_no", "2nd value"])
    {'Station No.': 'station_no_2', 'station_no': 'station_no', '2nd value': 'column_2nd_value'}
    """
    wanted = list(dict.fromkeys(delivered))
    # A name that can stay as it is does.
    names = {name: name for name in wanted if re.fullmatch(r"[a-z][a-z0-9_]*", name)}
    taken = set(names.values())
    for name in wanted:
        if name in names:
            continue
        apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
        plain = re.sub(r"[^a-z0-9]+", "_", apart.lower()).strip("_")[:_NAME_LENGTH] or "column"
        plain = plain if plain[0].isalpha() else f"column_{plain}"
        number = 1
        while (free := plain if number == 1 else f"{plain}_{number}") in taken:
            number += 1
        taken.add(free)
        names[name] = free
    return {name: names[name] for name in wanted}
