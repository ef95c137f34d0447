"""The whole graph: landing → bronze → models → gates → training → scores → their quality."""

import os

import dagster as dg

from orchestration.alerts import alert_sensors
from orchestration.assets.bronze import bronze_assets
from orchestration.assets.dbt import dbt_definitions
from orchestration.assets.gates import gate_assets
from orchestration.assets.landing import landing_assets
from orchestration.assets.models import model_assets
from orchestration.assets.monitoring import monitoring_assets
from orchestration.assets.online import online_assets
from orchestration.assets.predictions import predictions_assets
from orchestration.assets.serving import serving_assets
from orchestration.automation import daily_job, follow_models, new_deliveries, retrain_job
from orchestration.instance import QUIET
from orchestration.lineage import lineage_sensor
from orchestration.maintenance import maintenance_job, weekly_maintenance
from orchestration.outside import ask_job, outside_sources
from orchestration.progress import progress_logger
from orchestration.reproduction import compare_job, reproduce_job
from orchestration.resources import dbt_resource
from orchestration.retraining import retraining

os.environ.update(QUIET)

defs = dg.Definitions(
    assets=[
        *landing_assets(),
        *bronze_assets(),
        *dbt_definitions(),
        *gate_assets(),
        *model_assets(),
        *serving_assets(),
        *predictions_assets(),
        *online_assets(),
        *monitoring_assets(),
    ],
    jobs=[daily_job, retrain_job, ask_job, maintenance_job, reproduce_job, compare_job],
    sensors=[new_deliveries, outside_sources, retraining, follow_models, *alert_sensors, lineage_sensor],
    schedules=[weekly_maintenance],
    resources={"dbt": dbt_resource()},
    loggers={"console": progress_logger},
    # A process a step would import Spark and torch for each, and two at once would share the engine's cores.
    executor=dg.in_process_executor,
)
