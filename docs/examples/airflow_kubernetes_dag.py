"""microconv every hour in a pod of its own: the image of Dockerfile, and apache-airflow-providers-cncf-kubernetes.

Kubernetes has a ConfigMap `microconv-config` with the key microconv.toml, which uses `[engine] kind = "bigquery"`, and
a service account `microconv` that is bound to one of Google's (workload identity), so that there is no key.
"""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow import DAG
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from kubernetes.client import models as k8s

with DAG(
    "microconv_sync_pod",
    description="Stage what changed in the GA4 export",
    schedule="5 * * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,  # a sync stages whatever is missing, however old
    max_active_runs=1,
    dagrun_timeout=timedelta(minutes=55),
):
    KubernetesPodOperator(
        task_id="sync",
        name="microconv-sync",
        image="europe-west1-docker.pkg.dev/my-project/tools/microconv:0.1.0",
        arguments=["--log-format", "json", "sync", "--format", "json"],
        env_vars={"MICROCONV_CONFIG": "/etc/microconv/microconv.toml"},
        service_account_name="microconv",
        volumes=[
            k8s.V1Volume(name="config", config_map=k8s.V1ConfigMapVolumeSource(name="microconv-config")),
        ],
        volume_mounts=[k8s.V1VolumeMount(name="config", mount_path="/etc/microconv", read_only=True)],
        container_resources=k8s.V1ResourceRequirements(requests={"cpu": "250m", "memory": "512Mi"}),
        security_context={"runAsNonRoot": True},
        # microconv tries again what may work a moment later; what it reports after that, a retry does not mend.
        retries=0,
        skip_on_exit_code=5,  # another run holds the lock: skipped, not failed
        termination_grace_period=60,  # seconds from SIGTERM to SIGKILL
        do_xcom_push=False,
    )
