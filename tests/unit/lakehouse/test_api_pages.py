"""Records are taken out of a response as they are written in it."""

import json

import httpx
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.ingest.api.client import Answer
from lakehouse.ingest.api.declared import Api
from lakehouse.ingest.api.pages import read_page

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


def records_of(body: bytes, path: list[str], **more: object) -> list[bytes]:
    api = Api.model_validate({"url": "https://api.example/", "records": path} | more)
    url = httpx.URL("https://api.example/")
    return read_page(api, url, Answer(200, url, body, None, {}, None, None), 0).records


@given(
    st.lists(VALUES, max_size=5),
    st.lists(st.text(min_size=1, max_size=3), max_size=3),
    st.dictionaries(st.text(max_size=3), VALUES, max_size=3),
    st.sampled_from([None, 0, 1, "\t"]),
    st.booleans(),
)
def test_whatever_lies_around_them(records, path, beside, indent, as_ascii):
    body: object = records
    for key in reversed(path):
        body = {**beside, key: body}
    text = json.dumps(body, indent=indent, ensure_ascii=as_ascii).encode("utf-8", "surrogatepass")
    found = records_of(text, path)
    assert [json.loads(record) for record in found] == records
    assert not any(b"\n" in record or b"\r" in record for record in found)


def test_of_a_key_that_is_there_twice_the_last_counts_as_everywhere():
    assert records_of(b'{"a": [1], "b": {}, "a": [2, 3]}', ["a"]) == [b"2", b"3"]


def test_a_byte_order_mark_is_no_part_of_it():
    assert records_of(b"\xef\xbb\xbf [1.50]", []) == [b"1.50"]
