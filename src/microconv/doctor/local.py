"""Checks of this machine: configuration, taxonomy, libraries, database and disk."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
from pathlib import Path

from microconv.doctor.findings import Verdict, failure, ok, skipped, warning
from microconv.doctor.patient import Patient
from microconv.errors import LockedError, TaxonomyError
from microconv.questions import questions
from microconv.wording import human_bytes

_ROOM_NEEDED = 2
"""Times the size of the database that a sync of everything may take beside it: the new tables, and what is spilled."""
_LEAST_ROOM = 2**30
_DISTRIBUTION = "microconv"
# The active codes of ISO 4217.
_CURRENCIES = """
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF
CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL
HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD
MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG
QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD
TWD TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
"""


def configuration(patient: Patient) -> Verdict:
    """Load the configuration."""
    config = patient.config
    sources = ", ".join(f"{source.property} ({source.kind})" for source in config.sources)
    return ok(f"{config.file} loads: engine {config.engine.kind}, sources {sources}.")


def taxonomy(patient: Patient) -> Verdict:
    """Load the taxonomy, and look for what the configuration names in it."""
    loaded = patient.project.taxonomy
    for template in ("analyses/funnels/counts", "segments/members", "analyses/attribution/credits"):
        try:
            questions(template, patient.config, loaded)
        except TaxonomyError as error:
            return warning(error.message, error.hint)
    return ok(f"{loaded.name} {loaded.version}, {len(loaded.entries)} micro-conversions.")


def zone_and_currency(patient: Patient) -> Verdict:
    """Ask whether GA4 would show such a zone and currency; how far events stray from their days, a sync says."""
    project = patient.config.project
    if project.currency not in _CURRENCIES.split():
        return warning(
            f"{project.currency} is no currency in use (ISO 4217).", "Set project.currency to that of the property."
        )
    if "/" not in project.timezone and project.timezone not in ("UTC", "GMT"):
        return warning(
            f"{project.timezone} is an abbreviation, which may know no daylight saving time.",
            "Set project.timezone to the reporting time zone in GA4's property settings, such as Europe/Berlin.",
        )
    return ok(f"Days begin at midnight in {project.timezone}; values are in {project.currency}.")


def libraries(_patient: Patient) -> Verdict:
    """Look for the distributions that this one asks for."""
    missing, extras = [], set()
    for requirement in importlib.metadata.requires(_DISTRIBUTION) or ():
        wanted, _, marker = requirement.partition(";")
        name = re.split(r"[^A-Za-z0-9._-]", wanted.strip(), maxsplit=1)[0]
        extra = re.search(r"""extra == ["']([^"']+)["']""", marker)
        if _is_installed(name) or (marker and not extra):  # a marker without an extra is about another platform
            continue
        if extra:
            extras.add(extra[1])
        else:
            missing.append(name)
    if missing:
        return failure(
            f"Not installed: {', '.join(missing)}.",
            f"Install microconv again: `pip install --force-reinstall {_DISTRIBUTION}`.",
        )
    names = ", ".join(f"{_DISTRIBUTION}[{extra}]" for extra in sorted(extras))
    return ok(f"All there.{f' Optional, and not installed: {names}.' if names else ''}")


def _is_installed(distribution: str) -> bool:
    try:
        importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def database(patient: Patient) -> Verdict:
    """Open DuckDB's file, if there is one."""
    if patient.is_bigquery:
        return skipped("The engine is BigQuery.")
    path = patient.config.engine.path
    if not path.exists():
        if os.access(path.parent, os.W_OK | os.X_OK):
            return ok(f"{path} is not there yet; the first sync creates it.")
        return failure(f"{path} cannot be created.", "Create its folder, make it writable, or set engine.path.")
    try:
        _ = patient.project.engine
    except LockedError as error:
        return warning(error.message, "A sync is running, or a session is open. Ask again when it has ended.")
    return ok(f"{path} opens ({human_bytes(path.stat().st_size)}).")


def disk(patient: Patient) -> Verdict:
    """Measure the room beside the database, where DuckDB also spills what does not fit in memory."""
    if patient.is_bigquery:
        return skipped("The engine is BigQuery, which keeps nothing here.")
    path = patient.config.engine.path
    size = path.stat().st_size if path.exists() else 0
    free = shutil.disk_usage(_existing(path.parent)).free
    needed = max(_ROOM_NEEDED * size, _LEAST_ROOM)
    said = f"{human_bytes(free)} are free in {path.parent}; the database takes {human_bytes(size)}"
    if free < needed:
        return warning(
            f"{said}, so a sync of everything may need {human_bytes(needed)}.",
            "Free some space. DuckDB does not give back space: deleting the file and syncing anew shrinks it.",
        )
    return ok(f"{said}.")


def _existing(folder: Path) -> Path:
    return next(place for place in (folder, *folder.parents) if place.exists())
