"""Calls of BigQuery as the proxy sees them: which job of which step they submit, and what kind of call they are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from faulty_proxy import Call, Fault

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


class EachFails:
    """A rule by which each call fails so many times before it is made: one fault after the other, over all calls.

    Calls are told apart by what they ask: method, path, and the job and step that they submit.
    """

    def __init__(self, times: int, faults: Sequence[Fault], first: int = 0) -> None:
        self._times = times
        self._faults = faults
        self._next = first
        self._seen: Counter[tuple[str, ...]] = Counter()

    def __call__(self, call: Call) -> Fault | None:
        key = call.method, call.path, job_id(call), step(call)
        self._seen[key] += 1
        if self._seen[key] > self._times:
            return None
        self._next += 1
        return self._faults[self._next % len(self._faults)]
