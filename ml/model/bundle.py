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
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from lakehouse.errors import LakehouseError
from ml.encoding.arrow import ArrowRows
from ml.encoding.encode import MISSING, UNSEEN, Codes, Encoding, Floats, encode
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
        return self.score_encoded(*encode(self.encoding, rows))

    def score_encoded(self, numeric: Floats, codes: Codes, block_rows: int = BLOCK_ROWS) -> Scores:
        """Scores of rows as `encode` gives them.

        Args:
            block_rows: of a forward pass. Whether fewer rows give the same bits depends on the CPU's kernels:
                whoever asks for fewer proves it first (`ml.serving.golden`).
        """
        probability = np.empty(len(numeric), np.float32)
        self.network.eval()
        with torch.inference_mode():
            for start in range(0, len(numeric), block_rows):
                block = slice(start, start + block_rows)
                logits = self.network(_block(numeric[block], block_rows), _block(codes[block], block_rows))
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
            LakehouseError: a file is missing or damaged, or was written by another version of this format.
        """
        missing = {WEIGHTS, ENCODING, MODEL} - set(files)
        if missing:
            raise LakehouseError(f"the model lacks {', '.join(sorted(missing))}")
        try:
            model: dict[str, Any] = json.loads(files[MODEL])
            if model["bundle_version"] != BUNDLE_VERSION:
                raise LakehouseError(
                    f"the model has format {model['bundle_version']}, this code reads {BUNDLE_VERSION}",
                    "score with the code that trained it (its archive is in the run), or promote a newer "
                    "version: `lakehouse promote --version N --by NAME --reason WHY`",
                )
            shape = Shape(**(model["shape"] | {"hidden": tuple(model["shape"]["hidden"])}))
            encoding = Encoding.from_json(files[ENCODING].decode())
            network = _network(encoding, shape, load_tensors(files[WEIGHTS]))
        # What json, safetensors and torch raise of files that are not theirs.
        except (ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError) as error:
            raise LakehouseError(
                f"the model's files do not fit together: {error}",
                "they are damaged or not this project's: promote another version, or train again",
            ) from error
        return Bundle(network, encoding, shape)

    @staticmethod
    def load(folder: Path) -> "Bundle":
        """Read a folder written by `save`."""
        return Bundle.from_files(read_files(folder))


def _network(encoding: Encoding, shape: Shape, weights: Mapping[str, torch.Tensor]) -> TabularNetwork:
    """The network of these weights. What the files claim costs no memory before the weights are there for it.

    Raises:
        ValueError, RuntimeError: they are another network's.
    """
    if shape.heads + len(shape.hidden) > len(weights):
        raise ValueError(f"{len(weights)} weights are not those of {shape.heads} heads of {shape.hidden}")
    with torch.device("meta"):
        claimed = TabularNetwork(encoding, shape).state_dict()
    wrong = [name for name in weights.keys() | claimed.keys() if _size(weights, name) != _size(claimed, name)]
    if wrong:
        raise ValueError(f"{len(wrong)} weights have another size: {', '.join(sorted(wrong)[:3])}")
    network = TabularNetwork(encoding, shape)
    network.load_state_dict(weights)
    return network.eval()


def _size(tensors: Mapping[str, torch.Tensor], name: str) -> torch.Size | None:
    return tensors[name].shape if name in tensors else None


def read_files(folder: Path) -> dict[str, bytes]:
    """The files of a saved bundle, as `Bundle.from_files` takes them.

    Raises:
        LakehouseError: one is missing.
    """
    try:
        return {name: (folder / name).read_bytes() for name in (WEIGHTS, ENCODING, MODEL)}
    except FileNotFoundError as error:
        raise LakehouseError(f"the model in {folder} lacks {Path(str(error.filename)).name}") from error


def _block(values: npt.NDArray[Any], rows: int) -> torch.Tensor:
    """As many rows as a block has: a padded copy where there are fewer."""
    if len(values) == rows:
        return torch.from_numpy(np.ascontiguousarray(values))
    padded = np.zeros((rows, values.shape[1]), values.dtype)
    padded[: len(values)] = values
    return torch.from_numpy(padded)
