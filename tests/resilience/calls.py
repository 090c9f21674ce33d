"""Calls of BigQuery as the proxy sees them: which job of which step they submit, and what kind of call they are."""

from __future__ import annotations

import re
from typing import Any

from faulty_proxy import Call

_NAMES = (
    (r"/(queries|jobs)/.*", r"/\1/JOB"),
    (r"/d_\w+", "/EXPORT"),
    (r"/w_\w+", "/WORKING"),
    (r"/tables/(events|mc_scratch|mc)_\w+", r"/tables/\1"),
)


def job_id(call: Call) -> str:
    """The job that a call submits; none for a dry run, and for any other call."""
    submitted = _submitted(call)
    return "" if submitted["configuration"].get("dryRun") else str(submitted["jobReference"]["jobId"])


def step(call: Call) -> str:
    """The step that a call submits a job for, if it does; a dry run counts as well."""
    return _label(call, "step")


def run_of(call: Call) -> str:
    """The run that a call submits a job for, if it does."""
    return _label(call, "run")


def _label(call: Call, name: str) -> str:
    return str(_submitted(call)["configuration"].get("labels", {}).get(name, ""))


def _submitted(call: Call) -> dict[str, Any]:
    is_submit = call.method == "POST" and call.path.endswith("/jobs")
    return call.json() if is_submit else {"configuration": {}, "jobReference": {"jobId": ""}}


def shape(call: Call) -> tuple[str, str]:
    """Method and path of a call, without the names that it gives datasets, tables and jobs."""
    path = re.sub(r"^/bigquery/v2/projects/[^/]+", "", call.path)
    for pattern, general in _NAMES:
        path = re.sub(pattern, general, path)
    return call.method, path
