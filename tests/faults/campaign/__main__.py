"""Runs the campaign; prints a line per injection and a table at the end. See the package."""

import argparse
import json
import os
import random
import shutil
import statistics
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

# Before anything of ours is imported: settings are read once, and child processes inherit them.
_OWN = "LAKEHOUSE_WAREHOUSE" not in os.environ
if _OWN:
    os.environ["LAKEHOUSE_WAREHOUSE"] = tempfile.mkdtemp(prefix="lakehouse-faults-")
os.environ.setdefault("LAKEHOUSE_HEAP_MB", "1024")
os.environ.setdefault("LAKEHOUSE_SETTLE_SECONDS", "0")
os.environ.pop("SPARK_REMOTE", None)

from lakehouse.engine import server  # noqa: E402
from lakehouse.settings import settings  # noqa: E402
from tests.faults.campaign import victim  # noqa: E402
from tests.faults.campaign.strikes import STRIKES  # noqa: E402
from tests.faults.campaign.victim import STEPS, Moment, Outcome  # noqa: E402
from tests.faults.campaign.world import World  # noqa: E402

# How long after a statement was sent it is struck: as long as most of them take.
_DELAY_MS = 600
TWO_AT_ONCE = "two_at_once"


@dataclass
class Counted:
    """A row of the table."""

    fault: str
    injections: int = 0
    fired: int = 0
    lost: int = 0
    doubled: int = 0
    half_seen: int = 0
    silent: int = 0
    recovered_in: list[float] = field(default_factory=list[float])
    steps: Counter[str] = field(default_factory=Counter[str])


class Campaign:
    """All injections, one after the other, in one world."""

    def __init__(self, seed: int, folder: Path) -> None:
        self._random = random.Random(seed)  # noqa: S311
        self._folder = folder
        self._number = 0
        self.world = World(folder / "readings")
        self.statements = self._clean_day()

    def _clean_day(self) -> dict[str, int]:
        """A day without a fault; what its steps send is what the next ones are struck at."""
        self.world.deliver_a_day()
        done = self._work()
        assert done.exit_code == 0, done.error
        found = self.world.verdict()
        assert found.is_right, found
        return done.statements

    def inject(self, fault: str, counted: Counted) -> None:
        """A day with one fault in it; its work is done again, and compared."""
        self.world.deliver_a_day()
        moment = None if fault == TWO_AT_ONCE else self._moment()
        struck = self._work(strike=fault, moment=moment) if moment else self._two_at_once()
        counted.injections += 1
        counted.fired += struck.fired
        if moment:
            counted.steps[moment.step] += struck.fired
        counted.half_seen += self.world.is_half_seen()
        # Who sees an error, or whose process died, asks again; who saw none does not.
        if struck.exit_code != 0:
            began = time.monotonic()
            again = self._work(first=moment.step if moment else "ingest")
            assert again.exit_code == 0, (moment, again.error)
            counted.recovered_in.append(time.monotonic() - began)
        found = self.world.verdict()
        counted.lost += found.lost
        counted.doubled += found.doubled
        counted.silent += not found.is_right
        said = {
            "fault": fault,
            "moment": moment and asdict(moment),
            "fired": struck.fired,
            "exit": struck.exit_code,
        }
        said |= {"error": struck.error and struck.error[:200], "verdict": asdict(found)}
        print(json.dumps(said), flush=True)  # noqa: T201
        if not found.is_right:
            raise SystemExit(f"{fault} at {moment} left {found}")

    def _moment(self) -> Moment:
        """Uniform over the statements of a day."""
        step, number = self._random.choice(
            [(step, number) for step in STEPS for number in range(1, self.statements.get(step, 0) + 1)]
        )
        return Moment(step, number, self._random.randrange(_DELAY_MS))

    def _work(
        self, first: str = "ingest", strike: str | None = None, moment: Moment | None = None
    ) -> Outcome:
        self._number += 1
        folder = self._folder / "runs" / str(self._number)
        done = victim.work(self.world.lakehouse, folder, first, strike, moment)
        if done.exit_code == 0 and first == "ingest":
            self.statements = _per_step(done.statements)
        return done

    def _two_at_once(self) -> Outcome:
        """Two people begin the same day's work at once; who is refused asks again.

        Each step of one falls into some step of the other, as both have all of the day before them.
        """
        waits = []
        for _ in range(2):
            self._number += 1
            waits.append(victim.begin(self.world.lakehouse, self._folder / "runs" / str(self._number)))
        first, second = (wait() for wait in waits)
        worse = first if first.exit_code else second
        return Outcome(worse.exit_code, True, worse.statements, worse.error)


def _per_step(statements: dict[str, int]) -> dict[str, int]:
    return {step: count for step, count in statements.items() if count}


def table(rows: list[Counted]) -> str:
    """As docs/reliability.md has it."""
    lines = [
        "| fault | injections | fired | rows lost | rows doubled | seen half | silent | seconds to recover: "
        "median, most | steps that it hit |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        seconds = (
            f"{statistics.median(row.recovered_in):.0f}, {max(row.recovered_in):.0f}"
            if row.recovered_in
            else "goes on"
        )
        hit = ", ".join(f"{step} {count}" for step, count in row.steps.most_common() if count)
        lines.append(
            f"| {row.fault.replace('_', ' ')} | {row.injections} | {row.fired} | {row.lost} | {row.doubled} "
            f"| {row.half_seen} | {row.silent} | {seconds} | {hit} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Inject each fault so many times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", choices=[*STRIKES, TWO_AT_ONCE])
    asked = parser.parse_args()
    rows: list[Counted] = []
    try:
        campaign = Campaign(asked.seed, settings().warehouse / "faults")
        for fault in asked.only or [*STRIKES, TWO_AT_ONCE]:
            rows.append(Counted(fault))
            # Each takes two minutes.
            times = min(asked.times, 2) if fault == "freeze_engine_for_two_minutes" else asked.times
            while rows[-1].fired < times:
                assert rows[-1].injections < 3 * times, f"{fault} seldom fires: {rows[-1]}"
                campaign.inject(fault, rows[-1])
    finally:
        print(table(rows), flush=True)  # noqa: T201
        server.stop_engine(settings(), force=True)
        if _OWN:
            shutil.rmtree(os.environ["LAKEHOUSE_WAREHOUSE"], ignore_errors=True)
    bad = [row for row in rows if row.lost or row.doubled or row.half_seen or row.silent]
    if bad:
        raise SystemExit(f"what was published was wrong after {', '.join(row.fault for row in bad)}")


if __name__ == "__main__":
    main()
