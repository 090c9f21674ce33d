"""Audience files: one format per way a platform takes uploads, each with a reject file and a manifest beside it."""

from __future__ import annotations

import csv
import errno
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, cast, get_args

from microconv.activation.audience.build import Audience, AudienceRow, IdentityKind, build_audience
from microconv.activation.audience.normalise import GOOGLE, PLAIN, Normalisation
from microconv.activation.audience.people import ConsentRecord, Person
from microconv.activation.guards import check_shrink
from microconv.errors import DestinationError, UsageError
from microconv.files import FileSet
from microconv.segments.members import Member

MANIFEST_VERSION = 1
_SEGMENT_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NO_PERMISSION = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


@dataclass(frozen=True)
class AudienceFormat:
    """How one kind of audience file looks.

    `columns` pairs each header or key with a field of `AudienceRow`; `minimum` is the number of people under which the
    platform does not serve a list (0: not known).
    """

    suffix: str
    columns: tuple[tuple[str, str], ...]
    identity: frozenset[IdentityKind]
    normalisation: Normalisation
    encode: Callable[[AudienceFormat, Iterable[AudienceRow]], Iterator[str]]
    with_address: bool = False
    minimum: int = 0

    def cells(self, row: AudienceRow) -> list[str]:
        """Return the row's values in the order of `columns`, "" where there is nothing."""
        return [getattr(row, field) for _, field in self.columns]


class _Line:
    """What `csv.writer` writes to: gives the line back, since `writerow` returns what `write` returns."""

    def write(self, line: str) -> str:
        return line


def _csv_lines(rows: Iterable[Sequence[object]]) -> Iterator[str]:
    writer = csv.writer(_Line(), lineterminator="\n")
    # The type stubs know writerow's result as Any; `_Line` makes it the line.
    return (cast("str", writer.writerow(row)) for row in rows)


def _csv_audience(audience_format: AudienceFormat, rows: Iterable[AudienceRow]) -> Iterator[str]:
    yield from _csv_lines([[header for header, _ in audience_format.columns]])
    yield from _csv_lines(map(audience_format.cells, rows))


def _jsonl_audience(audience_format: AudienceFormat, rows: Iterable[AudienceRow]) -> Iterator[str]:
    keys = [key for key, _ in audience_format.columns]
    for row in rows:
        values = [cell or None for cell in audience_format.cells(row)]
        yield json.dumps(dict(zip(keys, values, strict=True)), separators=(",", ":")) + "\n"


_HASHES = (("email_sha256", "email"), ("phone_sha256", "phone"), ("external_id_sha256", "external_id"))
_EVERY_KIND: frozenset[IdentityKind] = frozenset(get_args(IdentityKind))

FORMATS: dict[str, AudienceFormat] = {
    "google_ads": AudienceFormat(
        suffix="csv",
        # Exact, English and in this order: support.google.com/google-ads/answer/7659867
        columns=(
            ("Email", "email"),
            ("Phone", "phone"),
            ("First Name", "first_name"),
            ("Last Name", "last_name"),
            ("Country", "country"),
            ("Zip", "postal_code"),
        ),
        identity=frozenset({"email", "phone"}),
        normalisation=GOOGLE,
        encode=_csv_audience,
        with_address=True,
        # Active users that Google matched, on any network, as the trade press reports since December 2024. Unverified:
        # Google's own page was not read. Fewer rows than this can certainly not match as many people.
        minimum=100,
    ),
    "csv": AudienceFormat("csv", _HASHES, _EVERY_KIND, PLAIN, _csv_audience),
    "jsonl": AudienceFormat("jsonl", _HASHES, _EVERY_KIND, PLAIN, _jsonl_audience),
}


@dataclass(frozen=True)
class ExportResult:
    """An audience on disk; `members` equals `written` plus the sum of `excluded`."""

    segment: str
    destination: str
    format: str
    path: Path
    members: int
    written: int
    excluded: Mapping[str, int]
    manifest: Path
    warnings: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """Return the JSON document: the fields of this class, paths as text."""
        return {
            "segment": self.segment,
            "destination": self.destination,
            "format": self.format,
            "path": str(self.path),
            "members": self.members,
            "written": self.written,
            "excluded": dict(self.excluded),
            "manifest": str(self.manifest),
            "warnings": list(self.warnings),
        }


