"""Versions that no run made go away with the tests that registered them: vacuum would ask what they need."""

from collections.abc import Iterator

import mlflow
import pytest

from ml.tracking.runs import client


@pytest.fixture(scope="module", autouse=True)
def _registered_without_a_run() -> Iterator[None]:
    registry = client()
    before = {model.name for model in mlflow.search_registered_models()}
    yield
    for model in mlflow.search_registered_models():
        if model.name not in before and model.name.startswith("model_l"):
            registry.delete_registered_model(model.name)
