"""The whole graph: landing → bronze → models → gates → training → scores → their quality."""

import os

import dagster as dg

from orchestration.assets.bronze import bronze_assets
from orchestration.assets.dbt import dbt_definitions
from orchestration.assets.gates import gate_assets
from orchestration.assets.landing import landing_assets
from orchestration.assets.models import model_assets
from orchestration.assets.predictions import predictions_assets
from orchestration.automation import daily_job, monthly_retraining, new_deliveries, retrain_job
from orchestration.instance import QUIET
from orchestration.progress import progress_logger
from orchestration.reproduction import compare_job, reproduce_job
from orchestration.resources import dbt_resource

os.environ.update(QUIET)

defs = dg.Definitions(
    assets=[
        *landing_assets(),
        *bronze_assets(),
        *dbt_definitions(),
        *gate_assets(),
        *model_assets(),
        *predictions_assets(),
    ],
    jobs=[daily_job, retrain_job, reproduce_job, compare_job],
    sensors=[new_deliveries],
    schedules=[monthly_retraining],
    resources={"dbt": dbt_resource()},
    loggers={"console": progress_logger},
    # A process a step would import Spark and torch for each, and two at once would share the engine's cores.
    executor=dg.in_process_executor,
)
