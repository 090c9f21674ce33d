"""Checks of destinations: whether a push could reach them. Nothing that they would act on is sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from microconv.activation.conversions.examined_conversions import examined
from microconv.activation.destinations.base import Destination
from microconv.config.destination_settings import DestinationConfig
from microconv.doctor.patient import Patient
from microconv.errors import MicroconvError
from microconv.findings import Finding, fault, not_tested, ok


def destinations(patient: Patient) -> Finding | tuple[Finding, ...]:
    """Ask each destination what its segments and conversions need; one that fails does not keep the others from it."""
    found = tuple(finding for entry in patient.config.destinations for finding in _of_one(patient, entry))
    return found or not_tested("The configuration names none.")


def _of_one(patient: Patient, entry: DestinationConfig) -> Iterator[Finding]:
    name = f"{entry.name} ({entry.kind})"
    found: list[Finding] = []
    try:
        destination = patient.project.destination(entry.name)
        destination.check_ready()
        # One by one: what was found before it failed is kept.
        for finding in _examined(patient, destination):
            found.append(finding)  # noqa: PERF402 - see above
    except MicroconvError as error:
        found.append(fault(error.message, error.hint))
    except Exception as error:  # noqa: BLE001 - a destination that breaks is a finding; the others still have theirs
        found.append(
            fault(
                f"The check itself failed ({type(error).__name__}).",
                "This is a bug: please report it to the author of this kind of destination.",
            )
        )
    for each in found or [ok("nothing is missing for a push that can be looked up from here.")]:
        yield replace(each, message=f"{name}: {each.message}")


def _examined(patient: Patient, destination: Destination) -> Iterator[Finding]:
    """Yield what is found of segments and conversions; where there are none of either, of a push in general."""
    config, name = patient.config, destination.settings.name
    conversions = [each for each in config.conversions if each.destination == name]
    segments = [each.name for each in config.segments if name in each.destinations]
    if segments or not conversions:
        yield from _told(destination.examine(segments))
    if conversions:
        yield from _told(destination.examine_conversions([each.action for each in conversions]))
    for each in conversions:
        try:
            yield examined(each.name, destination.conversions(each.action), patient.now())
        except MicroconvError as error:
            yield fault(error.message, error.hint)


def _told(findings: Iterator[Finding]) -> Iterator[Finding]:
    """Yield findings, and as the last one that there can be no more."""
    try:
        yield from findings
    except MicroconvError as error:
        yield fault(error.message, error.hint)
