"""Monitoring: one asset per spec that says how; its days judged beside those before them, with pictures."""

from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Any

import dagster as dg

from lakehouse.addresses import address, dagster_asset
from lakehouse.dbt.manifest import current_models
from lakehouse.dbt.reference import TABLE
from lakehouse.engine.session import spark_session
from ml.spec import Spec, load_spec, spec_names
from orchestration.assets.models import champion_key, picture
from orchestration.owners import ML
from orchestration.partitions import DAYS, ONE_RUN, days_of
from orchestration.run import SKIPPED
from orchestration.translator import table_key

CHECKS = {
    "scores_as_before": "No day's scores are further from the training set's than is usual in the season.",
    "calibrated_as_before": "No day's share of positives lies further from the mean score than is usual.",
    "features_as_before": "No feature stands out among all; a warning, as features explain an alarm.",
}


def monitoring_key(spec: Spec) -> dg.AssetKey:
    """The asset of what monitoring says of a spec's scores."""
    return dg.AssetKey(["monitoring", spec.name])


def monitoring_asset(spec: Spec) -> dg.AssetsDefinition:
    """What monitoring says of a spec's scores."""
    key, rule = monitoring_key(spec), spec.monitoring
    models = current_models()
    marts = [table_key(models.table(name)) for name in (rule.drift_model, rule.quality_model) if name]

    @dg.asset(
        key=key,
        deps=marts,
        group_name="monitoring",
        description=(
            "Which scored days are unlike the days of the season before them: drift of the scores and "
            "calibration raise an alarm, features explain it. Nothing is kept here: `lakehouse monitor` says "
            "the same of any days, from the marts."
        ),
        owners=[ML],
        kinds={"python"},
        partitions_def=DAYS,
        backfill_policy=ONE_RUN,
        output_required=False,
        check_specs=[dg.AssetCheckSpec(name, asset=key, description=about) for name, about in CHECKS.items()],
    )
    def judge_days(
        context: dg.AssetExecutionContext,
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        from ml.monitoring import plots
        from ml.monitoring.alarms import tell
        from ml.monitoring.days import monitored_days

        first, last = days_of(context)
        days = monitored_days(spark_session(), spec, first, last, context.log.info)
        if not days:
            context.log_event(dg.AssetObservation(key, metadata={SKIPPED: "no day of these was scored"}))
            # What was not looked at is not as before.
            for name in CHECKS:
                yield _check(key, name, ["no day of these was scored, so nothing was compared"])
            return
        tell(spec.name, days, address(dagster_asset(*key.path)))
        newest = days[-1]
        of_version = [each for each in days if each.model_version == newest.model_version]
        alarms = [(each.day, alarm) for each in days for alarm in each.judged.alarms]
        named = {f"{each.day}": [one.name for one in each.judged.named] for each in days if each.judged.named}
        yield dg.MaterializeResult(
            metadata={
                "days": len({each.day for each in days}),
                # A part of their flights is due: what passed says nothing of them.
                "not_judged_yet": sorted({f"{each.day}" for each in days if not each.judged.features}),
                "alarms": [f"{day}: {alarm.name} {alarm.value:.3g}" for day, alarm in alarms],
                "features_that_stand_out": named,
                "model_version": newest.model_version,
                "outputs": _drawn(plots.outputs(of_version)),
                "features": _drawn(plots.features(newest)),
            }
        )
        scores = [each for each in days if each.judged.score and each.judged.score.stands_out]
        gaps = [each for each in days if each.judged.calibration and each.judged.calibration.stands_out]
        for name, out in (("scores_as_before", scores), ("calibrated_as_before", gaps)):
            yield _check(key, name, [str(each.day) for each in out])
        yield _check(
            key, "features_as_before", [f"{day}: {', '.join(names)}" for day, names in named.items()]
        )

    return judge_days


def _check(key: dg.AssetKey, name: str, found: list[str]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=name,
        passed=not found,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"found": found},
    )


def _drawn(figure: Any) -> dg.MarkdownMetadataValue:
    png = BytesIO()
    figure.savefig(png, format="png", dpi=90)
    return picture(png.getvalue())


def reference_spec(specs: Sequence[Spec]) -> dg.AssetSpec:
    """The table of references: written by the step that scores, before a version's first score."""
    return dg.AssetSpec(
        table_key(TABLE),
        deps=[champion_key(spec) for spec in specs],
        group_name="monitoring",
        description="What models were trained on: rows of each feature and of the scores by bin.",
        owners=[ML],
        kinds={"deltalake"},
    )


def monitoring_assets() -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """One asset per spec whose scores have a mart of drift, and what they are all compared with."""
    specs = [load_spec(name) for name in spec_names()]
    monitored = [spec for spec in specs if spec.monitoring.drift_model is not None]
    return [reference_spec(monitored), *map(monitoring_asset, monitored)] if monitored else []
