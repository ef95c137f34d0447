"""A version as a model repository of Triton: the same bits from what was copied, and nothing in part."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from lakehouse.errors import LakehouseError
from lakehouse.settings import PROJECT_ROOT
from ml.encoding.encode import Cross, Encoding
from ml.model.bundle import WEIGHTS, Bundle
from ml.model.network import Shape, TabularNetwork
from ml.serving.triton import export as export_module
from ml.serving.triton.config import config_of
from ml.serving.triton.export import Exported, export, sources_of
from ml.serving.triton.golden import golden_rows
from ml.serving.triton.scorer import NULL, Scorer, rows_of
from ml.tracking.registry import ModelVersion

ENCODING = Encoding(
    {"delay": (0.0, 10.0, 60.0), "wind": (0.0, 2.5)},
    {"origin": ("EWR", "JFK"), "carrier": ("", "AA", "Ü")},
    (Cross("origin", "carrier", (11, 12, 17)),),
)
SHAPE = Shape((32, 16), 2, 4, 0.1, 0.0)


def new_bundle(encoding: Encoding = ENCODING, seed: int = 0) -> Bundle:
    torch.manual_seed(seed)
    return Bundle(TabularNetwork(encoding, SHAPE).eval(), encoding, SHAPE)


def new_version(tmp_path: Path, version: str = "3", seed: int = 0) -> ModelVersion:
    folder = tmp_path / f"registered-{version}"
    new_bundle(seed=seed).save(folder)
    return ModelVersion("late_model", version, "run1", folder)


# Of the models here no digest was written down: a warehouse that trained lets none of them through.
pytestmark = pytest.mark.usefixtures("own_warehouse")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def exported(tmp_path: Path, repository: Path) -> Exported:
    return export(new_version(tmp_path), repository)


def test_the_golden_rows_hold_what_can_come() -> None:
    rows = golden_rows(ENCODING)
    assert all(column.null_count > 0 for column in rows.columns)
    scores = new_bundle().score(rows)
    assert scores.unseen.any(axis=0).all() and scores.missing.max() > 1
    delays = rows.column("delay").drop_null().to_numpy()
    assert delays.min() < 0 and delays.max() > 60


def test_a_version_scores_by_what_was_copied_alone(exported: Exported) -> None:
    """In a process that sees the packages, but not this checkout; that an editable install would show it."""
    site = next(path for path in sys.path if path.endswith("site-packages"))
    rows = golden_rows(ENCODING, rows=100)
    numeric = np.stack([rows.column(name).fill_null(np.nan).to_numpy() for name in ENCODING.edges], axis=1)
    texts = [rows.column(name).to_pylist() for name in ENCODING.categories]
    script = f"""
import json, sys
sys.path[:0] = [{str(exported.folder / "code")!r}, {site!r}]
from pathlib import Path
import numpy as np, torch
torch.set_num_threads(1)
from ml.serving.triton.scorer import Scorer
numeric, texts = json.loads(sys.stdin.read())
texts = [[None if each is None else each.encode() for each in column] for column in texts]
categorical = np.array([[{NULL!r} if each is None else each for each in row] for row in zip(*texts)], object)
scorer = Scorer.load(Path({str(exported.folder)!r}))
scores = scorer.score(np.array(numeric, np.float64), categorical)
ours = sorted(name for name in sys.modules if name.partition(".")[0] in ("ml", "lakehouse"))
print(json.dumps([scores.probability.view(np.int32).tolist(), scores.missing.tolist(),
    scores.unseen.tolist(), scorer.max_abs_difference, [sys.modules[name].__file__ for name in ours]]))
