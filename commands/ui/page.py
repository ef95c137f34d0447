"""The first page: how things stand, and where to look."""

from datetime import datetime

from commands.ui.html import document, link, table, text
from lakehouse.addresses import DAGSTER, DATA_DOCS, DBT_DOCS, dagster_run, mlflow_pages
from lakehouse.engine.server import EngineStatus
from lakehouse.errors import LakehouseError
from orchestration.overview import Automatic, GateStand, ModelStand, Overview, RunStand

_REFRESH_SECONDS = 15
_PLACES = (
    (f"{DAGSTER}/asset-groups", "Graph", "lineage, runs, checks, backfills"),
    (f"{DAGSTER}/overview/timeline", "Runs", "what ran and what waits"),
    (f"{DATA_DOCS}/index.html", "Data Docs", "what the gates checked"),
    (f"{DBT_DOCS}/", "dbt docs", "models, columns, SQL"),
)
_STATUS = {"SUCCESS": "good", "FAILURE": "bad", "CANCELED": "bad"}
_MOST_SAID = 300


def first_page(engine: EngineStatus, found: Overview) -> str:
    """The page as HTML."""
    return document(
        "Lakehouse",
        _places() + f"<h2>Engine</h2><p>{_engine(engine)}</p>"
        f"<h2>Gates</h2>{table(['gate', 'looked at until', 'state'], [_gate(each) for each in found.gates])}"
        "<h2>Models</h2>"
        + table(
            ["model", "champion", "newest scores", "predictions", "mean score"],
            [_model(each) for each in found.models],
        )
        + "<h2>Last runs</h2>"
        + (
            table(
                ["run", "job", "state", "started (UTC)", "asked for by"], [_run(each) for each in found.runs]
            )
            if found.runs
            else "<p class='dim'>Nothing ran yet.</p>"
        )
        + f"<h2>By itself</h2>{_automation(found)}",
        refresh_seconds=_REFRESH_SECONDS,
    )


def unread(error: LakehouseError) -> str:
    """The page where what it is made from cannot be read: its links, and what is wrong."""
    hint = f"<p class='dim'>{text(error.hint)}</p>" if error.hint else ""
    said = f"<h2>How things stand</h2><p class='bad'>{text(error.what)}</p>{hint}"
    return document("Lakehouse", _places() + said, refresh_seconds=_REFRESH_SECONDS)


def _places() -> str:
    models = (f"{mlflow_pages()}/#/experiments", "Models", "training runs, metrics, versions")
    ordered = (*_PLACES[:2], models, *_PLACES[2:])
    places = (f'<a href="{path}"><b>{name}</b><span>{what}</span></a>' for path, name, what in ordered)
    return f"<nav>{''.join(places)}</nav>"


def _engine(engine: EngineStatus) -> str:
    if not engine.running:
        return "<span class='dim'>not running: it starts when something needs it</span>"
    used = [f"{engine.resident_mb:,} MiB"] if engine.resident_mb is not None else []
    since = [f"since {engine.started_at[:16]}"] if engine.started_at else []
    return f"<span class='good'>runs</span> {text(', '.join([*since, *used]))}"


def _gate(gate: GateStand) -> list[str]:
    path = link(f"{DAGSTER}/assets/gates/{gate.name}", gate.name)
    if gate.last_day is None:
        return [path, "", "<span class='dim'>never looked</span>"]
    if not gate.failing:
        return [path, text(gate.last_day), "<span class='good'>passed</span>"]
    named = ", ".join(link(page, name) if page else text(name) for name, page in gate.failing)
    return [path, text(gate.last_day), f"<span class='bad'>failed</span> on {named}"]


def _model(model: ModelStand) -> list[str]:
    return [
        link(f"{DAGSTER}/assets/models/{model.name}", model.name),
        link(model.page, f"version {model.champion}") if model.page else "<span class='dim'>none yet</span>",
        text(model.scored_day or ""),
        f"{model.rows:,}" if model.scored_day else "",
        f"{model.mean_score:.3f}" if model.mean_score is not None else "",
    ]


def _run(run: RunStand) -> list[str]:
    state = _STATUS.get(run.status, "wait")
    return [
        link(dagster_run(run.run_id), run.run_id[:8]),
        text(run.job),
        f"<span class='{state}'>{text(run.status.lower())}</span>",
        _minute(run.started_at),
        text(run.asked_by),
    ]


def _automation(found: Overview) -> str:
    if not found.automation:
        return "<p class='dim'>No sensor or schedule has looked yet.</p>"
    return table(["", "state", "last said"], [_automatic(each) for each in found.automation])


def _automatic(each: Automatic) -> list[str]:
    state = "<span class='good'>on</span>" if each.is_on else "<span class='dim'>off</span>"
    said = each.said if len(each.said) <= _MOST_SAID else each.said[:_MOST_SAID] + " …"
    return [text(each.name), state, text(said).replace("\n", "<br>")]


def _minute(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M}" if at is not None else ""
