"""Models: one asset a spec in `ml/specs/`, trained as of a day."""

import base64
from datetime import date, timedelta
from typing import Any

import dagster as dg

from expectations.gate import require_passed
from lakehouse.engine.session import spark_session
from ml.spec import Spec, load_spec, spec_names
from orchestration.owners import ML
from orchestration.partitions import days_of_run
from orchestration.translator import published_key


class TrainConfig(dg.Config):
    """How to train.

    Args:
        as_of: the day before whose start everything must have been known, `YYYY-MM-DD`. Left out, it is the
            day after the run's last day, or else after the newest day of the training set.
    """

    as_of: str | None = None


def model_key(spec: Spec) -> dg.AssetKey:
    """The asset of a spec's model."""
    return dg.AssetKey(["models", spec.name])


def as_of_day(context: dg.AssetExecutionContext, config: TrainConfig, training_set: dg.AssetKey) -> date:
    """The day as of which a run trains; see `TrainConfig`."""
    if config.as_of is not None:
        return date.fromisoformat(config.as_of)
    days = days_of_run(context)
    if days is not None:
        return days[1] + timedelta(days=1)
    published = context.instance.get_materialized_partitions(training_set)
    if not published:
        raise dg.Failure(
            f"There is no day of {training_set.to_user_string()} to train on.\n"
            "  → materialize it first, or give as_of in the run's configuration"
        )
    return date.fromisoformat(max(published)) + timedelta(days=1)


def _model_asset(spec: Spec) -> dg.AssetsDefinition:
    training_set = published_key(spec.training_model)

    @dg.asset(
        key=model_key(spec),
        deps=[training_set],
        group_name="models",
        description=(
            f"{spec.description}.\n\nTrained from the published `{spec.training_model}` as of a day, logged "
            "to MLflow with what is needed to rebuild its training set, and registered."
        ),
        owners=[ML],
        kinds={"pytorch", "mlflow"},
    )
    def train_model(context: dg.AssetExecutionContext, config: TrainConfig) -> dg.MaterializeResult[Any]:
        # torch and MLflow take seconds to import, and whoever only looks at the graph doesn't need them.
        from ml.train import train

        require_passed(spark_session(), "training")
        as_of = as_of_day(context, config, training_set)
        trained = train(spark_session(), spec, as_of, progress=context.log.info)
        return dg.MaterializeResult(
            metadata={
                "as_of": as_of.isoformat(),
                "model_version": trained.model_version,
                "mlflow_run_id": trained.run_id,
                "reproduce": f"lakehouse reproduce {trained.run_id}",
                **{name: float(value) for name, value in trained.metrics.items()},
                **{name: picture(path.read_bytes()) for name, path in trained.pictures.items()},
            }
        )

    return train_model


def picture(png: bytes) -> dg.MarkdownMetadataValue:
    """A PNG as metadata that the UI draws."""
    return dg.MetadataValue.md(f"![](data:image/png;base64,{base64.b64encode(png).decode()})")


def model_assets() -> list[dg.AssetsDefinition]:
    """One asset a spec."""
    return [_model_asset(load_spec(name)) for name in spec_names()]
