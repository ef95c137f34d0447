"""The order of a planned build, and which files it would rewrite."""

from datetime import date

import pytest

from lakehouse.dbt.plan import in_build_order
from lakehouse.delta.files import may_hold

NODES = {
    "model.a": {"depends_on": {"nodes": ["model.c", "source.x"]}},
    "model.b": {"depends_on": {"nodes": ["model.a"]}},
    "model.c": {"depends_on": {"nodes": []}},
}
MARCH = [(date(2013, 3, 2), date(2013, 3, 4))]


def test_a_model_comes_after_all_that_it_reads_also_through_one_that_was_not_chosen() -> None:
    assert in_build_order(NODES, ["model.a", "model.b", "model.c"]) == ["model.c", "model.a", "model.b"]
    assert in_build_order(NODES, ["model.b", "model.c"]) == ["model.c", "model.b"]


@pytest.mark.parametrize(
    ("low", "high", "held"),
    [
        (date(2013, 3, 4), date(2013, 3, 9), True),
        (date(2013, 3, 1), date(2013, 3, 2), True),
        (date(2013, 3, 5), date(2013, 3, 9), False),
        (date(2013, 2, 1), date(2013, 3, 1), False),
        (None, None, True),
    ],
)
def test_a_file_is_rewritten_if_its_statistics_cannot_rule_the_days_out(
    low: date | None, high: date | None, held: bool
) -> None:
    assert may_hold({"min.day": low, "max.day": high}, "day", MARCH) is held
