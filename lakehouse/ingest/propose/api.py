"""Proposes the declaration of a source from one answer of an API: where its records are, their columns."""

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import httpx
from pydantic import ValidationError

from lakehouse.errors import LakehouseError
from lakehouse.ingest.api.address import parsed, shown
from lakehouse.ingest.api.client import Answer, Client
from lakehouse.ingest.api.declared import Api
from lakehouse.ingest.api.pages import read_page
from lakehouse.ingest.api.problems import LaterError, RefusedAnswerError
from lakehouse.ingest.propose.files import keys_of_objects
from lakehouse.ingest.propose.infer import of_objects
from lakehouse.ingest.propose.proposal import CHECK, TODO, Proposal, Said
from lakehouse.ingest.read.json_lines import Line, parse_lines

_DEEPEST = 4
_DAY = re.compile(r"(?<![0-9])[0-9]{4}-[0-9]{2}-[0-9]{2}(?![0-9])")
# Words of a query parameter that nobody may read in a declaration.
_SECRET = re.compile(r"(key|token|secret|password|passwd|signature|sig|auth|credential)s?$", re.IGNORECASE)
_CURSORS = ("next_cursor", "next_page_token", "nextPageToken", "cursor", "continuation")
_LINKS = ("next", "next_url", "nextLink", "next_page_url")


def propose_api(name: str, url: str) -> Proposal:
    """What one answer of an API shows of its source; the answer is not kept.

    Args:
        url: asked for as it is, once (and again where that may help).

    Raises:
        LakehouseError: it does not answer, or without a list of records.
    """
    hint = "give the address of a list of records in JSON, as a browser would show it"
    try:
        address = parsed(url)
        plain = str(address.copy_with(query=None, fragment=None))
        with Client(Api(url=_template(plain), max_retries=2, max_wait_seconds=10)) as client:
            answer = client.get(address)
        body = json.loads(answer.body.decode(answer.encoding or "utf-8-sig"))
        path = records_path(body)
        if path is None:
            raise LakehouseError(f"{shown(address)}: the answer has no list of records", hint)
        page = read_page(Api(url=_template(plain), records=path), address, answer, 0)
    except ValidationError as error:
        said = "; ".join(str(each["msg"]).removeprefix("Value error, ") for each in error.errors())
        raise LakehouseError(f"the address {said}", hint) from None
    except (RefusedAnswerError, LaterError) as error:
        raise LakehouseError(str(error), hint) from None
    except (ValueError, LookupError) as error:
        raise LakehouseError(f"the answer is not JSON: {error}", hint) from None
    lines = [Line(number, raw) for number, raw in enumerate(page.records, 1)]
    objects, bad = parse_lines(lines, "utf-8")
    if bad:
        place, said = next(iter(bad.items()))
        raise LakehouseError(f"{shown(address)}: record {place + 1} {said}", hint)
    columns, left_out = of_objects(objects)
    asked = _asked(name, plain, address)
    is_of_day = _DAY.search(str(address)) is not None
    arrives = (
        Said("live", "proposed: check it; ahead, if it gives plans before their day")
        if is_of_day
        else Said("snapshot", "proposed: its address names no day; live, once {day} or {from} stands in it")
    )
    api = asked | ({"records": Said(".".join(path), CHECK)} if path else {}) | _pages(body, answer)
    return Proposal(
        shown(address),
        {
            "format": "jsonl",
            "files": f"{name}/{name}_{{delivery}}.jsonl",
            "complete_when": "manifest",
            "api": api,
        },
        columns,
        keys_of_objects(columns, objects),
        arrives=arrives,
        left_out=left_out,
    )


def records_path(body: Any) -> tuple[str, ...] | None:
    """Where the longest list of objects stands, the least deep one of several; None where there is none.

    >>> records_path({"meta": {"tags": []}, "data": {"items": [{"id": 1}]}})
    ('data', 'items')
    """
    found: list[tuple[int, int, tuple[str, ...]]] = []

    def look(value: Any, path: tuple[str, ...]) -> None:
        if isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
            found.append((-len(value), len(path), path))
        elif isinstance(value, dict) and len(path) < _DEEPEST:
            for key, each in value.items():
                # A declaration writes a path with dots between keys.
                if key and "." not in key:
                    look(each, (*path, key))

    look(body, ())
    return min(found)[2] if found else None


def _template(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _asked(name: str, plain: str, address: httpx.URL) -> dict[str, Any]:
    """Address and parameters as a declaration has them: days as placeholders, no secret."""
    days = sorted(set(_DAY.findall(str(address))))
    params = parse_qsl(address.query.decode(), keep_blank_values=True)
    secrets = [key for key, _ in params if _SECRET.search(key)]
    url = _with_days(plain, days)
    asked: dict[str, Any] = {"url": Said(url, CHECK) if "{day}" in url else url}
    plain_params = {key: _with_days(value, days) for key, value in params if key not in secrets}
    if plain_params:
        asked["params"] = {
            key: Said(value, CHECK) if "day}" in value else value for key, value in plain_params.items()
        }
    if secrets:
        variable = re.sub(r"[^A-Z0-9]+", "_", f"{name}_{secrets[0]}".upper())
        asked["auth"] = Said(
            {"kind": "query", "name": secrets[0], "value_env": variable},
            f"proposed: put its value into the variable {variable}"
            + (f"; left out: {', '.join(secrets[1:])}" if secrets[1:] else ""),
        )
    return asked


def _with_days(text: str, days: list[str]) -> str:
    """A text with the first day as `{day}`, and a second one as the day after it, which is the end."""
    template = _template(text)
    for day, field in zip(days, ("{day}", "{next_day}"), strict=False):
        template = template.replace(day, field)
    return template


def _pages(body: Any, answer: Answer) -> dict[str, Any]:
    if "next" in answer.links:
        return {"pagination": Said({"kind": "link_header"}, CHECK)}
    if isinstance(body, Mapping):
        places = [("", body)] + [(f"{key}.", each) for key, each in body.items() if isinstance(each, Mapping)]
        for above, fields in places:
            for key in _LINKS:
                if isinstance(fields.get(key), str) and re.match(r"https?://|/", fields[key]):
                    return {"pagination": Said({"kind": "next_link", "next": f"{above}{key}"}, CHECK)}
            for key in _CURSORS:
                if isinstance(fields.get(key), str | int):
                    said = {"kind": "cursor", "next": f"{above}{key}", "parameter": TODO}
                    return {"pagination": Said(said, "the parameter is the one that takes the cursor")}
    return {
        "pagination": Said({"kind": "none"}, "proposed: no second page was seen; see docs/sources-api.md")
    }
