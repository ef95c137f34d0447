"""What a database's types hold lands as it is, or is refused or set aside by name: by a real PostgreSQL."""

import pytest

from tests.database_helpers import COLUMNS, held, load, orders_source
from tests.database_helpers import schema as schema  # a fixture
from tests.database_helpers import shop as shop  # a fixture

pytestmark = pytest.mark.slow


def test_what_a_type_cannot_hold_is_quarantined_as_the_database_has_it(spark, schema, shop):
    shop.run(
        """
        create table things (
            order_id integer primary key, updated_at timestamptz, local timestamp, day date, price numeric,
            exact numeric(40, 20), real real, flag boolean, document jsonb, code uuid
        )
        """
    )
    good = [
        (1, "2013-10-01 12:00:00.123456Z", "2013-07-01 08:00", "2013-10-01", "0.1", "1.5"),
        (
            2,
            "0001-01-01 00:00Z",
            "1890-01-01 00:00",
            "0001-01-01",
            "123456789012345",
            "0.00000000000000000001",
        ),
        (3, "1500-02-28 23:59:59Z", "1500-02-28 00:00", "1500-02-28", "-7", "12345678901234567890.1"),
        (4, "2013-10-01 11:00Z", "2013-12-31 23:59:59.999999", "9999-12-31", "0", None),
        (5, "2013-10-01 11:00Z", None, None, None, None),
    ]
    bad = [
        (11, "infinity", "2013-07-01", "2013-10-01", "1", "updated_at: 'infinity' is not within"),
        (12, None, "2013-07-01", "2013-10-01", "1", "updated_at: has no value, and one is required"),
        (13, "2013-10-01 12:00Z", "2013-03-10 02:30", "2013-10-01", "1", "02:30:00' does not name one"),
        (14, "2013-10-01 12:00Z", "2013-11-03 01:30", "2013-10-01", "1", "01:30:00' does not name one"),
        (15, "2013-10-01 12:00Z", "2013-07-01", "infinity", "1", "day: 'infinity' is not within"),
        (16, "2013-10-01 12:00Z", "2013-07-01", "0044-03-15 BC", "1", "day: '0044-03-15 BC' is not within"),
        (17, "2013-10-01 12:00Z", "2013-07-01", "2013-10-01", "9007199254740993", "is not exact as a double"),
        (18, "2013-10-01 12:00Z", "2013-07-01", "2013-10-01", "1e400", "is not exact as a double"),
        (19, "2013-10-01 12:00Z", "infinity", "2013-10-01", "NaN", "local: 'infinity' does not name one"),
        (20, "0044-03-15 00:00Z BC", "2013-07-01", "2013-10-01", "1", "updated_at: '0044-03-15"),
    ]  # fmt: skip
    insert = "insert into things values (%s, %s, %s, %s, %s, %s, 0.1, true, '{\"a\": 1}', %s)"
    code = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"
    for row in [*good, *((*row[:5], None) for row in bad)]:
        shop.run(insert, *row, code)
    types = {
        "order_id": "bigint", "updated_at": "timestamp", "local": "timestamp", "day": "date",
        "price": "double", "exact": "string", "real": "double", "flag": "boolean", "document": "string",
        "code": "string",
    }  # fmt: skip
    source = orders_source(
        shop.url,
        "things",
        database={"zone": "America/New_York", "partition_by": "code", "partitions": 2},
        columns=[{"name": name, "type": kind, "description": "It."} for name, kind in types.items()],
        max_bad_share=1,
    )

    report = load(spark, schema, source)

    assert report.refused == []
    assert [(each.rows, each.quarantined) for each in report.landed] == [(5, 10)]
    text = "order_id, {} as updated_at, {} as local, string(day), price, exact, real, flag, document, code"
    written = "date_format({}, 'yyyy-MM-dd HH:mm:ss.SSSSSS')"
    rows = held(spark, f"{schema}.things", text.format(written.format("updated_at"), written.format("local")))
    form = "to_char({} at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"
    by_database = shop.run(
        f"""
        select
            order_id, {form.format("updated_at")}, {form.format("(local at time zone 'America/New_York')")},
            day::text, price::float8, exact::text, real::float8, flag, document::text, code::text
        from things where order_id < 10 order by order_id
        """
    )
    assert rows == by_database
    quarantined = held(spark, f"{schema}_quarantine.things_unreadable", "raw, reason")
    assert len(quarantined) == len(bad)
    for row in bad:
        (found,) = [reason for raw, reason in quarantined if f'"order_id":{row[0]},' in raw]
        assert row[5] in found
    again = load(spark, schema, source)
    assert (again.landed, again.refused) == ([], [])


@pytest.mark.parametrize(
    ("column", "kind", "database", "said"),
    [
        ("numeric(10,2)", "bigint", {}, "column status is numeric(10,2), declared bigint"),
        ("bigint", "int", {}, "column status is bigint, declared int"),
        ("text", "int", {}, "column status is text, declared int"),
        ("timestamp", "timestamp", {}, "timestamp without a zone: declare its `zone`"),
        ("timestamptz", "string", {}, "is a timestamp with a zone, declared string"),
        ("bytea", "string", {}, "column status is binary, declared string"),
        ("integer[]", "string", {}, "column status is array<int>, declared string"),
        ("text", "string", {"partition_by": "part", "partitions": 2}, "lacks column part"),
    ],
)
def test_another_type_than_declared_is_refused_by_name_before_a_row_is_read(
    spark, schema, shop, column, kind, database, said
):
    shop.run(f"create table others (order_id bigint, status {column}, updated_at timestamptz)")
    columns = [each | ({"type": kind} if each["name"] == "status" else {}) for each in COLUMNS]

    (refused,) = load(
        spark, schema, orders_source(shop.url, "others", columns=columns, database=database)
    ).refused

    assert refused.reason.startswith(f"others: others of {shop.url.removeprefix('jdbc:')} ")
    assert said in refused.reason
    assert "sources/others.yml" in refused.reason


def test_too_many_bad_rows_refuse_a_load_and_few_are_quarantined_once(spark, schema, shop):
    source = orders_source(
        shop.url, columns=[COLUMNS[0], COLUMNS[1] | {"required": True}, COLUMNS[2]], max_bad_share=0.25
    )
    shop.add(1, 4)
    shop.run("update orders set status = null where order_id < 3")

    (refused,) = load(spark, schema, source).refused

    assert "2 of the 4 new rows" in refused.reason
    assert "column status: has no value, and one is required" in refused.reason
    assert spark.table(f"{schema}.orders").count() == 0
    shop.run("update orders set status = 'new', updated_at = '2013-10-01 12:30Z' where order_id = 1")
    report = load(spark, schema, source)
    assert [(each.rows, each.quarantined) for each in report.landed] == [(3, 1)]
    shop.add(5, 1, "2013-10-01 12:30Z")
    report = load(spark, schema, source)
    assert [(each.rows, each.quarantined) for each in report.landed] == [(1, 0)]
    assert spark.table(f"{schema}_quarantine.orders_unreadable").count() == 1
