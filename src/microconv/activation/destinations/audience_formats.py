"""Audience files as each platform takes them: columns, identifiers, limits."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import cast, get_args

from microconv.activation.audience.audience_rows import AudienceRow, IdentityKind
from microconv.activation.audience.normalise import (
    GA4,
    GOOGLE,
    LINKEDIN,
    META,
    MICROSOFT,
    PINTEREST,
    PLAIN,
    SNAP,
    TIKTOK,
)
from microconv.activation.destinations.base import Accepts
from microconv.activation.push.audience_list import Identifier, Operation
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
        columns: Each header or key, with a field of `AudienceRow`; "" where it stays empty.
        encode: Writes rows as the lines of a file, without the header.
        accepts: What the platform takes; `members_per_batch` is how many rows a file may have.
        has_header: Whether a file of CSV names its columns in the first line.
        has_one_kind: Whether a file holds identifiers of one kind, so that there are several files.
        can_grow: Whether rows can be added at the end of a file.
        mark: A last column that says for each row who is in (true) or no longer (false), where the format has one: its
            name, with `{segment}` for the segment.
        said: What that column says.
    """

    suffix: str
    columns: tuple[tuple[str, str], ...]
    encode: Callable[[AudienceFormat, Iterable[AudienceRow]], Iterator[str | bytes]]
    accepts: Accepts
    has_header: bool = True
    has_one_kind: bool = False
    can_grow: bool = True
    mark: str | None = None
    said: str = ""

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
        names = [header for header, _ in self.columns] + ([self.mark] if self.mark else [])
        return "".join(csv_rows([names])) if self.suffix == "csv" and self.has_header else ""

    def of(self, segment: str, operation: Operation) -> AudienceFormat:
        """Return the format for one operation on a segment."""
        if self.mark is None:
            return self
        name = self.mark.format(segment=segment.replace("-", "_"))
        return replace(self, mark=name, said="true" if operation == "add" else "false")

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
        cells = [getattr(row, field) if field else "" for _, field in self.columns]
        return [*cells, self.said] if self.mark else cells


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


def parquet_audience(audience_format: AudienceFormat, rows: Iterable[AudienceRow]) -> Iterator[bytes]:
    """Write rows as one Parquet file of texts, with NULL where there is nothing."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = [header for header, _ in audience_format.columns]
    cells = [[cell or None for cell in audience_format.cells(row)] for row in rows]
    columns = [pa.array([each[place] for each in cells], pa.string()) for place in range(len(names))]
    content = io.BytesIO()
    pq.write_table(pa.table(dict(zip(names, columns, strict=True))), content, compression="zstd")
    yield content.getvalue()


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
PARQUET = AudienceFormat(
    "parquet",
    HASHES,
    parquet_audience,
    Accepts("parquet", EVERY_IDENTITY, PLAIN, members_per_batch=1_000_000),
    can_grow=False,
)
TIKTOK_ADS = AudienceFormat(
    suffix="csv",
    # ads.tiktok.com/help/article/list-of-supported-ids-and-formats-for-a-customer-file: a header for each kind.
    columns=(("Email_SHA256", "email"), ("Phone_SHA256", "phone")),
    encode=csv_audience,
    # ads.tiktok.com/help/article/how-to-create-a-custom-audience-with-a-customer-file: at least 1,000 entries, and less
    # than 1 GB; other pages say 50 MB, below which two digests a row stay with so many rows.
    accepts=Accepts("tiktok", frozenset({"email", "phone"}), TIKTOK, minimum=1_000, members_per_batch=375_000),
)
MICROSOFT_ADS = AudienceFormat(
    suffix="csv",
    # help.ads.microsoft.com/apex/index/3/en/56921: addresses alone.
    columns=(("Email", "email"),),
    encode=csv_audience,
    accepts=Accepts("microsoft_ads", frozenset({"email"}), MICROSOFT, minimum=300),
)
PINTEREST_ADS = AudienceFormat(
    suffix="csv",
    # help.pinterest.com/en/business/article/audience-targeting: a single column and nothing else; 100 matches.
    columns=(("email", "email"),),
    encode=csv_audience,
    accepts=Accepts("pinterest", frozenset({"email"}), PINTEREST, minimum=100),
    has_header=False,
)
LINKEDIN_ADS = AudienceFormat(
    suffix="csv",
    # The template of contact lists, whose headers must stay: linkedin.com/help/lms/answer/a1489764. The names are from
    # memory: the template itself is behind a login.
    columns=(
        ("email", "email"),
        ("firstname", ""),
        ("lastname", ""),
        ("jobtitle", ""),
        ("employeecompany", ""),
        ("country", ""),
        ("googleaid", ""),
    ),
    encode=csv_audience,
    # 300 to 300,000 rows and 20 MB, on the same page; a row has 71 bytes.
    accepts=Accepts("linkedin", frozenset({"email"}), LINKEDIN, minimum=300, members_per_batch=280_000),
)
SNAP_ADS = AudienceFormat(
    suffix="csv",
    # developers.snap.com/api/marketing-api/Ads-API/customer-lists: one kind of identifier a request. Fewer than 1,000
    # matched people are not served.
    columns=(("email", "email"), ("phone", "phone")),
    encode=csv_audience,
    accepts=Accepts("snap", frozenset({"email", "phone"}), SNAP, minimum=1_000),
    has_header=False,
    has_one_kind=True,
)
GA4_USERS = AudienceFormat(
    suffix="csv",
    # support.google.com/analytics/answer/10071143: the user id is the key, all else user properties.
    columns=(("user_id", "external_id"),),
    encode=csv_audience,
    # 1 GB a file: support.google.com/analytics/answer/10071301; a row has at most 1,010 letters.
    accepts=Accepts(
        "ga4_users", frozenset({"user_id"}), GA4, members_per_batch=900_000, in_clear=frozenset({"user_id"})
    ),
    mark="microconv_{segment}",
)
FORMATS = {
    each.accepts.name: each
    for each in (
        GOOGLE_ADS,
        META_ADS,
        TIKTOK_ADS,
        MICROSOFT_ADS,
        PINTEREST_ADS,
        LINKEDIN_ADS,
        SNAP_ADS,
        GA4_USERS,
        CSV,
        JSONL,
        PARQUET,
    )
}