"""
    told = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script],
        input=json.dumps([numeric.tolist(), texts]),
        capture_output=True,
        text=True,
        check=True,
    )
    bits, missing, unseen, difference, files = json.loads(told.stdout)
    torch.set_num_threads(1)
    expected = new_bundle().score(rows)
    assert bits == expected.probability.view(np.int32).tolist()
    assert missing == expected.missing.tolist() and unseen == expected.unseen.tolist()
    assert difference == 0.0
    assert all(file.startswith(str(exported.folder)) for file in files)


def test_null_is_one_zero_byte_and_an_empty_text_is_a_value() -> None:
    categorical = np.array([[b"JFK", b""], [NULL, NULL], [b"", "Ü".encode()]], object)
    rows = rows_of(ENCODING, np.array([[1.0, np.nan], [2.0, 3.0], [-1.0, 0.0]]), categorical)
    assert rows.column("origin").to_pylist() == ["JFK", None, ""]
    assert rows.column("carrier").to_pylist() == ["", None, "Ü"]
    scores = new_bundle().score(rows)
    assert scores.missing.tolist() == [1, 2, 0]
    assert scores.unseen.tolist() == [[False, False], [False, False], [True, False]]


def test_text_that_is_not_utf8_is_refused_by_its_feature() -> None:
    with pytest.raises(LakehouseError, match="feature carrier is not UTF-8"):
        rows_of(ENCODING, np.zeros((1, 2)), np.array([[b"JFK", b"\xff"]], object))


def test_the_configuration_says_what_goes_in_and_out() -> None:
    text = config_of("late_model", "3", ENCODING, {"run_id": 'r"1'})
    assert text.count("{") == text.count("}") and text.count("[") == text.count("]")
    assert 'input [ { name: "numeric" data_type: TYPE_FP64 dims: [ 2 ] } ]' in text
    assert 'input [ { name: "categorical" data_type: TYPE_STRING dims: [ 2 ] } ]' in text
    assert "versions: [ 3 ]" in text
    quoted = re.search(r'key: "numeric_features" value: { string_value: "(.*)" }', text)
    assert quoted is not None
    assert json.loads(json.loads(f'"{quoted[1]}"')) == ["delay", "wind"]
    assert r'string_value: "r\"1"' in text


def test_a_model_without_categories_has_one_input() -> None:
    text = config_of("m", "1", Encoding({"delay": (0.0, 1.0)}, {}), {})
    assert "categorical" not in text.replace("categorical_features", "") and "unseen" not in text


def test_a_second_version_is_served_and_the_first_one_stays(tmp_path: Path, repository: Path) -> None:
    first = export(new_version(tmp_path), repository)
    second = export(new_version(tmp_path, "12", seed=1), repository)
    config = repository / "late_model" / "config.pbtxt"
    assert "versions: [ 12 ]" in config.read_text()
    assert first.folder.is_dir() and second.written
    again = export(new_version(tmp_path), repository)
    assert not again.written
    assert "versions: [ 3 ]" in config.read_text()
    assert sorted(path.name for path in config.parent.iterdir()) == ["12", "3", "config.pbtxt"]


def test_a_version_that_is_there_with_other_files_is_not_replaced(tmp_path: Path, exported: Exported) -> None:
    (exported.folder / "bundle" / WEIGHTS).write_bytes(b"other")
    config = exported.folder.parent / "config.pbtxt"
    config.write_text("as it was")
    with pytest.raises(LakehouseError, match="has other files than this export"):
        export(new_version(tmp_path), exported.repository)
    assert config.read_text() == "as it was"


def test_an_export_that_fails_leaves_nothing(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(export_module, "_let_all_read", full)
    with pytest.raises(OSError, match="no space left"):
        export(new_version(tmp_path), repository)
    assert list((repository / "late_model").iterdir()) == []


def test_weights_that_were_changed_do_not_load(tmp_path: Path, exported: Exported) -> None:
    new_bundle(seed=9).save(tmp_path / "other")
    shutil.copy(tmp_path / "other" / WEIGHTS, exported.folder / "bundle" / WEIGHTS)
    with pytest.raises(LakehouseError, match="differ by"):
        Scorer.load(exported.folder)


def test_a_file_for_a_folder_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "models"
    file.touch()
    with pytest.raises(LakehouseError, match="not a folder for models"):
        export(new_version(tmp_path), file)


def test_the_code_that_travels_needs_no_spark_and_no_registry() -> None:
    files = {str(path.relative_to(PROJECT_ROOT)) for path in sources_of("ml.serving.triton.scorer")}
    assert {
        "ml/model/bundle.py",
        "ml/encoding/encode.py",
        "ml/serving/golden.py",
        "lakehouse/errors.py",
        "ml/__init__.py",
    } <= files
    assert not [file for file in files if "tracking" in file or "settings" in file or "engine" in file]


def test_what_makes_the_bits_is_pinned_as_in_the_project() -> None:
    def pins(path: Path) -> dict[str, str]:
        return dict(re.findall(r"^([a-z-]+)==(\S+)", path.read_text(), flags=re.MULTILINE))

    triton, project = (
        pins(PROJECT_ROOT / path) for path in ("deploy/triton/requirements.lock", "requirements.lock")
    )
    for name in ("torch", "pyarrow", "safetensors"):
        assert triton[name] == project[name], (
            f"change deploy/triton/requirements.in, then `make lock`: {name}"
        )
    assert triton["numpy"].startswith("1.26.")
