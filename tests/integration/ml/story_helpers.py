"""What a process of its own does with models, wherever MLflow's records are kept."""

from datetime import date
from typing import Any

from lakehouse.engine.session import spark_session
from ml.evaluation.promotion import promote_by_name
from ml.provenance.logged_run import logged_run
from ml.provenance.needs import model_needs
from ml.reproduction import reproduce
from ml.scoring.score import score
from ml.tracking.registry import CHAMPION, aliases, model_by_alias, rollback
from ml.tracking.runs import artifact, client, run_page
from tests.integration.ml.conftest import Platform, build_platform, existing_platform, train_platform


def go_on(schema: str) -> dict[str, Any]:
    """Train again on what is published, promote, roll back, and reproduce the first run."""
    spark = spark_session()
    return _story(existing_platform(spark, schema))


def story(schema: str) -> dict[str, Any]:
    """Train twice, promote, roll back, score and reproduce."""
    spark = spark_session()
    spark.sql(f"create schema {schema}")
    made = build_platform(spark, schema)
    train_platform(made)
    return _story(made)


def _story(made: Platform) -> dict[str, Any]:
    spark, name = made.spark, made.spec.registered_model
    first = model_by_alias(name, CHAMPION)
    second = train_platform(made)
    trained = aliases(name)
    promote_by_name(made.spec, second.model_version, "A. Lin", "a drill")
    promoted = aliases(name)
    rollback(name)
    read = reproduce.read(spark, logged_run(first.run_id))
    again = reproduce.retrain(spark, logged_run(second.run_id))
    scored = score(spark, made.spec, date(2013, 9, 2), date(2013, 9, 3), models=made.models)
    return {
        "runs": [first.run_id, second.run_id],
        "aliases": [trained, promoted, aliases(name)],
        "identical": [read.identical, again.identical],
        "scored": scored.rows_written,
        "card": artifact(second.run_id, "model_card.md").read_text(),
        "page": run_page(second.run_id),
        "needs": sorted(
            {f"{need.version}" for need in model_needs().needs if f"{made.schema}." in f"{need.version}"}
        ),
        "files": client().get_run(second.run_id).info.artifact_uri,
    }
