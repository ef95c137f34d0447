"""What the weather service delivers: one CSV per day, with the day's observation, once the day is over."""

import sys
from datetime import date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from vega_datasets import data

ZONE = ZoneInfo("America/Los_Angeles")
HEADER = "station,observed_on,reported_at,precipitation_mm,temperature_max_c,temperature_min_c,wind_mps"


def deliver(landing: Path, first: date, last: date) -> int:
    """Write the deliveries of some days; returns how many."""
    folder = landing / "observations"
    folder.mkdir(parents=True, exist_ok=True)
    observed = data.seattle_weather().set_index("date").loc[str(first) : str(last)]
    for at, row in observed.iterrows():
        day = at.date()
        midnight = datetime.combine(day + timedelta(days=1), time(), ZONE).astimezone(ZoneInfo("UTC"))
        values = ",".join(f"{row[name]:.1f}" for name in ("precipitation", "temp_max", "temp_min", "wind"))
        line = f"seattle,{day},{midnight:%Y-%m-%dT%H:%M:%SZ},{values}"
        (folder / f"observations_{day}.csv").write_text(f"{HEADER}\n{line}\n")
    return len(observed)


if __name__ == "__main__":
    to, start, end = sys.argv[1:]
    count = deliver(Path(to), date.fromisoformat(start), date.fromisoformat(end))
    sys.stdout.write(f"{count} deliveries in {to}\n")
