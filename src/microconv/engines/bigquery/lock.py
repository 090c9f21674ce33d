"""The lock of a run: one row that only one run at a time can hold, and that nobody holds for longer than a lease.

A run that slept past its lease finds out before it writes: each of its transactions renews the row, and fails when the
row is another's. Who takes the lock over writes the same row, and BigQuery lets no two transactions change one table at
the same time (https://cloud.google.com/bigquery/docs/transactions#transaction_concurrency). All times are BigQuery's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from microconv.engines.bigquery.jobs import Jobs, MissingTableError, Statement
from microconv.errors import EngineError, LockedError
from microconv.queries.templates import Value

_STEP = "lock"
_COLUMNS = """`mc_lock`
OPTIONS (description = 'Which run writes, if any: one row, kept by microconv.', labels = [('app', 'microconv')])
AS SELECT
  CAST(NULL AS STRING) AS run_id,
  CAST(NULL AS STRING) AS owner,
  CAST(NULL AS TIMESTAMP) AS acquired_at,
  CAST(NULL AS TIMESTAMP) AS expires_at"""
_IS_FREE = "(l.run_id IS NULL OR l.expires_at IS NULL OR l.expires_at < CURRENT_TIMESTAMP())"
_LEASE_END = "TIMESTAMP_ADD(CURRENT_TIMESTAMP(), INTERVAL @lease_seconds SECOND)"
_LOOK = f"SELECT l.run_id, l.owner, l.acquired_at, l.expires_at, NOT {_IS_FREE} AS is_held FROM `mc_lock` AS l"
# A change waits for transactions on the table, so a lock that is held is only looked at.
_TAKE = f"""IF EXISTS (SELECT 1 FROM `mc_lock` AS l WHERE {_IS_FREE}) THEN
UPDATE `mc_lock` AS l
SET run_id = @run_id, owner = @owner, acquired_at = CURRENT_TIMESTAMP(), expires_at = {_LEASE_END}
WHERE {_IS_FREE};
END IF;
{_LOOK};
"""
_RENEW = f"UPDATE `mc_lock` AS l SET expires_at = {_LEASE_END} WHERE l.run_id = @run_id"
_FREE = """UPDATE `mc_lock` AS l
SET run_id = NULL, owner = NULL, acquired_at = NULL, expires_at = NULL
WHERE l.run_id = @run_id"""
_FENCE = (
    _RENEW,
    "IF @@row_count != 1 THEN RAISE USING MESSAGE = 'The lock was lost; nothing was changed.'; END IF",
)


@dataclass(frozen=True)
class Holder:
    """Who holds the lock, since when, and until when without a sign of life."""

    run_id: str
    owner: str
    acquired_at: datetime
    expires_at: datetime

    def __str__(self) -> str:
        return (
            f"{self.owner} (run {self.run_id}) since {_moment(self.acquired_at)}; "
            f"its lease ends at {_moment(self.expires_at)}"
        )


class Lock:
    """The lock of the working dataset, as one engine sees it; `run_id` is the run that holds it here, if any."""

    def __init__(
        self, jobs: Jobs, place: Callable[[], str], lease_seconds: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Take how the dataset is called in messages, and how long the lock outlives a holder that is gone."""
        self._jobs = jobs
        self._place = place
        self._lease_seconds = lease_seconds
        self._clock = clock
        self._renewed_at = 0.0
        self.run_id: str | None = None

    def take(self, run_id: str, owner: str) -> None:
        """Take the lock if nobody holds it.

        Raises:
            LockedError: somebody does.
        """
        self.run_id, self._renewed_at = run_id, self._clock()  # before the call: should it be cut off, `free` must know
        script = f"CREATE TABLE IF NOT EXISTS {_COLUMNS};\n{_TAKE}"
        found = self._ask(script, run_id, owner)
        if len(found) != 1:  # somebody emptied the table, or wrote into it: no row is anybody's
            found = self._ask(f"CREATE OR REPLACE TABLE {_COLUMNS};\n{_TAKE}", run_id, owner)
        holder = _holder(found)
        if holder is None or holder.run_id != run_id:
            self.run_id = None
            raise self._locked(holder)

    def _ask(self, script: str, run_id: str, owner: str) -> list[dict[str, Value]]:
        params = {"owner": ("STRING", owner), **self._params(run_id)}
        statement = Statement(_STEP, script, params)
        try:
            return self._rows(statement)
        except EngineError:
            # Two that create or change the table at once may both be told of it. One of them has it by now.
            if self.holder() is None:
                return self._rows(statement)
            return self._rows(Statement(_STEP, _LOOK))

    def _rows(self, statement: Statement) -> list[dict[str, Value]]:
        rows: list[dict[str, Value]] = self._jobs.rows(self._jobs.run(statement), statement.step).to_pylist()
        return rows

    def holder(self) -> Holder | None:
        """Return who holds the lock now; None when nobody does."""
        try:
            return _holder(self._rows(Statement(_STEP, _LOOK)))
        except MissingTableError:
            return None

    def renew_when_due(self) -> None:
        """Renew the lease when a third of it is over, so that no job that starts now outlasts it.

        Raises:
            LockedError: it ended long ago, and another run has taken the lock.
        """
        if self.run_id is None or self._clock() - self._renewed_at <= self._lease_seconds / 3:
            return
        asked_at = self._clock()
        if self._change(_RENEW, self._params(self.run_id)) != 1:
            raise self._locked(self.holder(), is_lost=True)
        self._renewed_at = asked_at

    def fence(self) -> tuple[tuple[str, ...], dict[str, tuple[str, Value]]]:
        """Return the statements, and their parameters, that a transaction of this run begins with."""
        return ((), {}) if self.run_id is None else (_FENCE, self._params(self.run_id))

    def refuse_when_lost(self) -> None:
        """Look whether this run still holds its lock, after a transaction of it failed.

        Raises:
            LockedError: it does not.
        """
        holder = self.holder() if self.run_id else None
        if self.run_id and (holder is None or holder.run_id != self.run_id):
            raise self._locked(holder, is_lost=True)

    def free(self) -> None:
        """Give the lock back, if it is still this run's."""
        if self.run_id is not None:
            run_id, self.run_id = self.run_id, None
            self._change(_FREE, {"run_id": ("STRING", run_id)})

    def _change(self, sql: str, params: dict[str, tuple[str, Value]]) -> int:
        """Change the row and return how many rows that was."""
        try:
            return self._jobs.run(Statement(_STEP, sql, params)).num_dml_affected_rows or 0
        except MissingTableError:
            return 0

    def _params(self, run_id: str) -> dict[str, tuple[str, Value]]:
        return {"run_id": ("STRING", run_id), "lease_seconds": ("INT64", self._lease_seconds)}

    def _locked(self, holder: Holder | None, *, is_lost: bool = False) -> LockedError:
        who = f"is locked by {holder}" if holder else "was locked by another run"
        if is_lost:
            return LockedError(
                f"This run lost its lock: it was silent for longer than its lease. {self._place()} {who}.",
                hint="Nothing was half-written; the next `microconv sync` does the rest. Was this machine asleep?",
            )
        return LockedError(
            f"{self._place()} {who}.",
            hint="Wait until that run has ended; a run that died gives the lock back when its lease ends.",
        )


def _holder(rows: list[dict[str, Value]]) -> Holder | None:
    held = [row for row in rows if row["is_held"]]
    if not held:
        return None
    row = held[0]
    return Holder(**{name: row[name] for name in ("run_id", "owner", "acquired_at", "expires_at")})  # type: ignore[arg-type]  # the types of mc_lock


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
