"""A model version with an alias or a tag keeps what it was built from; one without either does not."""

from datetime import UTC, datetime, timedelta

import pytest
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from lakehouse.delta.content_hash import content_hash
from lakehouse.delta.vacuum import VacuumedTable, vacuum
from lakehouse.settings import settings
from ml.data.training_set import read_spark
from ml.provenance.manifest import manifest_of
from ml.provenance.needs import model_needs
from ml.tracking.runs import MANIFEST, artifact, client
from tests.integration.ml.conftest import Platform, build_platform, train_platform


@pytest.fixture
def own(spark: SparkSession, schema: str) -> Platform:
    return build_platform(spark, schema)


def vacuumed(own: Platform) -> dict[str, VacuumedTable]:
    done = vacuum(own.spark, model_needs().needs, 0, tables=[own.features, own.training])
    return {table.name: table for table in done.tables}


def test_a_model_keeps_its_training_set_and_what_that_was_built_from(
    own: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    spark, registry = own.spark, client()
    trained = train_platform(own)
    name, version = trained.model_name, trained.model_version
    who = f"model {name} version {version}"
    manifest = manifest_of(trained.run_id)
    for table in (own.features, own.training):
        spark.sql(f"update {table} set wind_mph = 1")
    own.publish(own.features, own.training)

    done = vacuumed(own)
    assert {table: (found.freed, [kept.who for kept in found.kept_for]) for table, found in done.items()} == {
        own.features: ((), [who]),
        own.training: ((), [who]),
    }
    read = content_hash(read_spark(spark, manifest.pinned), manifest.columns.entity)
    assert read.rows == manifest.content.rows

    registry.set_model_version_tag(name, version, "audited", "yes")
    registry.delete_registered_model_alias(name, "champion")
    held = [(need.version.name, need.why) for need in model_needs().needs if need.who == who]
    assert {(own.training, "tag audited"), (own.features, "tag audited")} <= set(held)

    path = artifact(trained.run_id, MANIFEST)
    logged = path.read_text()
    path.write_text("{}")
    (untold,) = model_needs().untold
    assert untold.startswith(f"what {who} (tag audited) needs cannot be told")
    # Nobody knows which tables it needs: nothing is freed, and the reason is named.
    done = vacuum(spark, model_needs().needs, 0, untold=[untold], tables=[own.features, own.training])
    assert (done.tables, done.problems) == ((), (untold,))
    path.write_text(logged)

    # What a tag holds is bounded: by how many newer versions have one, and by age.
    later = datetime.now(UTC) + timedelta(days=settings().kept_model_days + 1)
    assert who in {need.who for need in model_needs(later).needs}
    monkeypatch.setattr(settings(), "kept_model_versions", 0)
    assert who in {need.who for need in model_needs().needs}
    assert who not in {need.who for need in model_needs(later).needs}
    monkeypatch.undo()

    registry.delete_model_version_tag(name, version, "audited")
    done = vacuumed(own)
    assert all(found.freed and not found.kept_files for found in done.values())
    with pytest.raises(PySparkException, match="FILE_NOT_EXIST"):
        read_spark(spark, manifest.pinned).collect()
