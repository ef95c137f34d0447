"""A day of the lakehouse: ingest, features, and on the first of a month train and promote; then score.

Each task is a command of the project, in the project's own environment; nothing of it is imported here. What
a command did is in its warehouse, so a day may run again, late, or after it was killed: what is there is not
done twice. One day at a time, as all of them work on one warehouse.

Read from the environment of Airflow's processes, as they parse this file:

    LAKEHOUSE_FIRST_DAY, LAKEHOUSE_LAST_DAY   the days of the DAG, as of the graph (docs/settings.md)
    AIRFLOW_VAR_LAKEHOUSE_PROJECT             the clone; by default the one that this file lies in
    AIRFLOW_VAR_LAKEHOUSE_SPEC                which model
    AIRFLOW_VAR_LAKEHOUSE_MAIL                who is told of a failure; by the connection `smtp_default`
"""

import os
from datetime import timedelta
from pathlib import Path

import pendulum
from airflow.providers.smtp.notifications.smtp import send_smtp_notification
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, CronDataIntervalTimetable

PROJECT = os.environ.get("AIRFLOW_VAR_LAKEHOUSE_PROJECT", str(Path(__file__).resolve().parents[3]))
SPEC = os.environ.get("AIRFLOW_VAR_LAKEHOUSE_SPEC", "arrival_delay")
MAIL = os.environ.get("AIRFLOW_VAR_LAKEHOUSE_MAIL")
FIRST_DAY = os.environ.get("LAKEHOUSE_FIRST_DAY", "2013-01-01")
LAST_DAY = os.environ.get("LAKEHOUSE_LAST_DAY", "2013-12-31")
# When the last deliveries of a day are in, as a cron line in UTC: the run after it is for the day before.
SCHEDULE = "30 11 * * *"

# The day that a run is for, and the one after it: what was known before that began is trained on.
DAY, NEXT = "{{ ds }}", "{{ macros.ds_add(ds, 1) }}"
# A command that is not to run today ends with the code that Airflow takes for "skipped".
MONTHLY = "{{ '' if macros.ds_add(ds, 1).endswith('-01') else 'exit 99; ' }}"

COMMANDS = {
    "ingest": f"lakehouse materialize --select 'group:landing or group:bronze' --date {DAY} --json",
    "features": (
        "lakehouse materialize --select 'not (group:landing or group:bronze or group:models "
        f"or group:predictions or group:marts or group:monitoring)' --date {DAY} --json"
    ),
    # Evaluated on its last whole month, logged and registered.
    "train": f"""lakehouse materialize --select 'key:"models/{SPEC}"' --as-of {NEXT} --json""",
    # Only what is better than the champion, on days that neither was trained on.
    "promote": f"""lakehouse materialize --select 'key:"champions/{SPEC}"' --json""",
    # Drift is judged of the day's scores, by its marts.
    "score": (
        "lakehouse materialize --select 'group:predictions or group:marts or group:monitoring' "
        f"--date {DAY} --json"
    ),
}


def task(name: str, before: str = "", **options: object) -> BashOperator:
    """One command; what it prints on standard error is its task's log."""
    return BashOperator(task_id=name, bash_command=f"{before}{COMMANDS[name]}", cwd=PROJECT, **options)


with DAG(
    "lakehouse_day",
    description="Ingest, features, train, promote, score",
    schedule=CronDataIntervalTimetable(SCHEDULE, timezone="UTC"),
    start_date=pendulum.parse(FIRST_DAY),
    end_date=None if LAST_DAY == "open" else pendulum.parse(LAST_DAY).add(days=1),
    catchup=True,
    max_active_runs=1,
    default_args={
        "retries": 2,
        "retry_delay": timedelta(minutes=10),
        "execution_timeout": timedelta(hours=3),
        "env": {"PATH": f"{PROJECT}/.venv/bin:{os.environ.get('PATH', '')}"},
        "append_env": True,
        # A day builds on the one before.
        "depends_on_past": True,
        **({"on_failure_callback": [send_smtp_notification(to=MAIL)]} if MAIL else {}),
    },
    tags=["lakehouse"],
    doc_md=__doc__,
) as dag:
    ingest, features = task("ingest"), task("features")
    train, promote = task("train", MONTHLY), task("promote")
    # Also on a day without a training.
    score = task("score", trigger_rule="none_failed")
    ingest >> features >> train >> promote >> score
