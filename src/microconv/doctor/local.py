"""Checks of this machine: configuration, taxonomy, libraries, database and disk."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shlex
import shutil
import stat
from pathlib import Path

from microconv.doctor.patient import Patient
from microconv.errors import LockedError
from microconv.findings import Finding, fault, not_tested, ok, warning
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


def configuration(patient: Patient) -> Finding:
    """Load the configuration."""
    config = patient.config
    sources = ", ".join(f"{source.property} ({source.kind})" for source in config.sources)
    return ok(f"{config.file} loads: engine {config.engine.kind}, sources {sources}.")


def taxonomy(patient: Patient) -> Finding:
    """Load the taxonomy, and look for what the configuration names in it."""
    loaded = patient.project.taxonomy
    return ok(f"{loaded.name} {loaded.version}, {len(loaded.entries)} micro-conversions.")


def zone_and_currency(patient: Patient) -> Finding:
    """Check that GA4 would show such a zone and currency; "staged export" compares them with the data."""
    project = patient.config.project
    if project.currency not in _CURRENCIES.split():
        return warning(
            f"{project.currency} is not a currency in use (ISO 4217).",
            "Set project.currency to the currency of the property.",
        )
    if "/" not in project.timezone and project.timezone not in ("UTC", "GMT"):
        return warning(
            f"{project.timezone} is an abbreviation, which may lack daylight saving time.",
            "Set project.timezone to the reporting time zone in GA4's property settings, such as Europe/Berlin.",
        )
    return ok(f'They are {project.timezone} and {project.currency}; "staged export" says whether the export agrees.')


def libraries(_patient: Patient) -> Finding:
    """Look for the packages that this one requires."""
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
        return fault(
            f"Not installed: {', '.join(missing)}.",
            f"Install microconv again: `pip install --force-reinstall {_DISTRIBUTION}`.",
        )
    names = ", ".join(f"{_DISTRIBUTION}[{extra}]" for extra in sorted(extras))
    return ok(f"All that is required is installed.{f' Optional, and not installed: {names}.' if names else ''}")


def _is_installed(distribution: str) -> bool:
    try:
        importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def database(patient: Patient) -> Finding:
    """Open DuckDB's file, if there is one."""
    if patient.is_bigquery:
        return not_tested("The engine is BigQuery.")
    path = patient.config.engine.path
    if not path.exists():
        if os.access(path.parent, os.W_OK | os.X_OK):
            return ok(f"{path} does not exist yet; the first sync creates it.")
        return fault(
            f"{path} cannot be created.", "Create its folder and make it writable, or set engine.path to another place."
        )
    try:
        _ = patient.project.engine
    except LockedError as error:
        return warning(
            error.message, "A sync is running, or another program has the file open. Run this again when it has ended."
        )
    state = path.stat()
    if os.name == "posix" and state.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return warning(
            f"{path} holds ids and page addresses of people, and other users of this machine may open it.",
            f"Run `chmod 600 {shlex.quote(str(path))}`, unless they are meant to.",
        )
    return ok(f"{path} can be opened ({human_bytes(state.st_size)}).")


def disk(patient: Patient) -> Finding:
    """Measure the free space beside the database, where DuckDB also puts what does not fit in memory."""
    if patient.is_bigquery:
        return not_tested("The engine is BigQuery, which keeps nothing on this machine.")
    path = patient.config.engine.path
    size = path.stat().st_size if path.exists() else 0
    free = shutil.disk_usage(_existing(path.parent)).free
    needed = max(_ROOM_NEEDED * size, _LEAST_ROOM)
    said = f"{human_bytes(free)} are free in {path.parent}; the database takes {human_bytes(size)}"
    if free < needed:
        return warning(
            f"{said}, but a full sync may need {human_bytes(needed)}.",
            "Free some space. A DuckDB file never shrinks. Deleting it and syncing again makes it smaller, but loses "
            "saved results and the log of runs.",
        )
    return ok(f"{said}.")


def _existing(folder: Path) -> Path:
    return next(place for place in (folder, *folder.parents) if place.exists())
