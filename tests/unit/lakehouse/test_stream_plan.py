"""Which records a batch of a topic has: everything once, in order, and what is lost is named."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.errors import LakehouseError
from lakehouse.ingest.ledger import Entry
from lakehouse.ingest.periods import Period
from lakehouse.ingest.stream.plan import Plan, next_plan, still_there
from lakehouse.ingest.stream.topic import Topic

AT = datetime(2026, 1, 1, tzinfo=UTC)


def topic(end: dict[int, int], first: dict[int, int] | None = None, minutes: int = 0, topic_id: str = "A"):
    return Topic("t", topic_id, first or dict.fromkeys(end, 0), end, AT + timedelta(minutes=minutes))


def planned(last: Plan | None, now: Topic, most: int = 1000, **more: bool) -> Plan:
    plan = next_plan("readings", last, now, most, **more)
    assert plan is not None
    return plan


@given(
    st.lists(st.dictionaries(st.integers(0, 3), st.integers(0, 50), min_size=4, max_size=4), min_size=1),
    st.integers(1, 40),
)
def test_the_batches_of_a_growing_topic_are_all_of_its_records_each_once(growth, most):
    end, last, read = dict.fromkeys(range(4), 0), None, []
    for step in growth:
        end = {part: count + step[part] for part, count in end.items()}
        while (plan := next_plan("readings", last, topic(end), most)) is not None:
            spans = plan.offsets.items()
            read += [(part, offset) for part, (first, until) in spans for offset in range(first, until)]
            assert 0 < sum(until - first for _, (first, until) in spans) <= most + 4
            assert plan.lost is None
            last = plan
    assert len(read) == len(set(read)) == sum(end.values())
    assert last is None or (
        last.reaches_end and {part: ends for part, (_, ends) in last.offsets.items()} == end
    )


def test_the_first_batch_begins_with_what_is_there():
    plan = planned(None, topic({0: 9}, first={0: 4}))
    assert (plan.offsets, plan.lost, plan.sequence) == ({0: (4, 9)}, None, 1)


def test_nothing_new_is_no_batch():
    now = topic({0: 9, 1: 0})
    assert next_plan("readings", planned(None, now), now, 10) is None


def test_records_that_expired_before_they_were_read_are_named():
    last = planned(None, topic({0: 9, 1: 3}))
    plan = planned(last, topic({0: 30, 1: 3}, first={0: 20, 1: 3}))
    assert plan.offsets == {0: (20, 30), 1: (3, 3)}
    assert plan.lost == "t 0:9-20: these records expired before they were read"


def test_that_all_unread_records_expired_is_told_by_a_batch_without_records():
    last = planned(None, topic({0: 9}))
    plan = planned(last, topic({0: 20}, first={0: 20}))
    assert plan.unread == {}
    assert plan.lost is not None and "0:9-20" in plan.lost


def test_a_partition_that_was_added_is_read_from_its_beginning():
    last = planned(None, topic({0: 9}))
    assert planned(last, topic({0: 9, 1: 2})).unread == {1: (0, 2)}
    lost = planned(last, topic({0: 9, 1: 5}, first={0: 0, 1: 2})).lost
    assert lost is not None and "1:0-2" in lost


def test_a_topic_that_was_recreated_is_named_and_read_from_its_beginning():
    last = planned(None, topic({0: 9}))
    plan = planned(last, topic({0: 12}, topic_id="B"))
    assert plan.offsets == {0: (0, 12)}
    assert plan.lost is not None and "recreated" in plan.lost and "0:9" in plan.lost


def test_that_the_declaration_names_another_topic_now_is_told():
    plan = planned(planned(None, topic({0: 9})), replace(topic({0: 2}, topic_id="B"), name="other"))
    assert plan.lost == "t is not the topic any more: 0:9 and later were never read"


def test_a_topic_with_fewer_records_than_were_read_is_refused():
    last = planned(None, topic({0: 9}))
    with pytest.raises(LakehouseError, match="partition 0 ends at 5, but was read until 9"):
        next_plan("readings", last, topic({0: 5}), 10)


def test_what_a_source_has_told_goes_on_from_batch_to_batch_and_begins_again_after_a_gap():
    first = planned(None, topic({0: 10}), most=5)
    second = planned(first, topic({0: 10}), most=5)
    third = planned(second, topic({0: 12}, minutes=7))
    assert [plan.reaches_end for plan in (first, second, third)] == [False, True, True]
    assert third.since == second.seen_at == AT
    gap = planned(third, topic({0: 30}, first={0: 20}, minutes=9))
    assert gap.since == gap.seen_at
    assert planned(third, topic({0: 30}, minutes=9), is_last_whole=False).since == gap.seen_at


def test_of_a_planned_batch_is_read_what_is_still_there():
    plan = planned(None, topic({0: 10, 1: 10}))
    assert still_there(plan, topic({0: 10, 1: 10})) == ({0: (0, 10), 1: (0, 10)}, None)
    kept, lost = still_there(plan, topic({0: 40, 1: 10}, first={0: 20, 1: 4}))
    assert kept == {1: (4, 10)}
    assert lost == "t 0:0-10 1:0-4: these records expired before they were read"
    kept, lost = still_there(plan, topic({0: 10}, topic_id="B"))
    assert kept == {} and lost is not None and "recreated" in lost


def test_batches_of_other_records_have_other_ids():
    ids = {
        planned(None, topic({0: 10})).batch_id,
        planned(None, topic({0: 11})).batch_id,
        planned(None, topic({0: 10}, topic_id="B")).batch_id,
    }
    assert len(ids) == 3
    # The gate on bronze takes a delivery's day from there.
    assert all(each.startswith("readings_2026-01-01_0000000001_") for each in ids)
    assert planned(None, topic({0: 10})).batch_id in ids


def test_a_batch_of_a_topic_completes_no_day_or_hour_that_could_not_be_declared_missing_then():
    plan = planned(None, topic({0: 10}))
    entry = Entry("readings", plan.batch_id, plan.day, "delivery", plan.digest, AT, delivered_until=AT)
    assert entry.period is None
    assert replace(entry, batch_id="readings_2026-01-01T05_r2").period == Period(plan.day, 5)
