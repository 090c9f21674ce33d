"""Every error microconv raises on purpose: what went wrong, what to do next, and the exit code it means."""

from __future__ import annotations

from typing import ClassVar


class MicroconvError(Exception):
    """Base of the tree: a message for a person, a hint with the next step, and an exit code."""

    exit_code: ClassVar[int] = 3

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.run_id: str | None = None
        """The run that it ended, once that is known: logs are searched by it."""

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class FindingsError(MicroconvError):
    """The run worked and found something that must stop a pipeline (a failed audit, a guard)."""

    exit_code = 1


class UsageError(MicroconvError):
    """The call or the configuration cannot be used as it is."""

    exit_code = 2


def needs_extra(what: str, extra: str) -> UsageError:
    """Return the error that says which packages are missing: those of an extra of ours."""
    return UsageError(
        f"{what} needs a package that is not installed.", hint=f'Install it: pip install "microconv[{extra}]".'
    )


class ConfigError(UsageError):
    """The configuration file, an environment override or a file it names is missing or wrong."""


class TaxonomyError(UsageError):
    """A taxonomy file cannot be used, or something names an entry that it does not have."""


class SourceError(MicroconvError):
    """The export cannot be read: no shards, a broken file, rows that do not belong to their day."""


class VanishedError(SourceError):
    """A shard that was listed is no longer there, as happens when the daily table replaces intraday."""


class EngineError(MicroconvError):
    """The engine refused or failed: disk, memory, permission, a broken database."""


class BudgetError(EngineError):
    """A query was not run, since it would cost more than the configuration allows."""


class TemplateError(EngineError):
    """A SQL template is missing, or was called with other parameters than it declares."""


class DestinationError(MicroconvError):
    """An export or a push failed, in whole or in part."""

    exit_code = 4


class LockedError(MicroconvError):
    """Another run holds the lock."""

    exit_code = 5


class AnalyticsError(MicroconvError):
    """GA4's own API refused or failed: credentials, permission, property, quota, network."""
