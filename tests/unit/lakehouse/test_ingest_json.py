"""JSON lines: values by path, arrays, decimals and epochs; what is no value of its type costs its line."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from lakehouse.ingest.source import Source
from tests.unit.lakehouse.readings import AT, RefusedFileError, read_content, read_rows, readings

TEN = datetime(2013, 7, 10, 10, tzinfo=UTC)


def _source(columns: dict[str, Any], **more: Any) -> Source:
    return readings("jsonl", columns, **more)


def _line(**fields: Any) -> str:
    return json.dumps(fields | {"read_at": AT}, ensure_ascii=False) + "\n"


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ({"type": "int", "path": "a.b"}, {"b": 7}, 7),
        ({"type": "string", "path": "a.b[1].c"}, {"b": [{}, {"c": "x"}]}, "x"),
        ({"type": "int", "path": "a[0][1]"}, [[1, 2]], 2),
        ({"type": "int", "path": "a.b.c"}, {"b": None}, None),
        ({"type": "int", "path": "a.b.c"}, {}, None),
        ({"type": "int", "path": "a[5]"}, [1], None),
        ({"type": "int", "path": "a.b"}, None, None),
        ({"type": "array<int>", "path": "a"}, [1, None, 3], [1, None, 3]),
        ({"type": "array<string>", "path": "a.b"}, {"b": []}, []),
        ({"type": "array<decimal(5,2)>", "path": "a"}, ["1.20"], [Decimal("1.20")]),
        ({"type": "array<timestamp>", "path": "a"}, [AT], [TEN]),
        ({"type": "decimal(12,2)", "path": "a"}, 12.5, Decimal("12.50")),
        ({"type": "decimal(12,2)", "path": "a"}, "12.50", Decimal("12.50")),
        ({"type": "timestamp", "unit": "ms", "path": "a"}, 1373450400000, TEN),
        ({"type": "timestamp", "unit": "s", "path": "a"}, 1373450400.0, TEN),
        ({"type": "timestamp", "unit": "s", "path": "a"}, "1373450400", TEN),
        ({"type": "timestamp", "format": "%d.%m.%Y", "time_zone": "UTC", "path": "a"}, "10.07.2013",
         datetime(2013, 7, 10, tzinfo=UTC)),
    ],
)  # fmt: skip
def test_a_value_is_read_where_its_path_says(column, value, expected):
    found = read_content(_source({"x": column}), _line(a=value).encode(), "file", {})

    assert not found.unreadable
    assert found.rows.column("x").to_pylist() == [expected]


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ({"type": "int", "path": "a.b"}, 7, "column a.b: 7 is not an object, as the path a.b has it"),
        ({"type": "int", "path": "a[0]"}, {"b": 1}, 'column a[0]: {"b": 1} is not an array, as the path'),
        ({"type": "int", "path": "a.b"}, {"b": "7"}, 'column a.b: "7" is not a value of type int'),
        ({"type": "array<int>", "path": "a"}, 7, "7 is not a value of type array<int>"),
        ({"type": "array<int>", "path": "a"}, [1, "2"], 'column a: "2" is not a value of type int'),
        ({"type": "array<int>", "path": "a"}, [1, 2**40], "is not a value of type int"),
        ({"type": "array<string>", "path": "a"}, [["x"]], '["x"] is not a value of type string'),
        ({"type": "decimal(4,2)", "path": "a"}, 1.234, "'1.234' does not fit without loss"),
        ({"type": "timestamp", "path": "a"}, 1373450400, "1373450400 is not a value of type timestamp"),
        ({"type": "timestamp", "unit": "ns", "path": "a"}, 1, "has digits that microseconds do not hold"),
        ({"type": "timestamp", "unit": "s", "path": "a"}, True, "true is not a value of type timestamp"),
        ({"type": "double", "path": "a"}, 2**53 + 1, "is not exact as a double"),
        ({"type": "string", "path": "a"}, 5, "5 is not a value of type string"),
    ],
)
def test_a_value_of_another_kind_costs_its_line(column, value, reason):
    content = _line(a=None) + _line(a=value)

    found = read_content(_source({"x": column}), content.encode(), "file", {})

    assert found.rows.num_rows == 1
    assert [row.line for row in found.unreadable] == [2]
    assert reason in found.unreadable[0].reason
    assert found.unreadable[0].raw == content.splitlines()[1]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("null", "is not an object"),
        ("7", "is not an object"),
        ('{"x": 1} null {}', "is not JSON"),
        ('{"x": 1, "x": 2}', 'has "x" twice in one object'),
        ('{"x": 1, "y": {"z": 1, "z": 2}}', 'has "z" twice in one object'),
        ('{"x": NaN}', "is not JSON: NaN is not a value of JSON"),
        ('{"x": -Infinity}', "is not JSON"),
        ('{"x": 01}', "is not JSON"),
        ("{'x': 1}", "is not JSON"),
        ('{"x": 1.0}', "column x: 1.0 is not a value of type int"),
        ('{"x": 1e3}', "is not a value of type int"),
        ('{"x": 99999999999999999999999999}', "is not a value of type int"),
        ('{"s": "\\ud800"}', "half of a character"),
        ('{"x": ' + "9" * 5000 + "}", "is not a value of type int"),
        ("[" * 100_000, "is not JSON"),
        ('{"x": "a\tb"}', "is not JSON"),
        ('\ufeff{"x": 1}', "is not JSON"),
    ],
    ids=lambda value: value[:30],
)
def test_a_line_that_is_no_object_of_values_costs_itself(line, reason):
    line = line.replace('{"', f'{{"read_at": "{AT}", "', 1) if line.startswith('{"') else line
    content = _line(x=1, s="a") * 2 + line + "\n" + _line(x=3, s="b")

    found = read_content(_source({"x": "int", "s": "string"}), content.encode(), "file", {})

    assert found.rows.column("x").to_pylist() == [1, 1, 3]
    assert [row.line for row in found.unreadable] == [3]
    assert reason in found.unreadable[0].reason


def test_lines_are_read_in_the_declared_encoding():
    content = _line(x="Zürich")

    latin = _source({"x": "string"}, json={"encoding": "latin-1"})
    assert read_rows(latin, content.encode("latin-1"), "file", {}).column("x").to_pylist() == ["Zürich"]
    utf16 = _source({"x": "string"}, json={"encoding": "utf-16"})
    assert read_rows(utf16, content.encode("utf-16"), "file", {}).column("x").to_pylist() == ["Zürich"]
    with pytest.raises(RefusedFileError, match="line 1 is not UTF-8"):
        read_rows(_source({"x": "string"}), content.encode("latin-1"), "file", {})
    with pytest.raises(RefusedFileError, match="begins with the byte-order mark of UTF-16"):
        read_rows(_source({"x": "string"}), content.encode("utf-16"), "file", {})


def test_a_byte_order_mark_is_no_part_of_the_first_line():
    rows = read_rows(_source({"x": "int"}), ("\ufeff" + _line(x=1)).encode(), "file", {})

    assert rows.column("x").to_pylist() == [1]


def test_an_object_over_several_lines_is_no_line():
    content = f'{{"x": 1, "read_at": "{AT}"}}{{"x": 2, "read_at": "{AT}"}}\n{{"x": 3, "read_at":\n"{AT}"}}\n'

    found = read_content(_source({"x": "int"}), content.encode(), "file", {})

    assert (found.rows.num_rows, [row.line for row in found.unreadable]) == (0, [1, 2, 3])


def test_a_field_that_is_the_top_of_paths_is_declared_by_them():
    source = _source({"x": {"type": "int", "path": "a.x"}, "y": {"type": "int", "path": "a.y"}})

    assert read_rows(source, _line(a={"x": 1, "y": 2, "z": 3}).encode(), "file", {}).num_rows == 1
    with pytest.raises(RefusedFileError, match="lacks column a"):
        read_rows(source, _line().encode(), "file", {})
    with pytest.raises(RefusedFileError, match="has column b, which is not declared"):
        read_rows(source, _line(a={}, b=1).encode(), "file", {})
