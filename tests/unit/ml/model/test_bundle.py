"""The network's encodings and shapes, the bundle's files, and the training loop."""

import doctest
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

import ml.data.columns
import ml.data.training_set
import ml.encoding.fit
import ml.evaluation.metrics
import ml.model.dropout
import ml.model.network
import ml.provenance.differences
import ml.spec
from lakehouse.errors import LakehouseError
from ml.encoding.fit import fit_encoding
from ml.encoding.tensors import Tensors, labels_of, to_tensors
from ml.model.bundle import BLOCK_ROWS, Bundle
from ml.model.network import Shape, TabularNetwork
from ml.spec import load_spec
from ml.training.checkpoint import Checkpoint
from ml.training.loop import DivergedError, Epoch, Fitted, fit, reproducible_torch

RANDOM = np.random.default_rng(0)
COUNT = 3000
X = RANDOM.normal(size=(COUNT, 3))
ROWS = pa.table(
    {
        "a": X[:, 0],
        "b": pa.array(X[:, 1], mask=RANDOM.random(COUNT) < 0.1),
        "c": X[:, 2],
        "origin": RANDOM.choice(["EWR", "JFK", "LGA"], COUNT),
        "is_late": X[:, 0] + 0.5 * RANDOM.normal(size=COUNT) > 0.5,
    }
)
SHAPE = Shape((32, 16), 2, 4, 0.1, 0.05)


def new_bundle(seed: int = 0) -> Bundle:
    encoding = fit_encoding(
        ROWS, ["a", "b", "c"], ["origin"], labels_of(ROWS, "is_late"), bins=8, min_bin_rows=50, rare_below=2
    )
    torch.manual_seed(seed)
    return Bundle(TabularNetwork(encoding, SHAPE).eval(), encoding, SHAPE)


@pytest.mark.parametrize(
    "module",
    [
        ml.provenance.differences, ml.data.columns, ml.encoding.fit, ml.data.training_set,
        ml.evaluation.metrics, ml.model.dropout, ml.model.network, ml.spec,
    ],
)  # fmt: skip
def test_doctests(module) -> None:
    outcome = doctest.testmod(module)
    assert outcome.attempted > 0
    assert outcome.failed == 0


def test_a_saved_bundle_scores_the_same(tmp_path: Path) -> None:
    bundle = new_bundle()
    bundle.save(tmp_path)
    again = Bundle.load(tmp_path)
    np.testing.assert_array_equal(again.predict(ROWS), bundle.predict(ROWS))
    assert again.to_files() == bundle.to_files()
    assert new_bundle(seed=1).weights_hash() != bundle.weights_hash()


def test_a_bundle_without_a_file_or_of_another_format_is_refused(tmp_path: Path) -> None:
    files = new_bundle().to_files()
    with pytest.raises(LakehouseError, match=r"lacks encoding\.json"):
        Bundle.from_files({name: content for name, content in files.items() if name != "encoding.json"})
    newer = files | {
        "model.json": files["model.json"].replace(b'"bundle_version": 2', b'"bundle_version": 3')
    }
    with pytest.raises(LakehouseError, match="has format 3"):
        Bundle.from_files(newer)


def test_a_row_gets_the_same_bits_alone_among_others_and_anywhere() -> None:
    bundle = new_bundle()
    together = bundle.predict(ROWS)
    assert COUNT > 2 * BLOCK_ROWS
    alone = np.concatenate([bundle.predict(ROWS.slice(at, 1)) for at in range(0, COUNT, 97)])
    np.testing.assert_array_equal(alone, together[::97])
    order = RANDOM.permutation(COUNT)
    np.testing.assert_array_equal(bundle.predict(ROWS.take(pa.array(order))), together[order])


