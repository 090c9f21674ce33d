"""microconv every hour on the Airflow worker itself. Airflow 2.10 or newer, microconv on the worker's PATH."""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow import DAG

try:
    from airflow.providers.standard.operators.bash import BashOperator
except ImportError:  # Airflow 2 has it in the core
    from airflow.operators.bash import BashOperator

with DAG(
    "microconv_sync",
    description="Stage what changed in the GA4 export",
    schedule="5 * * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,  # a sync stages whatever is missing, however old
    max_active_runs=1,
    dagrun_timeout=timedelta(minutes=55),
    # microconv tries again what may work a moment later; what it reports after that, a retry does not mend.
    default_args={"retries": 0, "cwd": "/srv/shop", "do_xcom_push": False},
):
    sync = BashOperator(
        task_id="sync",
        bash_command="exec microconv --log-format json sync --format json",  # exec: a stopped task sends it SIGTERM
        skip_on_exit_code=5,  # another run holds the lock: skipped, not failed
    )
    # Exit code 1 is an outage of the tracking: this task fails, and what depends on it does not run.
    coverage = BashOperator(task_id="coverage", bash_command="exec microconv coverage --fail-on-outage --format json")
    sync >> coverage
