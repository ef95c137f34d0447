"""Local times and formats against the standard library, value by value."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.ingest.declared import Column
from lakehouse.ingest.read.times import EPOCH, of_zone, to_timestamps

# With changes at midnight, of a whole day, of half an hour, and none.
ZONES = [
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",
    "Pacific/Apia",
    "Australia/Lord_Howe",
    "America/Juneau",
    "Africa/Casablanca",
    "Asia/Gaza",
    "UTC",
]
CLOCKS = st.one_of(
    st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)),  # noqa: DTZ001 - what a clock shows
    st.datetimes(datetime(1867, 10, 15), datetime(1867, 10, 22)),  # noqa: DTZ001
    st.datetimes(datetime(2011, 12, 28), datetime(2012, 1, 2)),  # noqa: DTZ001
    st.datetimes(datetime(2013, 1, 1), datetime(2013, 12, 31)),  # noqa: DTZ001
)


def _instants(clock: datetime, zone: ZoneInfo) -> set[datetime]:
    """The instants at which a zone's clocks show a time."""
    found = {
        (clock - clock.replace(tzinfo=zone, fold=fold).utcoffset()).replace(tzinfo=UTC) for fold in (0, 1)
    }
    return {instant for instant in found if instant.astimezone(zone).replace(tzinfo=None) == clock}


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(ZONES), st.lists(CLOCKS, max_size=20))
def test_a_local_time_is_the_instant_at_which_clocks_show_it(name, clocks):
    local = np.array([(clock - EPOCH) // timedelta(microseconds=1) for clock in clocks], dtype=np.int64)
    shown = [_instants(clock, ZoneInfo(name)) for clock in clocks]

    found, bad = of_zone(local, name, "refused")
    earlier, _ = of_zone(local, name, "earlier")
    later, _ = of_zone(local, name, "later")

    assert sorted(bad) == [index for index, instants in enumerate(shown) if len(instants) != 1]
    for index, instants in enumerate(shown):
        ends = [_at(each[index]) for each in (earlier, later)]
        if len(instants) == 1:
            assert [_at(found[index])] == list(instants) == list(set(ends))
        else:
            assert ends[0] < ends[1]
            assert not instants or ends == sorted(instants)


def _at(micros: np.int64) -> datetime:
    return EPOCH.replace(tzinfo=UTC) + timedelta(microseconds=int(micros))


FORMATS = [
    "%Y-%m-%d %H:%M:%S.%f",
    "%d/%b/%Y:%H:%M:%S",
    "%B %d, %Y %I:%M:%S %p",
    "%Y%j%H%M%S",
    "%d.%m.%Y %T",
    "%F %H%M%S",
]


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(FORMATS), st.lists(st.datetimes(datetime(1000, 1, 1)), min_size=1, max_size=20))  # noqa: DTZ001
def test_a_time_in_a_format_is_the_one_that_was_written(time_format, times):
    column = Column(name="at", type="timestamp", format=time_format, time_zone="UTC", description="When.")
    written = [time.strftime(time_format) for time in times]

    read = to_timestamps(pa.array(written), column)

    whole = time_format if "%f" in time_format else ""
    expected = [(time if whole else time.replace(microsecond=0)).replace(tzinfo=UTC) for time in times]
    assert not read.bad
    assert read.values.to_pylist() == expected


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(FORMATS), st.text("0123456789./-: abJulPM", max_size=24))
def test_a_text_that_the_standard_library_does_not_read_is_not_read(time_format, text):
    column = Column(name="at", type="timestamp", format=time_format, time_zone="UTC", description="When.")

    read = to_timestamps(pa.array([text]), column)

    if not read.bad:
        plain = time_format.replace("%T", "%H:%M:%S").replace("%F", "%Y-%m-%d")
        assert read.values[0].as_py() == datetime.strptime(text, plain).replace(tzinfo=UTC)
