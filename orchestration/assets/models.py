"""Models: two assets per spec in `ml/specs/`: trained as of a day, and promoted if better."""

import base64
from datetime import date, timedelta
from typing import Any

import dagster as dg

from expectations.gate import require_passed
from lakehouse.addresses import address, dagster_run
from lakehouse.engine.session import spark_session
from ml.spec import Spec, load_spec, spec_names
from orchestration.column_lineage import show_column_lineage
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


def champion_key(spec: Spec) -> dg.AssetKey:
    """The asset of the version of a spec's model that scores."""
    return dg.AssetKey(["champions", spec.name])


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
        from ml.tracking.runs import client, run_page
        from ml.training.train import train

        require_passed(spark_session(), "training")
        as_of = as_of_day(context, config, training_set)
        trained = train(spark_session(), spec, as_of, progress=context.log.info)
        # The way back, from MLflow's page of the run.
        client().set_tag(trained.run_id, "dagster_run", address(dagster_run(context.run_id)))
        read = trained.manifest.training_set.name
        inputs = trained.manifest.columns.features
        show_column_lineage(context, model_key(spec), {name: [(read, name)] for name in inputs})
        return dg.MaterializeResult(
            metadata={
                "as_of": as_of.isoformat(),
                "model_version": trained.model_version,
                "mlflow_run_id": trained.run_id,
                "mlflow_run": dg.MetadataValue.url(run_page(trained.run_id)),
                "reproduce": f"lakehouse reproduce {trained.run_id}",
                **{name: float(value) for name, value in trained.metrics.items()},
                **{name: picture(path.read_bytes()) for name, path in trained.pictures.items()},
            }
        )

    return train_model


def champion_asset(spec: Spec) -> dg.AssetsDefinition:
    """The version of a spec's model that scores."""

    @dg.asset(
        key=champion_key(spec),
        deps=[model_key(spec)],
        group_name="models",
        description=(
            "The model version that scores. The newest one takes over if it is better by the spec's rule: "
            f"{spec.promotion.metric}, with all of the gain's interval above {spec.promotion.min_gain:g} "
            f"({spec.promotion.confidence:.0%}, by a paired bootstrap over days that neither was trained on)."
        ),
        owners=[ML],
        kinds={"mlflow"},
        automation_condition=dg.AutomationCondition.eager(),
    )
    def deploy_if_better(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        # torch and MLflow take seconds to import, and whoever only looks at the graph doesn't need them.
        from ml.evaluation.promotion import promote_if_better
        from ml.tracking.registry import CHALLENGER, CHAMPION, aliases, model_by_alias

        if CHALLENGER not in aliases(spec.registered_model):
            champion = model_by_alias(spec.registered_model, CHAMPION)
            return dg.MaterializeResult(
                metadata={"model_version": champion.version, "decision": "there is no challenger"}
            )
        decision = promote_if_better(spark_session(), spec, progress=context.log.info)
        return dg.MaterializeResult(
            metadata={
                "model_version": decision.challenger if decision.promoted else decision.champion,
                "decision": decision.reason,
                "evaluated_on": f"{decision.evaluation.table} as of {decision.evaluation.as_of}",
                "evaluation_days": f"{decision.evaluation.first} … {decision.evaluation.last}",
                "evaluation_rows": decision.evaluation.rows,
                "gain": decision.gain.estimate,
                "gain_low": decision.gain.low,
                "gain_high": decision.gain.high,
            }
        )

    return deploy_if_better


def picture(png: bytes) -> dg.MarkdownMetadataValue:
    """A PNG as metadata that the UI draws."""
    return dg.MetadataValue.md(f"![](data:image/png;base64,{base64.b64encode(png).decode()})")


def model_assets() -> list[dg.AssetsDefinition]:
    """A model and its champion for each spec."""
    specs = [load_spec(name) for name in spec_names()]
    return [make(spec) for spec in specs for make in (_model_asset, champion_asset)]