def export_audience(
    members: Iterable[Member],
    people: Iterable[Person],
    consents: Iterable[ConsentRecord],
    *,
    segment: str,
    format: str,  # noqa: A002 - the word of the configuration key
    folder: Path,
    identity: Sequence[str],
    run_id: str,
    now: datetime,
    lineage: Mapping[str, object],
    destination: str = "file",
    max_delete_pct: float = 50.0,
    allow_shrink: bool = False,
    dry_run: bool = False,
) -> ExportResult:
    """Write the audience of a segment, its reject file and its manifest, all of them or none.

    In `folder` (created with mode 0700 if missing), each with mode 0600: `<segment>.google_ads.csv`, `<segment>.csv` or
    `<segment>.jsonl`, one row per person, sorted, so that equal membership gives equal bytes;
    `<segment>.<format>.rejects.csv` with `actor_key,reason`; and, put in place last,
    `<segment>.<format>.manifest.json`.

    Args:
        members: The segment's members.
        people: Rows of the identity table.
        consents: Rows of the consent table. Without a row that grants, a member is not written.
        segment: The segment's name; becomes part of file names.
        format: A key of `FORMATS`.
        folder: Where the files go.
        identity: Which of `email`, `phone` and `user_id` may be sent; a member needs one of them to be written.
        run_id: The run that exports, for the manifest.
        now: The current time, aware of its zone.
        lineage: Where the membership comes from (rule, as_of, taxonomy, days): JSON values and dates, copied to the
            manifest.
        destination: The destination's name in the configuration.
        max_delete_pct: Largest drop of written members against the last export, in percent.
        allow_shrink: Skip the guards against an emptied or shrunken audience.
        dry_run: Decide, count and check the guards, but write nothing.

    Raises:
        UsageError: An argument names what does not exist, or the format carries none of `identity`.
        FindingsError: A guard stopped the export. No file was touched.
        DestinationError: The files could not be written. No file was touched.
    """
    audience_format = _format(format)
    kinds, warnings = _kinds(identity, format, audience_format)
    if not _SEGMENT_NAME.fullmatch(segment):
        raise UsageError(
            f"Segment name {segment!r} cannot be part of a file name.",
            hint="Start with a lower-case letter; go on with a-z, 0-9, _ and -.",
        )
    if not 0 <= max_delete_pct <= 100:  # noqa: PLR2004 - percent
        raise UsageError(f"max_delete_pct is {max_delete_pct:g}.", hint="Give a percentage from 0 to 100.")

    audience = build_audience(
        members,
        people,
        consents,
        identity=kinds,
        normalisation=audience_format.normalisation,
        with_address=audience_format.with_address,
    )
    stem = f"{segment}.{format}"
    name = stem if format == audience_format.suffix else f"{stem}.{audience_format.suffix}"
    path, manifest = folder / name, folder / f"{stem}.manifest.json"
    if not allow_shrink:
        check_shrink(audience, segment=segment, audience_file=path, manifest=manifest, max_delete_pct=max_delete_pct)
    written = len(audience.rows)
    if written < audience_format.minimum:
        warnings.append(
            f"{written} people are fewer than the {audience_format.minimum} matched users that {format} needs "
            "to serve a list."
        )
    if audience.values_left_out:
        listed = ", ".join(f"{reason} {count}" for reason, count in audience.values_left_out.items())
        warnings.append(f"Single values were left out of rows that were written: {listed}.")
    result = ExportResult(
        segment, destination, format, path, audience.members, written, audience.excluded, manifest, tuple(warnings)
    )
    if dry_run:
        return result
    facts = _facts(result, audience, kinds, audience_format) | {
        "run_id": run_id,
        "created_at": now.astimezone(UTC).isoformat(),
        "lineage": dict(lineage),
    }
    rejects = [(reject.actor_key, reject.reason.value) for reject in audience.rejects]
    # A run id may hold anything; a file name may not.
    token = hashlib.sha256(run_id.encode()).hexdigest()[:16]
    try:
        with FileSet(folder, token=token, now=now) as files:
            data = (
                files.write(path.name, audience_format.encode(audience_format, audience.rows), rows=written),
                files.write(f"{stem}.rejects.csv", _csv_lines([("actor_key", "reason"), *rejects]), rows=len(rejects)),
            )
            facts["files"] = [file.document() for file in data]
            files.write(manifest.name, [json.dumps(facts, indent=2, default=_iso) + "\n"])
            files.commit()
    except OSError as error:
        raise _destination_error(error, folder) from error
    return result


def _facts(
    result: ExportResult, audience: Audience, kinds: Sequence[IdentityKind], audience_format: AudienceFormat
) -> dict[str, Any]:
    return {
        "manifest_version": MANIFEST_VERSION,
        "segment": result.segment,
        "destination": result.destination,
        "format": result.format,
        "members": result.members,
        "written": result.written,
        "excluded": dict(result.excluded),
        "values_left_out": dict(audience.values_left_out),
        "identity": list(kinds),
        "normalisation": audience_format.normalisation.version,
    }


def _format(name: str) -> AudienceFormat:
    if name not in FORMATS:
        raise UsageError(f"There is no audience format {name!r}.", hint=f"Choose one of {', '.join(FORMATS)}.")
    return FORMATS[name]


def _kinds(
    identity: Sequence[str], name: str, audience_format: AudienceFormat
) -> tuple[tuple[IdentityKind, ...], list[str]]:
    unknown = [kind for kind in identity if kind not in _EVERY_KIND]
    if unknown:
        raise UsageError(
            f"Identity {unknown[0]!r} is unknown.", hint=f"Choose from {', '.join(get_args(IdentityKind))}."
        )
    carried = tuple(kind for kind in get_args(IdentityKind) if kind in identity and kind in audience_format.identity)
    if not carried:
        raise UsageError(
            f"Format {name} carries none of the segment's identity ({', '.join(identity) or 'empty'}).",
            hint=f"Add one of {', '.join(sorted(audience_format.identity))} to the segment's identity.",
        )
    dropped = sorted(set(identity) - set(carried))
    return carried, [f"Format {name} does not carry {kind}: it was left out." for kind in dropped]


def _destination_error(error: OSError, folder: Path) -> DestinationError:
    if error.errno in _NO_SPACE:
        hint = "Free disk space, or point the destination's path elsewhere, and run again."
    elif error.errno in _NO_PERMISSION:
        hint = "Give this user the right to write there, or point the destination's path elsewhere."
    else:
        hint = "Check that the destination's path is a folder, and run again."
    return DestinationError(
        f"The audience files in {folder} cannot be written: {error.strerror or type(error).__name__}. "
        "Files of the last export were left as they are.",
        hint=hint,
    )


def _iso(value: object) -> str:
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"lineage holds a {type(value).__name__}, which is not JSON")
