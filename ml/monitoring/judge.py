"""Which days are unlike the days before them: limits by feature from the days of the season.

The textbook's limits say nothing here. A day of weather is a few values, so that on a plain day most features
have an index above 0.2. What a day's index is worth, the indices of other days of the season tell: a day
counts as one, whatever number of rows it has, as its rows share their weather.

A probability far below one in the number of days takes a tail: of the highest indices, taken as a power of
the rank (Weissman's estimator, by Hill's exponent). It is heavier than the tail of an index really is, which
has a greatest value, so that it errs towards silence.

The score and its calibration raise an alarm. Of the features those are named that stand out among all of
them, by Benjamini and Hochberg's step: they say why.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from ml.monitoring.reference import CALIBRATION_NAME, SCORE_NAME, DayStatistic
from ml.spec import MonitoringSpec

# An exponent below this is that of days that are all alike: it would make a trifle an event.
_LEAST_EXPONENT = 0.05
# What an index of 0 is taken for: a tail is about ratios.
_LEAST_VALUE = 1e-6
_YEAR = 365


@dataclass(frozen=True)
class Judgement:
    """A day's figure beside those of other days.

    Args:
        name: the feature, the score or the calibration.
        value: a population stability index, or the gap between late share and mean score.
        limit: what the value would have to exceed to stand out alone; None where nothing was judged.
        probability: of such a value on a day like those; None where there are too few of them.
        past_days: how many there are.
        stands_out: whether it is named, or raises the alarm.
    """

    day: date
    name: str
    value: float
    rows: int
    limit: float | None
    probability: float | None
    past_days: int
    stands_out: bool


@dataclass(frozen=True)
class JudgedDay:
    """What there is to say of a day.

    Args:
        score, calibration: None where the day has no such figure yet.
        features: all of them, the least likely first.
    """

    day: date
    score: Judgement | None
    calibration: Judgement | None
    features: tuple[Judgement, ...]

    @property
    def alarms(self) -> tuple[Judgement, ...]:
        """Score and calibration, where they stand out."""
        return tuple(each for each in (self.score, self.calibration) if each is not None and each.stands_out)

    @property
    def named(self) -> tuple[Judgement, ...]:
        """The features that stand out."""
        return tuple(each for each in self.features if each.stands_out)


def season(past: Iterable[DayStatistic], day: date, season_days: int) -> list[DayStatistic]:
    """The days that a day is compared with: those just before it, and those around it a year ago.

    >>> old = [DayStatistic(date(2013, 1, 1), 1.0, 1), DayStatistic(date(2013, 9, 30), 2.0, 1)]
    >>> [each.value for each in season(old, date(2013, 10, 1), 60)]
    [2.0]
    >>> [each.value for each in season(old, date(2014, 1, 5), 60)]
    [1.0]
    """
    half = season_days // 2
    return [
        each for each in past if 0 < (age := (day - each.day).days) <= season_days or abs(age - _YEAR) <= half
    ]


@dataclass(frozen=True)
class Tail:
    """The upper tail of past figures.

    Args:
        values: of the past days, descending.
        start: the figure at which the tail begins; `share` of the days lie above it.
        exponent: how slowly it falls.
    """

    values: tuple[float, ...]
    start: float
    share: float
    exponent: float

    @staticmethod
    def of(past: Sequence[float], tail_share: float) -> "Tail":
        """The tail of some figures, at least three of them."""
        values = np.sort(np.maximum(np.abs(np.asarray(past, np.float64)), _LEAST_VALUE))[::-1]
        count = min(len(values) - 1, max(3, math.ceil(tail_share * len(values))))
        start = float(values[count])
        exponent = max(_LEAST_EXPONENT, float(np.mean(np.log(values[:count] / start))))
        return Tail(tuple(values.tolist()), start, count / len(values), exponent)

    def probability(self, value: float) -> float:
        """Of a figure as great as this one, or greater."""
        size = max(abs(value), _LEAST_VALUE)
        if size > self.start:
            return self.share * (size / self.start) ** (-1 / self.exponent)
        return (1 + sum(each >= size for each in self.values)) / (1 + len(self.values))

    def limit(self, probability: float) -> float:
        """The figure that is exceeded with a probability, which must be less than that of the tail."""
        return self.start * (min(probability, self.share) / self.share) ** (-self.exponent)


def judge(
    day: date,
    figures: Mapping[str, DayStatistic],
    past: Mapping[str, Sequence[DayStatistic]],
    rule: MonitoringSpec,
) -> JudgedDay:
    """What a day's figures are worth.

    Args:
        figures: of the day, by feature, score or calibration.
        past: of other days, by the same names; which of them count, the day and the rule say.
    """
    tails = {
        name: Tail.of([each.value for each in found], rule.tail_share)
        for name in figures
        if len(found := season(past.get(name, ()), day, rule.season_days)) >= rule.min_days
    }
    probability = {name: tail.probability(figures[name].value) for name, tail in tails.items()}
    outputs = (SCORE_NAME, CALIBRATION_NAME)
    features = {name: each for name, each in probability.items() if name not in outputs}
    discoveries = false_discovery_rate(features, rule.false_discovery_rate)
    alone = rule.false_discovery_rate / max(1, len(features))

    def judged(name: str) -> Judgement | None:
        if name not in figures:
            return None
        figure, tail = figures[name], tails.get(name)
        found = probability.get(name)
        wanted = rule.alarm_probability if name in outputs else alone
        return Judgement(
            day=day,
            name=name,
            value=figure.value,
            rows=figure.rows,
            limit=None if tail is None else tail.limit(wanted),
            probability=found,
            past_days=0 if tail is None else len(tail.values),
            stands_out=name in discoveries or (name in outputs and found is not None and found < wanted),
        )

    found = [each for name in sorted(figures) if name not in outputs and (each := judged(name))]
    found.sort(key=lambda each: (1.0 if each.probability is None else each.probability, each.name))
    return JudgedDay(day, judged(SCORE_NAME), judged(CALIBRATION_NAME), tuple(found))


def false_discovery_rate(probability: Mapping[str, float], rate: float) -> set[str]:
    """The names that stand out among all; a share of `rate` of them is expected to be there by chance.

    >>> sorted(false_discovery_rate({"a": 0.001, "b": 0.02, "c": 0.5}, 0.05))
    ['a', 'b']
    """
    ordered = sorted(probability.items(), key=lambda item: item[1])
    within = [
        place
        for place, (_, found) in enumerate(ordered, start=1)
        if found <= rate * place / max(1, len(ordered))
    ]
    return {name for name, _ in ordered[: max(within, default=0)]}
