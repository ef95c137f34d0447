"""Where the pages of `lakehouse dev` are: one address, and a path for each server behind it.

Links from one of these pages to another are paths: they open whatever the port, and through a tunnel. Links
from elsewhere, such as a mail, need the whole address.
"""

import re

from lakehouse.settings import settings

DAGSTER, MLFLOW, DATA_DOCS, DBT_DOCS = "/dagster", "/mlflow", "/data_docs", "/dbt_docs"


def address(path: str = "/") -> str:
    """The whole address of a page, on the port of the settings; that of a team's own server as it is.

    >>> address("/dagster/runs").endswith("/dagster/runs")
    True
    """
    return path if "://" in path else f"http://127.0.0.1:{settings().ui_port}{path}"


def mlflow_pages() -> str:
    """Where MLflow's pages are: a path, or the address of the server that the settings name."""
    uri = settings().mlflow_tracking_uri or ""
    return re.sub(r"//[^/@]*@", "//", uri).rstrip("/") if uri.startswith("http") else MLFLOW


def dagster_run(run_id: str) -> str:
    """The path of a run's page in Dagster."""
    return f"{DAGSTER}/runs/{run_id}"


def dagster_asset(*key: str) -> str:
    """The path of an asset's page in Dagster.

    >>> dagster_asset("features", "flight_features")
    '/dagster/assets/features/flight_features'
    """
    return f"{DAGSTER}/assets/{'/'.join(key)}"


def mlflow_run(experiment_id: str, run_id: str) -> str:
    """The path of a training run's page in MLflow."""
    return f"{mlflow_pages()}/#/experiments/{experiment_id}/runs/{run_id}"


def mlflow_model(name: str, version: str) -> str:
    """The path of a model version's page in MLflow."""
    return f"{mlflow_pages()}/#/models/{name}/versions/{version}"


def data_docs(page: str) -> str:
    """The path of a page of Data Docs.

    Args:
        page: its file's URL, as a check noted it, perhaps in the folder of a warehouse that moved since.

    >>> data_docs("file:///old/data_docs/site/validations/a.html")
    '/data_docs/validations/a.html'
    """
    return f"{DATA_DOCS}/{page.rpartition('/data_docs/site/')[2]}"


def dbt_docs(unique_id: str) -> str:
    """The path of a node's page in dbt docs.

    >>> dbt_docs("model.lakehouse.flight_features")
    '/dbt_docs/#!/model/model.lakehouse.flight_features'
    """
    return f"{DBT_DOCS}/#!/{unique_id.partition('.')[0]}/{unique_id}"
