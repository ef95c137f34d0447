"""`lakehouse demo`: the whole story on real flights, and the tables that it ends with."""

from typing import TYPE_CHECKING

from commands.output import AsJson, console, facts, print_json, table
from lakehouse.settings import settings

if TYPE_CHECKING:
    from demo.online import OnlineScore
    from demo.story import Story

EPILOG = "Example: make demo"


def demo(as_json: AsJson = False) -> None:
    """Tell the story: nine months of flights, a model, a month of scores, a correction, and the proof."""
    from commands.screen import Screen
    from demo.story import CHAPTERS, refuse_a_used_warehouse, tell

    # Before the log of an earlier one is replaced.
    refuse_a_used_warehouse()
    log = settings().warehouse / "demo.log"
    with Screen(CHAPTERS, log) as screen:
        story = tell(screen)
    if as_json:
        print_json(story)
    else:
        _show(story)


def _show(story: "Story") -> None:
    from expectations.pages import index_url

    quality = story.quality
    table(
        f"Will it arrive 15+ minutes late? {quality.flights:,} flights, {story.days.first_day} to "
        f"{story.days.backfill[1]}; {quality.late_share:.1%} were late",
        ["forecast", "AUC within a day", "log loss", "Brier score"],
        [
            (name, *(f"{figure:.3f}" for figure in figures))
            for name, figures in (
                (
                    f"the model, version {quality.model_version}",
                    (quality.auc, quality.log_loss, quality.brier_score),
                ),
                (
                    "late share of the four weeks before",
                    (quality.base_auc, quality.base_log_loss, quality.base_brier_score),
                ),
            )
        ],
    )
    report, change = story.reproduction, story.difference.rows
    proof = "identical, row by row" if report.identical else f"DIFFERENT: {report.differences}"
    columns = ", ".join(f"{name} in {count:,}" for name, count in change.changed_columns.items())
    console.print()
    facts(
        {
            "first training set": f"{report.row_count:,} rows read again from {report.table}: {proof}",
            "second training set": (
                f"{change.rows_added:,} rows more, {change.rows_removed:,} fewer, "
                f"{change.rows_changed:,} corrected ({columns})"
            ),
            "second model": story.promotion,
            "one score online": _online(story.online),
        }
    )
    console.print()
    table(
        "What it cost",
        ["", "seconds"],
        [
            *((name, f"{seconds:.0f}") for name, seconds in story.cost.chapters.items()),
            ("all", f"{story.cost.seconds:.0f}"),
        ],
    )
    facts({"peak memory": f"{story.cost.peak_mb:,} MiB", "Spark engines": len(story.cost.engines)})
    console.print("\nWhat to open next", style="bold")
    facts(
        {
            "lakehouse dev": "Dagster's graph of all this, and MLflow's runs",
            f"lakehouse reproduce {story.first_run} --rebuild": "the proof from bronze on, in some minutes",
            f"lakehouse diff {story.first_run} {story.second_run}": "what the correction changed",
            "dbt build": "the same models in a schema of your own",
            index_url(): "what the gates checked",
        }
    )


def _online(score: "OnlineScore") -> str:
    return f"{score.flight_id}: {score.score}, the bits of batch scoring, in {score.milliseconds:.0f} ms"
