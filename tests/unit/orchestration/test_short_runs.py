"""Which runs tell dbt that they are short: statements of few days are compiled otherwise."""

from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest

from orchestration.partitions import range_tags
from orchestration.resources import FULL_REFRESH_TAG, _is_short


@pytest.mark.parametrize(
    ("tags", "short"),
    [
        (range_tags((date(2013, 10, 1), date(2013, 10, 1))), True),
        (range_tags((date(2013, 10, 1), date(2013, 10, 8))), True),
        (range_tags((date(2013, 10, 1), date(2013, 10, 9))), False),
        ({"dagster/partition": "2013-10-01"}, True),
        (range_tags((date(2013, 10, 1), date(2013, 10, 1))) | {FULL_REFRESH_TAG: "true"}, False),
        ({}, False),
    ],
)
def test_a_week_is_short_and_a_full_refresh_is_not(tags: dict[str, str], short: bool) -> None:
    context: Any = SimpleNamespace(run=SimpleNamespace(tags=tags))
    assert _is_short(context) is short
