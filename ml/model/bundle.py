"""A trained model as files: weights as safetensors, everything else as JSON; never pickle."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from lakehouse.errors import LakehouseError
from ml.encoding.arrow import ArrowRows
from ml.encoding.encode import MISSING, UNSEEN, Encoding, encode
from ml.model.network import Shape, TabularNetwork

BUNDLE_VERSION = 2
WEIGHTS, ENCODING, MODEL = "weights.safetensors", "encoding.json", "model.json"

# Every forward pass is over so many rows, padded: a score then doesn't depend on what is scored with it.
BLOCK_ROWS = 1024


class Scores(NamedTuple):
    """What a model says of rows, and what it did not know of them.

    Args:
        probability: of the label, `(rows,)`.
        missing: how many of a row's features are NULL or NaN, `(rows,)`.
        unseen: which categorical features of a row have a value that training had not, or too rarely,
            `(rows, categorical)`.
    """

    probability: npt.NDArray[np.float32]
    missing: npt.NDArray[np.int32]
    unseen: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Bundle:
    """A network ready to score, with what it needs to read raw columns."""

    network: TabularNetwork
    encoding: Encoding
    shape: Shape

    def predict(self, rows: ArrowRows) -> npt.NDArray[np.float32]:
        """The probability of the label for each row, shape `(rows,)`.

        An unseen category and a missing value are defined inputs. A row gets the same bits alone and among
        others, with the same number of torch threads on the same machine.

        Raises:
            LakehouseError: a feature is missing or has a type that can't be encoded.
        """
        return self.score(rows).probability

    def score(self, rows: ArrowRows) -> Scores:
        """The same, with what was not known of each row.

        Raises:
            LakehouseError: as `predict`.
        """
        numeric, codes = encode(self.encoding, rows)
        probability = np.empty(rows.num_rows, np.float32)
        self.network.eval()
        with torch.inference_mode():
            for start in range(0, rows.num_rows, BLOCK_ROWS):
                block = slice(start, start + BLOCK_ROWS)
                logits = self.network(_block(numeric[block]), _block(codes[block]))
                probabilities = torch.sigmoid(logits.double()).float().numpy()
                probability[block] = probabilities[: len(probability[block])]
        single = codes[:, : len(self.encoding.categories)]
        missing = np.isnan(numeric).sum(axis=1) + (single == MISSING).sum(axis=1)
        return Scores(probability, missing.astype(np.int32), single == UNSEEN)

    def to_files(self) -> dict[str, bytes]:
        """The bundle as file name to content; the same weights give the same bytes."""
        weights = {name: tensor.contiguous() for name, tensor in self.network.state_dict().items()}
        model = {"bundle_version": BUNDLE_VERSION, "shape": asdict(self.shape)}
        return {
            WEIGHTS: save_tensors(weights),
            ENCODING: self.encoding.to_json().encode(),
            MODEL: json.dumps(model, indent=1, sort_keys=True).encode(),
        }

    def weights_hash(self) -> str:
        """SHA-256 of the weights' file."""
        return hashlib.sha256(self.to_files()[WEIGHTS]).hexdigest()

    def save(self, folder: Path) -> None:
        """Write the files into a new or empty folder."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self.to_files().items():
            (folder / name).write_bytes(content)

    @staticmethod
    def from_files(files: Mapping[str, bytes]) -> "Bundle":
        """The inverse of `to_files`.

        Raises:
            LakehouseError: a file is missing, or was written by another version of this format.
        """
        missing = {WEIGHTS, ENCODING, MODEL} - set(files)
        if missing:
            raise LakehouseError(f"the model lacks {', '.join(sorted(missing))}")
        model: dict[str, Any] = json.loads(files[MODEL])
        if model["bundle_version"] != BUNDLE_VERSION:
            raise LakehouseError(
                f"the model has format {model['bundle_version']}, this code reads {BUNDLE_VERSION}",
                "score with the code that trained it (its archive is in the run), or promote a newer "
                "version: `lakehouse promote --version N --by NAME --reason WHY`",
            )
        shape = Shape(**(model["shape"] | {"hidden": tuple(model["shape"]["hidden"])}))
        encoding = Encoding.from_json(files[ENCODING].decode())
        network = TabularNetwork(encoding, shape)
        network.load_state_dict(load_tensors(files[WEIGHTS]))
        return Bundle(network.eval(), encoding, shape)

    @staticmethod
    def load(folder: Path) -> "Bundle":
        """Read a folder written by `save`."""
        return Bundle.from_files(read_files(folder))


def read_files(folder: Path) -> dict[str, bytes]:
    """The files of a saved bundle, as `Bundle.from_files` takes them.

    Raises:
        LakehouseError: one is missing.
    """
    try:
        return {name: (folder / name).read_bytes() for name in (WEIGHTS, ENCODING, MODEL)}
    except FileNotFoundError as error:
        raise LakehouseError(f"the model in {folder} lacks {Path(str(error.filename)).name}") from error


def _block(values: npt.NDArray[Any]) -> torch.Tensor:
    padding = [(0, BLOCK_ROWS - len(values)), (0, 0)]
    return torch.from_numpy(
        np.pad(values, padding) if len(values) < BLOCK_ROWS else np.ascontiguousarray(values)
    )
