"""Where the first-party tables come from: a file named in the configuration, or a table of the engine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from microconv.activation.audience.people import ConsentRecord, Person
from microconv.activation.audience.people_tables import (
    consents_from_rows,
    people_from_rows,
    read_consents,
    read_people,
)
from microconv.config.sections import Config, ConsentConfig, IdentityConfig, PeopleTable
from microconv.engines.base import Engine
from microconv.errors import ConfigError, EngineError
from microconv.files import readable
from microconv.own_tables.cells import rows_of
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.taxonomy import Taxonomy

_BATCH_ROWS = 20_000


def read_identity(config: IdentityConfig, engine: Engine, config_file: Path) -> Iterator[Person]:
    """Yield who is behind each user_id.

    Raises:
        ConfigError: no identity table is configured, or it cannot be read.
    """
    if config.file is not None:
        return read_people(config.file)
    with_columns = _read(config, engine, config_file, "segments/identity", "who is behind a user_id")
    return people_from_rows(*with_columns, source=f"The identity table {config.table}")


def read_consent(config: ConsentConfig, engine: Engine, config_file: Path) -> Iterator[ConsentRecord]:
    """Yield who agreed to what.

    Raises:
        ConfigError: no consent table is configured, or it cannot be read.
    """
    if config.file is not None:
        return read_consents(config.file)
    with_columns = _read(config, engine, config_file, "segments/consent", "who agreed to advertising")
    return consents_from_rows(*with_columns, source=f"The consent table {config.table}")


def consent_stamp(config: ConsentConfig, engine: Engine, config_file: Path) -> str:
    """Return a text that is the same, within a process, while nothing in the consent table changes.

    Raises:
        ConfigError: no consent table is configured, or it cannot be read.
    """
    if config.file is not None:
        with readable(f"The consent file {config.file}"), config.file.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    _, rows = _read(config, engine, config_file, "segments/consent", "who agreed to advertising")
    return str(sum(map(hash, rows)))


def consent_signature(config: ConsentConfig, engine: Engine, config_file: Path) -> str:
    """Return what `consent_stamp` does, from metadata where these tell of every change, and so at once.

    Raises:
        ConfigError: no consent table is configured, or it cannot be read.
    """
    if config.file is not None:
        with readable(f"The consent file {config.file}"):
            found = config.file.stat()
        return f"{found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"
    table = engine.find_table(config.table) if config.table is not None else None
    if table is not None and table.modified_at is not None:
        return table.modified_at.isoformat()
    return consent_stamp(config, engine, config_file)


def _read(
    config: PeopleTable, engine: Engine, config_file: Path, template: str, purpose: str
) -> tuple[Sequence[str], Iterable[Sequence[object]]]:
    """Return the columns of a table of the engine, and its rows."""
    section = template.removeprefix("segments/")
    if config.table is None:
        raise ConfigError(
            f"{config_file} has no [{section}], so nobody knows {purpose}: nothing can be exported.",
            hint=f"Set `file` (CSV or Parquet) or `table` under [{section}].",
        )
    try:
        table = engine.query(templates.query(template, relations={section: config.table}))
    except EngineError as error:
        raise ConfigError(
            f"{section}.table = {config.table!r} in {config_file} cannot be read ({error.message})",
            hint="Check its name and columns; docs/audiences.md lists them.",
        ) from error
    batches = table.to_batches(max_chunksize=_BATCH_ROWS)
    return table.column_names, (row for batch in batches for row in rows_of(batch))


def examples(config: Config, _taxonomy: Taxonomy) -> Iterator[tuple[str | None, Query]]:
    """Yield the queries of the first-party tables that are tables of the engine."""
    for section in ("identity", "consent"):
        people: PeopleTable = getattr(config, section)
        if people.table is not None:
            yield None, templates.query(f"segments/{section}", relations={section: people.table})
