"""Audience files as each platform takes them: columns, identifiers, limits."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import cast, get_args

from microconv.activation.audience.audience_rows import AudienceRow, IdentityKind
from microconv.activation.audience.normalise import GOOGLE, META, PLAIN
from microconv.activation.destinations.base import Accepts
from microconv.activation.push.audience_list import Identifier
from microconv.activation.push.identifiers import Address

ADDRESS = "address"
FIELDS = {"email": "email", "phone": "phone", "user_id": "external_id"}
"""The field of a row that has the identifiers of a kind; an address has four."""


def row_of(identifier: Identifier) -> AudienceRow:
    """Return the row of one identifier alone."""
    if identifier.kind == ADDRESS:
        return AudienceRow(**Address.of(identifier.value)._asdict())
    return AudienceRow(**{FIELDS[identifier.kind]: identifier.value})


@dataclass(frozen=True)
class AudienceFormat:
    """How one kind of audience file looks.

    Attributes:
        suffix: What the names of the files end with.
        columns: Each header or key, with a field of `AudienceRow`.
        encode: Writes rows as the lines of a file, without the header.
        accepts: What the platform takes; `members_per_batch` is how many rows a file may have.
        has_one_kind: Whether a file holds identifiers of one kind, so that there are several files.
        can_grow: Whether rows can be added at the end of a file.
    """

    suffix: str
    columns: tuple[tuple[str, str], ...]
    encode: Callable[[AudienceFormat, Iterable[AudienceRow]], Iterator[str | bytes]]
    accepts: Accepts
    has_one_kind: bool = False
    can_grow: bool = True

    @property
    def rows_per_file(self) -> int | None:
        """How many rows a file may have; None: any number."""
        return self.accepts.members_per_batch

    @property
    def is_numbered(self) -> bool:
        """Whether there may be several files, so that their names have numbers."""
        return self.rows_per_file is not None or not self.can_grow

    @property
    def header(self) -> str:
        """The line above all rows; "" where there is none."""
        return "".join(csv_rows([[header for header, _ in self.columns]])) if self.suffix == "csv" else ""

    def lines(self, rows: Iterable[AudienceRow]) -> Iterator[str | bytes]:
        """Yield the lines of a whole file."""
        if self.header:
            yield self.header
        yield from self.encode(self, rows)

    def carries(self, kind: str) -> bool:
        """Tell whether identifiers of a kind can be in a file."""
        return kind in self.accepts.identity or (kind == ADDRESS and self.accepts.with_address)

    def parted(self, rows: Sequence[AudienceRow]) -> Iterator[tuple[AudienceFormat, str, Sequence[AudienceRow]]]:
        """Yield what goes into which file: the format of it, a word for its name ("" where there is one), and rows."""
        if not self.has_one_kind:
            yield self, "", rows
            return
        for column in self.columns:
            kind = next(kind for kind, field in FIELDS.items() if field == column[1])
            some = [row for row in rows if getattr(row, column[1])]
            if some:
                yield replace(self, columns=(column,)), kind, some

    def cells(self, row: AudienceRow) -> list[str]:
        """Return the row's values in the order of `columns`, "" where there is nothing."""
        return [getattr(row, field) for _, field in self.columns]


class _Line:
    """What `csv.writer` writes to: gives the line back, since `writerow` returns what `write` returns."""

    def write(self, line: str) -> str:
        return line


def csv_rows(rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Write rows as lines of CSV."""
    writer = csv.writer(_Line(), lineterminator="\n")
    # The type stubs know writerow's result as Any; `_Line` makes it the line.
    return (cast("str", writer.writerow(row)) for row in rows)


def csv_audience(audience_format: AudienceFormat, rows: Iterable[AudienceRow]) -> Iterator[str]:
    """Write rows as CSV."""
    return csv_rows(map(audience_format.cells, rows))


def jsonl_audience(audience_format: AudienceFormat, rows: Iterable[AudienceRow]) -> Iterator[str]:
    """Write rows as one JSON object a line, with null where there is nothing."""
    keys = [key for key, _ in audience_format.columns]
    for row in rows:
        values = [cell or None for cell in audience_format.cells(row)]
        yield json.dumps(dict(zip(keys, values, strict=True)), separators=(",", ":")) + "\n"


HASHES = (("email_sha256", "email"), ("phone_sha256", "phone"), ("external_id_sha256", "external_id"))
EVERY_IDENTITY: frozenset[IdentityKind] = frozenset(get_args(IdentityKind))

GOOGLE_ADS = AudienceFormat(
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
    encode=csv_audience,
    accepts=Accepts(
        "google_ads",
        identity=frozenset({"email", "phone"}),
        normalisation=GOOGLE,
        with_address=True,
        # Active users that Google matched, on any network, as the trade press reports since December 2024. Unverified:
        # Google's own page was not read. Fewer rows than this can certainly not match as many people.
        minimum=100,
    ),
)
META_ADS = AudienceFormat(
    suffix="csv",
    # facebook.com/business/help/2082575038703844: the names of columns by which Meta knows what they hold.
    columns=(
        ("email", "email"),
        ("phone", "phone"),
        ("fn", "first_name"),
        ("ln", "last_name"),
        ("zip", "postal_code"),
        ("country", "country"),
    ),
    encode=csv_audience,
    # Meta advises against lists of fewer than 100 people, on the same page.
    accepts=Accepts("meta", frozenset({"email", "phone"}), META, with_address=True, minimum=100),
)
CSV = AudienceFormat("csv", HASHES, csv_audience, Accepts("csv", EVERY_IDENTITY, PLAIN))
JSONL = AudienceFormat("jsonl", HASHES, jsonl_audience, Accepts("jsonl", EVERY_IDENTITY, PLAIN))
FORMATS = {each.accepts.name: each for each in (GOOGLE_ADS, META_ADS, CSV, JSONL)}
