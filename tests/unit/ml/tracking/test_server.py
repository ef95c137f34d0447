"""What MLflow's application is told stands in variables that MLflow names."""

from ml.tracking.server import environment


def test_the_variables_are_mlflows() -> None:
    from mlflow.environment_variables import MLFLOW_SERVER_ALLOWED_HOSTS, MLFLOW_SERVER_ENABLE_JOB_EXECUTION
    from mlflow.server import constants, handlers

    known = {value for name, value in vars(constants).items() if name.endswith("_ENV_VAR")}
    known |= {handlers.STATIC_PREFIX_ENV_VAR, "_MLFLOW_SGI_NAME"}
    known |= {MLFLOW_SERVER_ALLOWED_HOSTS.name, MLFLOW_SERVER_ENABLE_JOB_EXECUTION.name}
    assert set(environment("/mlflow")) <= known
