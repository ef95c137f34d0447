"""Pictures of monitored days, as matplotlib figures."""

from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from ml.monitoring.days import MonitoredDay
from ml.monitoring.judge import Judgement

_SHOWN = 20


def outputs(days: Sequence[MonitoredDay]) -> Figure:
    """Drift of the scores and calibration by day, each with the limit that the days before it set.

    Args:
        days: of one version, in order.
    """
    figure = Figure(figsize=(8, 5), layout="constrained")
    drift, calibration = figure.subplots(2, 1, sharex=True)
    _line(drift, "Drift of the scores", "stability index", days, lambda day: day.judged.score)
    _line(
        calibration,
        "Share of positives, less mean score",
        "",
        days,
        lambda day: day.judged.calibration,
        signed=True,
    )
    return figure


def _line(
    axes: Axes,
    title: str,
    unit: str,
    days: Sequence[MonitoredDay],
    of: Callable[[MonitoredDay], Judgement | None],
    signed: bool = False,
) -> None:
    found = [each for day in days if (each := of(day)) is not None]
    at: list[Any] = [each.day for each in found]
    limits = [float("nan") if each.limit is None else each.limit for each in found]
    axes.set_title(title)
    axes.set_ylabel(unit)
    axes.plot(at, [each.value for each in found], marker="o", markersize=3)
    axes.plot(at, limits, color="grey", linestyle=":", label="limit")
    if signed:
        axes.plot(at, [-each for each in limits], color="grey", linestyle=":")
    out = [each for each in found if each.stands_out]
    alarm_days: list[Any] = [each.day for each in out]
    axes.plot(alarm_days, [each.value for each in out], "o", color="crimson", label="alarm")
    axes.grid(alpha=0.3)
    locator = AutoDateLocator()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    if found:
        axes.legend()


def features(day: MonitoredDay) -> Figure:
    """The features of a day that are the least likely: the index as a share of the limit."""
    judged = [each for each in day.judged.features if each.limit is not None][:_SHOWN]
    figure = Figure(figsize=(7, 1.2 + 0.25 * len(judged)), layout="constrained")
    axes = figure.add_subplot()
    shares = [each.value / each.limit for each in judged if each.limit is not None]
    colors = ["crimson" if each.stands_out else "steelblue" for each in judged]
    axes.barh([each.name for each in judged][::-1], shares[::-1], color=colors[::-1])
    axes.axvline(1, color="grey", linestyle=":")
    axes.set_title(f"{day.day}: index as a share of its limit")
    axes.grid(alpha=0.3, axis="x")
    return figure
