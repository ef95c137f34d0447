"""A page per week: what the scores were worth, which days raised an alarm, and what explains it.

One file of HTML, with its pictures in it; it loads nothing.
"""

import base64
from collections.abc import Sequence
from datetime import date, timedelta
from html import escape
from io import BytesIO
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from lakehouse.dbt.manifest import DbtModels, current_models
from lakehouse.delta.table import local_folder
from lakehouse.engine.query import query
from ml.data.columns import columns_of
from ml.evaluation.bootstrap import over_days
from ml.evaluation.metrics import METRICS
from ml.monitoring import plots
from ml.monitoring.alarms import describe, explain
from ml.monitoring.days import MonitoredDay
from ml.spec import Spec

# Draws of days: a week has seven, of which more draws tell nothing more.
_DRAWS = 200
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse;margin:1rem 0}td,th{border-bottom:1px solid #ddd;padding:.3rem .7rem;"
    "text-align:left;vertical-align:top}.alarm{color:#b00020;font-weight:600}img{max-width:100%}"
)


def write_reports(
    spark: SparkSession,
    spec: Spec,
    days: Sequence[MonitoredDay],
    folder: Path,
    models: DbtModels | None = None,
) -> list[Path]:
    """Write a page for each week, from Monday on; one that is there is written again.

    Args:
        days: in order.

    Returns:
        the pages, in order.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pages: list[Path] = []
    for monday, of_week in groupby(days, key=lambda each: week_of(each.day)):
        found = list(of_week)
        path = folder / f"{spec.name}-{monday}.html"
        quality = _quality(spark, spec, found, models or current_models())
        path.write_text(page(spec, monday, found, quality), encoding="utf-8")
        pages.append(path)
    return pages


def week_of(day: date) -> date:
    """The Monday of a day's week.

    >>> str(week_of(date(2013, 10, 6)))
    '2013-09-30'
    """
    return day - timedelta(days=day.weekday())


def page(
    spec: Spec, monday: date, days: Sequence[MonitoredDay], quality: Sequence[tuple[str, str]] = ()
) -> str:
    """A week's page.

    Args:
        quality: name and figure of each measure.
    """
    versions = sorted({each.model_version for each in days})
    newest = days[-1]
    rows = "".join(_row(each) for each in days)
    figures = "".join(f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in quality)
    of_version = [each for each in days if each.model_version == newest.model_version]
    worst = max(days, key=lambda each: (len(each.judged.alarms), len(each.judged.named), each.day))
    title = f"{spec.name}, week of {monday}"
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(title)}</title>"
        f"<style>{_STYLE}</style><h1>{escape(title)}</h1>"
        f"<p>{escape(spec.description)}. Version {escape(', '.join(versions))}.</p>"
        "<h2>Days</h2><table><tr><th>day<th>version<th>scores<th>calibration<th>explained by</tr>"
        f"{rows}</table>"
        + (f"<h2>Quality, with intervals over days</h2><table>{figures}</table>" if quality else "")
        + f"<h2>Scores and calibration</h2>{_image(plots.outputs(of_version))}"
        + f"<h2>Features of {worst.day}</h2>{_image(plots.features(worst))}{_shares(worst)}</html>\n"
    )


def _row(day: MonitoredDay) -> str:
    cells = [str(day.day), day.model_version]
    marked = ""
    for judged in (day.judged.score, day.judged.calibration):
        style = " class=alarm" if judged is not None and judged.stands_out else ""
        marked += f"<td{style}>{'-' if judged is None else escape(describe(judged))}</td>"
    said = explain(day.judged) if day.judged.alarms or day.judged.named else ""
    return f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}{marked}<td>{escape(said)}</td></tr>"


def _shares(day: MonitoredDay) -> str:
    """The features of a day with more missing or unseen values than the training set had, most first."""
    found = sorted(
        (
            (max(each.missing - each.reference_missing, each.unseen - each.reference_unseen), name, each)
            for name, each in day.shares.items()
        ),
        key=lambda item: (-item[0], item[1]),
    )[:10]
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{each.missing:.1%} ({each.reference_missing:.1%})</td>"
        f"<td>{each.unseen:.1%} ({each.reference_unseen:.1%})</td></tr>"
        for more, name, each in found
        if more > 0
    )
    head = "<tr><th>feature<th>missing (in training)<th>unseen (in training)</tr>"
    return f"<table>{head}{rows}</table>" if rows else ""


def _image(figure: Any) -> str:
    png = BytesIO()
    figure.savefig(png, format="png", dpi=110)
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(png.getvalue()).decode()}">'


def _quality(
    spark: SparkSession, spec: Spec, days: Sequence[MonitoredDay], models: DbtModels
) -> list[tuple[str, str]]:
    """Each measure of the newest version's labelled scores of some days, with its interval over days."""
    mart = spec.monitoring.outcomes_model
    if mart is None:
        return []
    day = columns_of(models, spec.features_model).partition
    version, first, last = days[-1].model_version, days[0].day, days[-1].day
    label = str(spec.monitoring.outcome_column)
    rows = _labelled(spark, models.table(mart), spec, version, (day, label), (first, last))
    if not rows[0].size:
        return []
    on, labels, scores = rows
    found = [("labelled rows", f"{labels.size:,}")]
    for name, (measure, _) in METRICS.items():
        interval = over_days(
            lambda at, weights, measure=measure: measure(labels[at], scores[at], weights), on, draws=_DRAWS
        )
        found.append((name, str(interval)))
    return found


def _labelled(
    spark: SparkSession,
    table: str,
    spec: Spec,
    version: str,
    columns: tuple[str, str],
    days: tuple[date, date],
) -> tuple[Any, Any, Any]:
    """Day, label and score of each labelled row, `(rows,)` each."""
    day, label = columns
    names = [day, label, "score"]
    folder = local_folder(table)
    if folder is not None:
        filters: Any = [
            (day, ">=", days[0]),
            (day, "<=", days[1]),
            ("model_name", "=", spec.registered_model),
            ("model_version", "=", version),
        ]
        rows = DeltaTable(folder).to_pyarrow_table(columns=names, filters=filters)
    else:
        rows = query(
            spark,
            f"select {', '.join(names)} from {table} where {day} between date'{days[0]}' and date'{days[1]}' "
            f"and model_name = '{spec.registered_model}' and model_version = '{version}'",
        ).toArrow()
    rows = rows.filter(rows.column(label).is_valid())
    return (
        rows.column(day).to_numpy(),
        rows.column(label).to_numpy(zero_copy_only=False).astype(np.float64),
        rows.column("score").to_numpy(),
    )
