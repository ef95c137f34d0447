"""What a registered model says of the packages that it needs."""

import logging

import pytest
from mlflow.utils.environment import _process_conda_env

from ml.tracking.registry import environment


def test_mlflow_takes_the_environment_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    # MLflow's own loggers hand nothing on.
    logger = logging.getLogger("mlflow")
    logger.addHandler(caplog.handler)
    try:
        _, packages, constraints = _process_conda_env(environment())
    finally:
        logger.removeHandler(caplog.handler)
    assert caplog.messages == []
    assert {package.partition("==")[0] for package in packages} >= {"mlflow", "torch", "safetensors"}
    assert not constraints
