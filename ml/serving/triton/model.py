"""What Triton's Python backend runs for an exported version; `lakehouse export-triton` copies it there.

It needs no more than lies beside it, and the packages of deploy/triton/requirements.lock.
"""

import os
import sys
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent
# The code that came with the version, before any other that is installed; then what PYTHONPATH names, which
# the backend's interpreter passes over.
sys.path[:0] = [str(_FOLDER / "code"), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]

import numpy as np  # noqa: E402
import torch  # noqa: E402
import triton_python_backend_utils  # noqa: E402 # pyright: ignore[reportMissingImports]  # of Triton's own

from lakehouse.errors import LakehouseError  # noqa: E402
from ml.serving.triton.scorer import Scorer  # noqa: E402

triton: Any = triton_python_backend_utils


class TritonPythonModel:
    """One instance of a version; Triton calls it by these names."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the version; an error here keeps it from becoming ready."""
        # Sums in one order, as in batch scoring.
        torch.set_num_threads(1)
        self.scorer = Scorer.load(_FOLDER)
        triton.Logger.log_info(
            f"{args['model_name']} version {args['model_version']}: blocks of {self.scorer.blocks} rows, "
            f"golden rows differ by {self.scorer.max_abs_difference} from the export"
        )

    def execute(self, requests: list[Any]) -> list[Any]:
        """Requests that came together are scored together; each row gets the bits that it gets alone."""
        tensors = [self._tensors(request) for request in requests]
        try:
            return self._answers(tensors)
        except LakehouseError:
            # One of them cannot be read: the others get their scores.
            return [self._answer_or_error(each) for each in tensors]

    def _tensors(self, request: Any) -> tuple[Any, Any]:
        numeric = triton.get_input_tensor_by_name(request, "numeric")
        categorical = triton.get_input_tensor_by_name(request, "categorical")
        rows = (numeric or categorical).shape()[0]
        return (
            np.empty((rows, 0)) if numeric is None else numeric.as_numpy(),
            np.empty((rows, 0), object) if categorical is None else categorical.as_numpy(),
        )

    def _answers(self, tensors: list[tuple[Any, Any]]) -> list[Any]:
        numeric, categorical = (np.concatenate(each) for each in zip(*tensors, strict=True))
        scores = self.scorer.score(numeric, categorical)
        ends = np.cumsum([len(numeric) for numeric, _ in tensors])
        return [
            triton.InferenceResponse(
                [
                    triton.Tensor("score", scores.probability[start:end, None]),
                    triton.Tensor("missing_features", scores.missing[start:end, None]),
                    *([triton.Tensor("unseen", scores.unseen[start:end])] if scores.unseen.size else []),
                ]
            )
            for start, end in zip([0, *ends[:-1]], ends, strict=True)
        ]

    def _answer_or_error(self, tensors: tuple[Any, Any]) -> Any:
        try:
            return self._answers([tensors])[0]
        except LakehouseError as error:
            return triton.InferenceResponse(error=triton.TritonError(str(error)))
