"""The space that a spec's section `tune` spans, checked by the fields it is about."""

from pathlib import Path

import pytest
import yaml

from lakehouse.errors import LakehouseError
from ml.spec import SPECS_DIR, Spec, load_spec
from ml.training.tune import best_yaml

SHIPPED = yaml.safe_load((SPECS_DIR / "arrival_delay.yml").read_text())


def load(folder: Path, **changes: object) -> Spec:
    (folder / "arrival_delay.yml").write_text(yaml.safe_dump(SHIPPED | changes))
    return load_spec("arrival_delay", folder)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"training.speed": {"low": 1, "high": 2}}, r"training\.speed: no such field; known: encoding\.bins"),
        ({"leak_auc": {"low": 0.6, "high": 0.9}}, "leak_auc: no such field"),
        ({"training.learning_rate": {"low": 0.1, "high": 2}}, r"learning_rate: 2: .*less than or equal to 1"),
        ({"network.dropout": {"low": -0.1, "high": 0.5}}, r"dropout: -0\.1: .*greater than or equal to 0"),
        ({"encoding.bins": {"low": 2.5, "high": 8}}, r"bins: 2\.5: .*valid integer"),
        ({"encoding.bins": {"low": 8, "high": 8}}, "low 8 is not below high 8"),
        ({"network.dropout": {"low": 0, "high": 0.5, "log": True}}, "log needs low above 0"),
        ({"network.dropout": {"low": 0}}, r"network\.dropout\.range\.high: Field required"),
        ({"network.hidden": {"low": 8, "high": 64}}, r"network\.hidden: a range is of numbers"),
        ({"network.hidden": {"choices": [[64], [0]]}}, r"network\.hidden: \[0\]: "),
        ({"network.hidden": {"choices": [[64]]}}, r"choices\.choices: .*at least 2"),
        ({"network.heads": {"choices": [1, "many"]}}, r"network\.heads: many: .*valid integer"),
        ({"network.heads": {"choices": [1, 2], "low": 1}}, "Extra inputs are not permitted"),
        ({"network.heads": 3}, r"tune\.network\.heads"),
    ],
)
def test_a_wrong_space_is_refused_by_field(tmp_path: Path, space: dict[str, object], message: str) -> None:
    with pytest.raises(LakehouseError, match=message):
        load(tmp_path, tune=space)


def test_a_part_that_is_wrong_itself_is_named_alone(tmp_path: Path) -> None:
    with pytest.raises(LakehouseError, match=r"encoding\.bins: Input should be greater") as refused:
        load(tmp_path, encoding={"bins": 1, "rare_below": 2}, tune={"encoding.bins": {"low": 2, "high": 8}})
    assert "tune" not in refused.value.what


def test_a_space_is_no_part_of_what_is_trained(tmp_path: Path) -> None:
    with_space, without = load(tmp_path), load(tmp_path, tune={})
    assert with_space.tune
    assert with_space.model_dump_json() == without.model_dump_json()
    assert Spec.model_validate_json(with_space.model_dump_json()).tune == {}


def test_other_values_make_a_checked_spec(tmp_path: Path) -> None:
    spec = load(tmp_path)
    other = spec.having({"network.hidden": [8, 4], "training.learning_rate": 0.5})
    assert (other.network.hidden, other.training.learning_rate) == ((8, 4), 0.5)
    assert other.network.heads == spec.network.heads
    with pytest.raises(ValueError, match="learning_rate"):
        spec.having({"training.learning_rate": 5})


def test_the_best_values_can_be_put_into_the_spec_as_printed(tmp_path: Path) -> None:
    space = {"network.hidden": {"choices": [[8, 4], [16]]}, "encoding.bins": {"low": 2, "high": 9}}
    spec = load(tmp_path, tune=space)
    values = {"network.hidden": [8, 4], "encoding.bins": 3}
    printed = best_yaml(spec, values)
    assert "\n\nnetwork:\n  hidden: [8, 4]\n  heads: 2\n" in printed
    assert "training" not in printed
    assert load(tmp_path, **yaml.safe_load(printed)).model_dump() == spec.having(values).model_dump()
