"""Challengers that are better, equal and worse than the champion, and the way back."""

import json
import uuid

import pytest

from lakehouse.engine.session import spark_session
from lakehouse.errors import LakehouseError
from ml.evaluation.promotion import promote_by_name, promote_if_better
from ml.spec import Spec
from ml.tracking.registry import CHALLENGER, CHAMPION, PREVIOUS, aliases, model_by_alias, rollback
from ml.tracking.runs import artifact, client
from ml.training.train import train
from tests.integration.ml.conftest import AS_OF, Platform, build_platform


@pytest.fixture(scope="module")
def own(_engine: None) -> Platform:
    """A platform of its own: promotions are seen by whoever scores."""
    spark, schema = spark_session(), f"t_{uuid.uuid4().hex[:10]}"
    spark.sql(f"create schema {schema}")
    return build_platform(spark, schema)


def _weak(spec: Spec) -> Spec:
    budget = spec.training.model_copy(update={"epochs": 1, "learning_rate": 1e-5})
    return spec.model_copy(update={"training": budget})


def test_a_better_challenger_takes_over_an_equal_and_a_worse_one_do_not(own: Platform) -> None:
    spark, spec = own.spark, own.spec

    def trained(made: Spec) -> str:
        return train(spark, made, AS_OF, models=own.models).run_id

    trained(_weak(spec))
    with pytest.raises(LakehouseError, match="has no alias challenger"):
        promote_if_better(spark, spec)

    made = train(spark, spec, AS_OF, models=own.models)
    better = made.run_id
    decision = promote_if_better(spark, spec)
    assert decision.promoted, decision.reason
    assert decision.gain.low > 0
    assert (decision.evaluation.days, decision.evaluation.rows) == (31, 31 * 8)
    assert aliases(spec.registered_model) == {CHAMPION: "2", PREVIOUS: "1"}
    logged = json.loads(artifact(better, "promotion/against_version_1.json").read_text())
    assert logged["evaluation"]["table"]["version"] == 0
    assert logged["challenger_metrics"] == decision.challenger_metrics
    # What was registered has been trained on these rows; what is measured here has not.
    assert decision.challenger_metrics == made.metrics
    assert artifact(better, "plots/calibration_against_version_1.png").read_bytes().startswith(b"\x89PNG")
    tags = client().get_model_version(spec.registered_model, "2").tags
    assert tags["promotion"] == decision.reason

    trained(spec)
    equal = promote_if_better(spark, spec)
    assert (equal.promoted, equal.gain.estimate) == (False, 0.0)
    assert equal.champion_metrics == equal.challenger_metrics

    trained(_weak(spec))
    worse = promote_if_better(spark, spec)
    assert not worse.promoted
    assert worse.gain.high < 0
    assert aliases(spec.registered_model) == {CHAMPION: "2", PREVIOUS: "1", CHALLENGER: "4"}


def test_a_person_may_promote_with_a_reason_and_the_way_back_is_one_step(own: Platform) -> None:
    name = own.spec.registered_model
    with pytest.raises(LakehouseError, match="needs a name and a reason"):
        promote_by_name(own.spec, "4", "A. Lin", " ")
    assert promote_by_name(own.spec, "4", "A. Lin", "a drill") == "2"
    assert model_by_alias(name, CHAMPION).version == "4"
    assert client().get_model_version(name, "4").tags["promotion"] == "promoted by A. Lin: a drill"

    assert rollback(name) == ("4", "2")
    assert aliases(own.spec.registered_model) == {CHAMPION: "2"}
    with pytest.raises(LakehouseError, match="has had no champion before"):
        rollback(name)
