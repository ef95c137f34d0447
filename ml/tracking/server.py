"""MLflow's pages and API on a Unix socket, below a path: `python -m ml.tracking.server SOCKET PATH`.

`mlflow server` listens on a port, where each user of the machine could write; and it is a process that starts
another, which stays when the first is killed.
"""

import os
import sys

from lakehouse.settings import settings
from lakehouse.unix_server import serve
from ml.tracking.runs import client, tracking_uri


def environment(path: str) -> dict[str, str]:
    """What MLflow's application reads when it is imported, as `mlflow server` would set it.

    Args:
        path: below which it answers, such as `/mlflow`.
    """
    return {
        "_MLFLOW_SERVER_FILE_STORE": tracking_uri(),
        "_MLFLOW_SERVER_REGISTRY_STORE": tracking_uri(),
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": (settings().mlflow_dir / "artifacts").as_uri(),
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "_MLFLOW_STATIC_PREFIX": path,
        "_MLFLOW_SGI_NAME": "uvicorn",
        # Eight more processes for jobs that nothing here uses: half a gigabyte.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        # Whoever reaches the socket has looked at it.
        "MLFLOW_SERVER_ALLOWED_HOSTS": "*",
    }


def main(socket: str, path: str) -> None:
    """Serve until it is interrupted."""
    os.environ.update(environment(path))
    # Its database is made or migrated once.
    client()
    serve("mlflow.server.fastapi_app:app", socket)


if __name__ == "__main__":
    main(*sys.argv[1:])
