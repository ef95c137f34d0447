"""How MLflow loads the model: as code with the bundle's files beside it, so nothing is pickled.

MLflow runs this file when it loads a model ("models from code").
"""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from ml.model.bundle import Bundle


class BundleModel(PythonModel):
    """Scores a frame of raw feature columns."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the bundle once."""
        self.bundle = Bundle.load(Path(context.artifacts["bundle"]))

    def predict(  # pyright: ignore[reportIncompatibleMethodOverride]  # MLflow declares None and wants a result
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Columns by name, `(rows, features)`, to one column `score`."""
        rows = pa.Table.from_pandas(model_input, preserve_index=False)
        return pd.DataFrame({"score": self.bundle.predict(rows)}, index=model_input.index)


set_model(BundleModel())
