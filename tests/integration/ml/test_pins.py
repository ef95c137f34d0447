"""A model version with an alias or a tag keeps what it was built from; one without either does not."""

import pytest
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from lakehouse.delta.content_hash import content_hash
from lakehouse.delta.vacuum import VacuumedTable, vacuum
from lakehouse.errors import LakehouseError
from ml.data.training_set import read_spark
from ml.manifest import manifest_of
from ml.pins import model_needs
from ml.tracking import MANIFEST, artifact, client
from tests.integration.ml.conftest import Platform, build_platform, train_platform


@pytest.fixture
def own(spark: SparkSession, schema: str) -> Platform:
    return build_platform(spark, schema)


def vacuumed(own: Platform) -> dict[str, VacuumedTable]:
    done = vacuum(own.spark, model_needs(), 0, tables=[own.features, own.training])
    return {table.name: table for table in done.tables}


def test_a_model_keeps_its_training_set_and_what_that_was_built_from(own: Platform) -> None:
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
    held = [(need.version.name, need.why) for need in model_needs() if need.who == who]
    assert {(own.training, "tag audited"), (own.features, "tag audited")} <= set(held)

    path = artifact(trained.run_id, MANIFEST)
    logged = path.read_text()
    path.write_text("{}")
    with pytest.raises(LakehouseError, match=rf"what {who} \(tag audited\) needs cannot be told"):
        model_needs()
    path.write_text(logged)

    registry.delete_model_version_tag(name, version, "audited")
    done = vacuumed(own)
    assert all(found.freed and not found.kept_files for found in done.values())
    with pytest.raises(PySparkException, match="FILE_NOT_EXIST"):
        read_spark(spark, manifest.pinned).collect()
