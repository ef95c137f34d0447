"""What is loaded of files that others may have written runs none of their code, and writes nowhere else."""

import json
import os
import pickle
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lakehouse.backup.contents import LIST, read_list
from lakehouse.errors import LakehouseError
from lakehouse.ingest.declarations import load_source
from ml.encoding.encode import Encoding
from ml.model.bundle import ENCODING, MODEL, WEIGHTS, Bundle
from ml.model.network import Shape, TabularNetwork
from ml.spec import Spec, load_spec

ENTRY = Encoding({"delay": (0.0, 10.0)}, {"origin": ("EWR", "JFK")})
SHAPE = Shape((8, 4), 2, 6, 0.1, 0.0)


class Payload:
    """Pickled, it leaves a file where it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return (os.mkdir, (str(self.mark),))


def bundle_files() -> dict[str, bytes]:
    return Bundle(TabularNetwork(ENTRY, SHAPE).eval(), ENTRY, SHAPE).to_files()


def with_shape(**changed: Any) -> bytes:
    model = json.loads(bundle_files()[MODEL])
    return json.dumps(model | {"shape": model["shape"] | changed}).encode()


def with_encoding(**changed: Any) -> bytes:
    return json.dumps(json.loads(ENTRY.to_json()) | changed).encode()


def test_a_pickle_works_where_it_is_loaded_as_one(tmp_path: Path) -> None:
    """Else the tests below would hold of a payload that never fires."""
    pickle.loads(pickle.dumps(Payload(tmp_path / "fired")))  # noqa: S301
    assert (tmp_path / "fired").is_dir()


@pytest.mark.parametrize("name", [WEIGHTS, ENCODING, MODEL])
def test_no_file_of_a_model_is_unpickled(tmp_path: Path, name: str) -> None:
    files = bundle_files() | {name: pickle.dumps(Payload(tmp_path / "fired"))}
    with pytest.raises(LakehouseError, match="do not fit together"):
        Bundle.from_files(files)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (WEIGHTS, b""),
        (WEIGHTS, (2**62).to_bytes(8, "little") + b"{}"),
        (WEIGHTS, bundle_files()[WEIGHTS][:-4]),
        (MODEL, with_shape(hidden=[10**9, 4])),
        (MODEL, with_shape(hidden=[8, 10**9])),
        (MODEL, with_shape(hidden=[4] * 10**5)),
        (MODEL, with_shape(heads=10**9)),
        (MODEL, with_shape(heads=3)),
        (MODEL, with_shape(embedding_width="6")),
        (MODEL, b"[" * 100_000),
        (MODEL, b"null"),
        (ENCODING, with_encoding(numeric={"delay": ["0", "1"]})),
        (ENCODING, with_encoding(categorical={"origin": ["EWR", "JFK", "LGA"]})),
        (ENCODING, b"\xff"),
    ],
    ids=str,
)
def test_a_model_whose_files_do_not_fit_is_refused_and_costs_nothing(name: str, content: bytes) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(LakehouseError, match="do not fit together"):
        Bundle.from_files(bundle_files() | {name: content})
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024, "KiB"


def test_a_model_is_loaded_as_it_was() -> None:
    files = bundle_files()
    assert Bundle.from_files(files).to_files() == files


def load_spec_file(path: Path) -> Spec:
    return load_spec(path.stem, path.parent)


YAML_PAYLOADS = {
    "a call": "!!python/object/apply:os.mkdir ['{mark}']",
    "an object": "name: !!python/object/new:os.mkdir ['{mark}']",
    "a module": "name: !!python/module:antigravity",
    "nested aliases": "a: &a [x, x]\n"
    + "".join(
        f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefghi", "bcdefghij", strict=True)
    ),
}


@pytest.mark.parametrize("text", YAML_PAYLOADS.values(), ids=YAML_PAYLOADS)
@pytest.mark.parametrize("load", [load_source, load_spec_file])
def test_yaml_calls_nothing_and_grows_to_nothing(
    tmp_path: Path, load: Callable[[Path], object], text: str
) -> None:
    path = tmp_path / "thing.yml"
    path.write_text(text.format(mark=tmp_path / "fired"))
    with pytest.raises(LakehouseError) as raised:
        load(path)
    assert list(tmp_path.iterdir()) == [path]
    assert len(str(raised.value)) < 20_000


@pytest.mark.parametrize(
    "path", ["../outside", "a/../../outside", "/etc/outside", "a//b", "./a", "", "..", "a/\0b"]
)
@pytest.mark.parametrize("where", ["files", "empty_folders"])
def test_a_backup_names_nothing_outside_of_the_warehouse(tmp_path: Path, path: str, where: str) -> None:
    whole = {
        "format_version": 1,
        "created_at": "2013-10-01T00:00:00Z",
        "warehouse": "/somewhere",
        "left_out": [],
        "empty_folders": ["good"],
        "files": {"tables/a.db/good": {"size": 1, "sha256": "0", "modified_ns": 1}},
    }
    (tmp_path / LIST).write_text(json.dumps(whole))
    assert list(read_list(tmp_path).files) == ["tables/a.db/good"]

    file = {"size": 1, "sha256": "0", "modified_ns": 1}
    whole[where] = {path: file} if where == "files" else [path]
    (tmp_path / LIST).write_text(json.dumps(whole))
    with pytest.raises(LakehouseError, match="is no path below the warehouse"):
        read_list(tmp_path)