def test_no_rows_and_missing_and_unseen_values_are_scored() -> None:
    bundle = new_bundle()
    assert bundle.predict(ROWS.slice(0, 0)).shape == (0,)
    nothing = pa.table({name: pa.nulls(1, ROWS.schema.field(name).type) for name in ROWS.schema.names})
    strange = pa.table({"a": [float("inf")], "b": [float("-inf")], "c": [float("nan")], "origin": ["XXX"]})
    for rows in (nothing, strange):
        assert 0.0 < bundle.predict(rows)[0] < 1.0
    of_nothing, of_strange = bundle.score(nothing), bundle.score(strange)
    assert (of_nothing.missing.tolist(), of_nothing.unseen.tolist()) == ([4], [[False]])
    assert (of_strange.missing.tolist(), of_strange.unseen.tolist()) == ([1], [[True]])


def fit_once(
    epochs: int = 4, patience: int = 3, seed: int = 3, weight_decay: float = 0.05
) -> tuple[Bundle, Fitted, list[Epoch]]:
    bundle = new_bundle()
    tensors = to_tensors(bundle.encoding, ROWS, "is_late")
    train, validation = (
        Tensors.of(tensors.numeric[part], tensors.codes[part], tensors.labels[part])
        for part in (slice(0, 2000), slice(2000, None))
    )
    budget = load_spec("arrival_delay").training.model_copy(
        update={
            "epochs": epochs,
            "patience": patience,
            "batch_size": 100,
            "learning_rate": 0.02,
            "weight_decay": weight_decay,
            "ema_decay": 0.9,
        }
    )
    seen: list[Epoch] = []
    with reproducible_torch(seed, 1):
        fitted = fit(bundle.network, train, validation, budget, lambda _: None, seen.append)
    return bundle, fitted, seen


def test_training_learns_and_repeats_bit_for_bit_for_a_seed() -> None:
    first, fitted, seen = fit_once()
    again, _, _ = fit_once()
    other, _, _ = fit_once(seed=4)
    assert fitted.epochs[-1].validation["auc"] > 0.9
    assert list(fitted.epochs) == seen
    assert first.weights_hash() == again.weights_hash() != other.weights_hash()


def test_training_stops_early_and_keeps_the_best_epoch() -> None:
    bundle, fitted, seen = fit_once(epochs=40, patience=2)
    losses = [epoch.validation["log_loss"] for epoch in seen]
    assert len(seen) == fitted.best + 2 < 40
    assert min(losses) == losses[fitted.best - 1]
    validation = ROWS.slice(2000)
    kept = ml.evaluation.metrics.log_loss(labels_of(validation, "is_late"), bundle.predict(validation))
    assert kept == pytest.approx(min(losses), abs=1e-6)


def test_with_nothing_to_validate_on_all_epochs_are_trained_and_the_last_is_kept() -> None:
    bundle = new_bundle()
    tensors = to_tensors(bundle.encoding, ROWS, "is_late")
    budget = load_spec("arrival_delay").training.model_copy(update={"epochs": 5, "patience": 1})
    kept: list[Checkpoint] = []
    with reproducible_torch(3, 1):
        nothing = tensors.part(0, 0)
        fitted = fit(bundle.network, tensors, nothing, budget, lambda _: None, lambda _: None, kept.append)
    assert (len(fitted.epochs), fitted.best) == (5, 5)
    assert all(epoch.validation == {} for epoch in fitted.epochs)
    assert all(
        torch.equal(tensor, kept[-1].average[name]) for name, tensor in bundle.network.state_dict().items()
    )


def test_a_training_that_diverges_says_so() -> None:
    with pytest.raises(DivergedError, match="after epoch 1 the loss or the scores became NaN") as refused:
        fit_once(weight_decay=1e30)
    assert "lower learning_rate" in refused.value.hint


def test_training_leaves_torch_as_it_was() -> None:
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(), torch.get_rng_state()
    with reproducible_torch(1, 1):
        torch.rand(3)
    assert before[:2] == (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled())
    assert torch.equal(before[2], torch.get_rng_state())


@pytest.mark.parametrize(
    ("labels", "message"), [([1, None], "1 rows have no late"), ([0, 3], "other than 0 and 1")]
)
def test_labels_that_cannot_be_trained_on_are_refused(labels: list[int | None], message: str) -> None:
    with pytest.raises(LakehouseError, match=message):
        labels_of(pa.table({"late": labels}), "late")
