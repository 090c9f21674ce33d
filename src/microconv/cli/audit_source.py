"""`microconv audit --source`: an export that nothing describes is looked into, staged, and audited."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microconv.cli import output
from microconv.errors import UsageError

if TYPE_CHECKING:
    from microconv.audit.audit_findings import AuditResult
    from microconv.config.sections import Config
    from microconv.project import Project

_DATASET = re.compile(r"([a-z][a-z0-9.:-]{4,62}[a-z0-9])\.([A-Za-z0-9_]{1,1024})")
_CONFIG = "microconv.toml"
_PROPERTY = "property"


def audited(project: Project, asked: dict[str, Any], log: output.Log) -> AuditResult:
    """Audit what a project has staged, and show how far it is."""
    with log.progress("Auditing") as show:
        return project.audit(**asked, on_progress=lambda each: show(each.number - 1, each.checks, each.check))


def audit_source(
    source: str,
    *,
    timezone: str | None,
    preset: str | None,
    keep: Path | None,
    asked: dict[str, Any],
    log: output.Log,
) -> AuditResult:
    """Stage an export in a folder of its own, with the preset that fits it, and audit it.

    Args:
        source: A folder of shards, or a dataset of BigQuery (`project.dataset`), which is pulled.
        timezone: The property's time zone; None: what the days say.
        preset: The preset; None: the one that fits best.
        keep: A new folder that configuration and database stay in; None: a temporary one, removed at the end.
        asked: What the audit is asked.
        log: Where it says what it chose.

    Raises:
        UsageError: `source` is neither, or an option cannot be used.
        SourceError: The export cannot be read.
    """
    from microconv.audit.preset_fit import event_names, fits, sentence
    from microconv.project import Project

    with _folder(keep) as folder:
        config = _config(source, folder, timezone, preset or "ecommerce", log)
        with Project(config) as project:
            _stage(project, log)
            found = fits(event_names(project.engine)) if preset is None else ()
        if found:
            log.info(sentence(found))
            if found[0].preset != "ecommerce":
                config = _config(source, folder, config.project.timezone, found[0].preset, None)
        with Project(config) as project:
            if found and found[0].preset != "ecommerce":
                _stage(project, log)
            for finding in project.export_findings():
                if finding.check == "time_zone":
                    log.warning(finding.message)
            result = audited(project, asked, log)
    if keep is not None:
        log.info(f"Configuration and database are kept in {keep}.")
    return result


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    """Give the folder to work in: one that is kept, or one that is gone at the end, also when that is an interrupt."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="microconv-audit-") as temporary:
            yield Path(temporary)
        return
    if keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
        raise UsageError(
            f"{keep} is there and is not an empty folder; it was left as it is.", hint="Name a new folder with --keep."
        )
    keep.mkdir(mode=0o700, parents=True, exist_ok=True)
    yield keep


def _config(source: str, folder: Path, timezone: str | None, preset: str, log: output.Log | None) -> Config:
    """Write the configuration of an export that nothing describes, and read it."""
    from microconv.config.load import load_config
    from microconv.config.starter import Answers, render_config, write_config
    from microconv.config.values import check_timezone
    from microconv.taxonomy import PRESETS

    if preset not in PRESETS:
        raise UsageError(f"There is no preset {preset!r}.", hint=f"Choose one of {', '.join(PRESETS)}.")
    try:
        zone = None if timezone is None else check_timezone(timezone)
    except ValueError as error:
        raise UsageError(f'--timezone "{timezone}" {error}.', hint="Name one such as Europe/Berlin.") from None
    exports = Path(source).expanduser()
    dataset = _DATASET.fullmatch(source)
    if dataset is not None and not exports.exists():
        answers = Answers(_PROPERTY, zone or "UTC", source, "USD", preset)
        text = _of_dataset(render_config(answers, folder, "events_*", folder), *dataset.groups())
    else:
        answers, shards = _answers(exports, zone, preset, log)
        text = render_config(answers, exports, shards, folder)
    path = folder / _CONFIG
    write_config(text, path, force=True)
    return load_config(path, {})


def _answers(exports: Path, zone: str | None, preset: str, log: output.Log | None) -> tuple[Any, str]:
    from microconv.config.starter import Answers
    from microconv.engines.duckdb import IN_MEMORY, DuckDBEngine
    from microconv.exports.survey import look_into
    from microconv.staging.first_look import first_look

    export = look_into(exports, _PROPERTY)
    with DuckDBEngine(IN_MEMORY) as engine:
        seen = first_look(engine, export.pattern, _PROPERTY)
    zones = seen.days.zones if seen.days else ()
    proposed = zones[0] if zones and "UTC" not in zones else "UTC"
    chosen, currency = zone or proposed, seen.currency or "USD"
    if log is not None:
        for said in (*export.sentences(), *seen.sentences()):
            log.info(said)
        if zone is None:
            log.info(f"The time zone is taken as {chosen}; --timezone names another one.")
        for objection in seen.objections(chosen, currency):
            log.warning(objection)
    return Answers(_PROPERTY, chosen, seen.host or exports.name, currency, preset), Path(export.pattern).name


def _of_dataset(text: str, project: str, dataset: str) -> str:
    """Return a configuration with a dataset as its source, in place of files."""
    return re.sub(
        r'kind = "files"\npath = .*',
        lambda _: f'kind = "bigquery"\nproject = "{project}"\ndataset = "{dataset}"',
        text,
        count=1,
    )


def _stage(project: Any, log: output.Log) -> None:  # noqa: ANN401 - a Project, loaded by who makes it
    with log.progress("Staging") as show:
        project.sync(on_progress=lambda each: show(each.done, each.total, each.step, run_id=each.run_id))
