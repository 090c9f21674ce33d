"""`microconv audit --source`: an export that nothing describes is looked into, staged, and audited."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microconv.cli import output
from microconv.cli.context import open_project
from microconv.errors import UsageError

if TYPE_CHECKING:
    from microconv.audit.audit_findings import AuditResult
    from microconv.config.sections import Config
    from microconv.config.starter import Answers
    from microconv.project import Project
    from microconv.staging.day_zones import Fit

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

    with _folder(keep) as folder:
        answers = _seen(source, timezone, preset or "ecommerce", log)
        config = _config(source, folder, answers)
        with open_project(config) as project:
            _stage(project, log)
            staged = answers
            if preset is None:
                found = fits(event_names(project.engine))
                log.info(sentence(found))
                answers = replace(answers, preset=found[0].preset)
            if _dataset(source) is not None:
                answers = _told_by_days(project, answers, timezone, log)
        if answers != staged:
            config = _config(source, folder, answers)
        with open_project(config) as project:
            if answers != staged:
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


def _dataset(source: str) -> re.Match[str] | None:
    """Return project and dataset where `source` names these, and is no folder."""
    return None if Path(source).expanduser().exists() else _DATASET.fullmatch(source)


def _config(source: str, folder: Path, answers: Answers) -> Config:
    """Write the configuration of an export that nothing describes, and read it."""
    from microconv.config.load import load_config
    from microconv.config.starter import render_config, write_config
    from microconv.exports.survey import look_into

    if (dataset := _dataset(source)) is not None:
        text = _of_dataset(render_config(answers, folder, "events_*", folder), *dataset.groups())
    else:
        exports = Path(source).expanduser()
        text = render_config(answers, exports, Path(look_into(exports, _PROPERTY).pattern).name, folder)
    path = folder / _CONFIG
    write_config(text, path, force=True)
    return load_config(path, {})


def _seen(source: str, timezone: str | None, preset: str, log: output.Log) -> Answers:
    """Return what a configuration asks for, as a first look at a folder tells it; of a dataset, days tell it later."""
    from microconv.config.starter import Answers
    from microconv.config.values import check_timezone
    from microconv.engines.duckdb import IN_MEMORY, DuckDBEngine
    from microconv.exports.survey import look_into
    from microconv.staging.first_look import first_look
    from microconv.taxonomy import PRESETS

    if preset not in PRESETS:
        raise UsageError(f"There is no preset {preset!r}.", hint=f"Choose one of {', '.join(PRESETS)}.")
    try:
        zone = None if timezone is None else check_timezone(timezone)
    except ValueError as error:
        raise UsageError(f'--timezone "{timezone}" {error}.', hint="Name one such as Europe/Berlin.") from None
    if _dataset(source) is not None:
        return Answers(_PROPERTY, zone or "UTC", source, "USD", preset)
    exports = Path(source).expanduser()
    export = look_into(exports, _PROPERTY)
    with DuckDBEngine(IN_MEMORY) as engine:
        seen = first_look(engine, export.pattern, _PROPERTY)
    chosen, currency = zone or _likeliest(seen.days) or "UTC", seen.currency or "USD"
    for said in (*export.sentences(), *seen.sentences()):
        log.info(said)
    if zone is None:
        log.info(f"The time zone is taken as {chosen}; --timezone names another one.")
    for objection in seen.objections(chosen, currency):
        log.warning(objection)
    return Answers(_PROPERTY, chosen, seen.host or exports.name, currency, preset)


def _told_by_days(project: Project, answers: Answers, timezone: str | None, log: output.Log) -> Answers:
    """Return the answers with the time zone and the currency that the staged days tell."""
    from microconv.staging import export_findings
    from microconv.staging.day_zones import fit, read_week

    facts = export_findings.ask(project.engine, project.taxonomy)
    weeks = [read_week(each.subject, each.occurrences) for each in facts.of("day_offsets")]
    zone = timezone or _likeliest(fit(weeks) if weeks else None) or answers.timezone
    named = [each for each in facts.of("currency") if each.subject]
    currency = max(named, key=lambda each: each.occurrences).subject if named else answers.currency
    if timezone is None:
        log.info(f"The time zone is taken as {zone}; --timezone names another one.")
    return replace(answers, timezone=zone, currency=currency)


def _likeliest(found: Fit | None) -> str | None:
    """Return the zone to take of those in which the days begin; None where they do not tell."""
    if found is None or not found.is_telling:
        return None
    return "UTC" if "UTC" in found.zones else found.zones[0]


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
