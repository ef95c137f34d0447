"""What the world does to the lakehouse, day by day: what it delivers, and what goes wrong."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Literal

from demo.publish import publish

Fault = Literal[
    "by the hour",
    "no weather",
    "cut schedule",
    "engine killed",
    "daemon killed",
    "late events",
]
# One every other day, over and over; on the plain day after it, what is open is put right.
FAULTS: tuple[Fault, ...] = (
    "engine killed",
    "cut schedule",
    "daemon killed",
    "no weather",
    "by the hour",
    "late events",
)
_HOURS = (7, 15, 23)
_KEPT_LINES = 50


@dataclass(frozen=True)
class Step:
    """What happens at one moment of a day.

    Args:
        what: for the log.
        kill: who dies while the run that follows is at work.
    """

    day: date
    what: str
    kill: Literal["engine", "daemon"] | None = None


class World:
    """Keeps what was made, and hands it to the landing zone when its time has come.

    Args:
        made: a folder for what the sources will have delivered.
        landing: where it arrives.
    """

    def __init__(self, made: Path, landing: Path) -> None:
        self.made, self.landing = made, landing
        self._held: list[Path] = []
        self.faults: dict[date, Fault] = {}

    def days(self, first: date, count: int) -> Iterator[Step]:
        """Play so many days. What each step names has arrived when it is given."""
        for number in range(count):
            day = first + timedelta(days=number)
            fault = FAULTS[number // 2 % len(FAULTS)] if number % 2 else None
            if fault is not None:
                self.faults[day] = fault
            yield from self._day(day, fault)
        if self._held:
            self._arrive(self._held)
            self._held = []
            yield Step(first + timedelta(days=count - 1), "what was missing has come")

    def _day(self, day: date, fault: Fault | None) -> Iterator[Step]:
        if fault == "by the hour":
            for hour in _HOURS:
                self._arrive(publish(day, day, landing=self.made, through_hour=hour))
                yield Step(day, f"delivered until {hour}:59")
            return
        files = publish(day, day, landing=self.made)
        late, self._held = self._held, []
        if fault == "no weather":
            self._held = [path for path in files if path.parent.name == "weather_observations"]
        elif fault == "late events":
            self._held = [path for path in files if path.parent.name == "flight_actuals"]
        elif fault == "cut schedule":
            (schedule,) = (path for path in files if path.parent.name == "flight_schedule")
            # The whole one is delivered again beside it, as a source would that noticed.
            again = schedule.with_name(f"{schedule.stem}_corrections{schedule.suffix}")
            shutil.copy(schedule, again)
            lines = schedule.read_text().splitlines(keepends=True)[:_KEPT_LINES]
            schedule.write_text("".join(lines))
            self._held = [again]
        self._arrive([*late, *(path for path in files if path not in self._held)])
        kill: Literal["engine", "daemon"] | None = None
        if fault == "engine killed":
            kill = "engine"
        elif fault == "daemon killed":
            kill = "daemon"
        yield Step(
            day,
            f"delivered{'' if fault is None else f', {fault}'}{', and what was late' if late else ''}",
            kill,
        )

    def _arrive(self, files: list[Path]) -> None:
        for path in files:
            target = self.landing / path.relative_to(self.made)
            target.parent.mkdir(parents=True, exist_ok=True)
            whole = target.with_name(f".{target.name}.part")
            shutil.copy(path, whole)
            whole.rename(target)
