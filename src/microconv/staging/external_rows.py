"""Rows of tables of other systems: each becomes a row to stage, or is refused with a reason and its place.

No value of a row is in any message: a table without a header has a person in its first line.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Self
from zoneinfo import ZoneInfo

from microconv.config.external_settings import ExternalEventsConfig, ExternalMetricsConfig
from microconv.errors import SourceError
from microconv.own_tables.cells import Odd, text_of
from microconv.own_tables.placeholders import is_nobody
from microconv.own_tables.table_files import NumberedRow
from microconv.staging.properties import Property

READER = 1
"""Raised when rows are read otherwise than before: all tables are read again."""
_EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
"""Moments before are what systems write that know none: zero in one calendar or another."""
_CLOCKS = timedelta(minutes=5)
"""So far may the clock of another system be ahead."""
_MOST = 1e10
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,2})?")
_COMPACT_DAY = len("YYYYMMDD")
_COOKIE = re.compile(r"GA\d\.\d+\.(\d+\.\d+)")
"""What the cookie `_ga` holds: the client id is its end."""
_PLACES = 3
"""So many places are named of each reason."""


REASONS: Mapping[str, str] = {
    "fields": "more or fewer fields than the first line has columns",
    "unreadable": "{column} cannot be read: bytes that are not UTF-8, the year 10000, an unknown time zone, or a value "
    "that has no certain text",
    "empty": "{column} is empty",
    "no moment": "{column} is not a moment in ISO 8601, such as 2024-03-01T09:30:00+01:00",
    "too early": "{column} lies before 1990",
    "future": "{column} lies in the future",
    "no day": "{column} is not a day, such as 2024-03-01",
    "nobody": "neither a user_id nor a client id, or a word such as undefined in place of one",
    "no stream": "a client id without its stream",
    "no number": "{column} is not a number, such as 1234.50",
    "no currency": "{column} is not a currency code of three letters, such as EUR",
    "contradiction": "another {column} for the same day, name and dimension came before",
}
"""Why a row is refused, in words."""


class Refused(Exception):  # noqa: N818 - an outcome of each row, and nobody sees it as an error
    """A row cannot be staged; `reason` is one of `REASONS`."""

    def __init__(self, reason: str, column: str = "", moment: datetime | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.column = column
        self.moment = moment


@dataclass
class Refusal:
    """How many rows of a table were refused for one reason, and where the first of them stand."""

    reason: str
    column: str
    rows: int = 0
    places: list[int] = field(default_factory=list)

    def __str__(self) -> str:
        """Say it in words: `3 rows (lines 4, 9 and 11): value is not a number`."""
        return REASONS[self.reason].format(column=self.column)


@dataclass
class RowTally:
    """What came out of the rows of one table."""

    read: int = 0
    kept: int = 0
    without_zone: int = 0
    next_at: datetime | None = None
    refusals: dict[tuple[str, str], Refusal] = field(default_factory=dict)

    def refuse(self, refused: Refused, place: int) -> None:
        """Count a row that cannot be staged."""
        key = refused.reason, refused.column
        found = self.refusals.setdefault(key, Refusal(*key))
        found.rows += 1
        if len(found.places) < _PLACES:
            found.places.append(place)
        if refused.moment is not None:
            self.next_at = min(self.next_at or refused.moment, refused.moment)

    @property
    def state(self) -> dict[str, Any]:
        """The columns of mc_external_files that it fills."""
        refused = [asdict(each) for _, each in sorted(self.refusals.items())]
        return {
            "rows_read": self.read,
            "rows_kept": self.kept,
            "rows_refused": sum(each["rows"] for each in refused),
            "rows_future": sum(each["rows"] for each in refused if each["reason"] == "future"),
            "rows_without_zone": self.without_zone,
            "next_at": self.next_at,
            "refusals": json.dumps(refused),
        }


def refusals(text: str | None) -> tuple[Refusal, ...]:
    """Read the refusals that mc_external_files keeps."""
    return tuple(Refusal(**each) for each in json.loads(text or "[]"))


@dataclass(frozen=True)
class _Columns:
    """Where the columns of a table stand; a column that it lacks is nowhere."""

    names: tuple[str, ...]
    places: Mapping[str, int]

    @classmethod
    def of(cls, names: Sequence[str], read: Iterable[str], required: Sequence[str], source: str) -> Self:
        lacking = [name for name in required if name not in names]
        if lacking:
            raise SourceError(
                f"{source} has no column{'s' if len(lacking) > 1 else ''} {', '.join(lacking)}; it was not read.",
                hint="The first line must name the columns, separated by commas; `columns` of the section says what "
                "they are called.",
            )
        known = tuple(dict.fromkeys(read))
        if doubled := [name for name in known if list(names).count(name) > 1]:
            raise SourceError(
                f"{source} has more than one column {', '.join(doubled)}; it was not read.", hint="Keep one of them."
            )
        return cls(tuple(names), {name: names.index(name) for name in known if name in names})

    def value(self, row: Sequence[object], column: str) -> object:
        """Return a cell as it is; None where there is nothing.

        Raises:
            Refused: it cannot be read.
        """
        place = self.places.get(column)
        value = None if place is None else row[place]
        if value is Odd.VALUE:
            raise Refused("unreadable", column)
        return value

    def text(self, row: Sequence[object], column: str) -> str | None:
        """Return the text of a cell; None where there is nothing."""
        value = self.value(row, column)
        if type(value) is str:
            return value.strip() or None
        text = text_of(value)
        if isinstance(text, Odd):
            raise Refused("unreadable", column)
        return text


class EventReader:
    """Reads the rows of one table under `[[external_events]]`."""

    def __init__(
        self, config: ExternalEventsConfig, carried: Sequence[Property], zone: ZoneInfo, now: datetime
    ) -> None:
        self.config = config
        self.carried = tuple(carried)
        self.zone = zone
        self._end = now + _CLOCKS

    @property
    def fingerprint(self) -> str:
        """Fingerprint of all that decides how rows are read."""
        decides = (READER, repr(self.config), self.zone.key, [each.column for each in self.carried])
        return hashlib.sha256(repr(decides).encode()).hexdigest()[:16]

    def rows(
        self, columns: Sequence[str], rows: Iterable[NumberedRow], source: str, tally: RowTally
    ) -> Iterator[dict[str, Any]]:
        """Yield the rows of mc_external_events, but for where they come from; `tally` counts the others.

        Raises:
            SourceError: a column is missing, or there twice.
        """
        names = self.config.columns
        required = [names.occurred_at, *([] if self.config.event else [names.name])]
        if names.user_id not in columns:
            has_clients = names.user_pseudo_id in columns
            required.append(names.user_pseudo_id if has_clients else f"{names.user_id} or {names.user_pseudo_id}")
            required += [names.stream_id] if has_clients and not self.config.stream else []
        read = [*names.model_dump().values(), *(each.name for each in self.carried)]
        table = _Columns.of(columns, read, required, source)
        # The order of columns does not tell rows apart, nor does a column that is empty.
        order = sorted(range(len(columns)), key=lambda place: columns[place])
        for place, row in rows:
            tally.read += 1
            try:
                if len(row) != len(columns):
                    raise Refused("fields")  # noqa: TRY301 - one way out for all that is refused
                staged, has_zone = self._event(table, row)
            except Refused as refused:
                tally.refuse(refused, place)
                continue
            tally.kept += 1
            tally.without_zone += not has_zone
            staged["line"] = place
            staged["row_key"] = key_of(
                "\x1f".join(_marked(columns[each], row[each]) for each in order if row[each] not in (None, ""))
            )
            yield staged

    def _event(self, table: _Columns, row: Sequence[object]) -> tuple[dict[str, Any], bool]:
        names, property_id = self.config.columns, self.config.property
        name = self.config.event or table.text(row, names.name)
        if name is None:
            raise Refused("empty", names.name)
        moment, has_zone = moment_of(table.value(row, names.occurred_at), names.occurred_at, self.zone)
        if moment < _EARLIEST:
            raise Refused("too early", names.occurred_at)
        if moment > self._end:
            raise Refused("future", names.occurred_at, moment)
        user_id = _usable(table.text(row, names.user_id))
        client_id = _usable(table.text(row, names.user_pseudo_id))
        stream_id = self.config.stream or table.text(row, names.stream_id)
        if client_id is not None and (cookie := _COOKIE.fullmatch(client_id)):
            client_id = cookie[1]
        if user_id is None and client_id is None:
            raise Refused("nobody")
        if user_id is None and stream_id is None:
            raise Refused("no stream")
        has_client = client_id is not None and stream_id is not None
        value = number_of(table.value(row, names.value), names.value)
        currency = table.text(row, names.currency)
        if currency is not None and not re.fullmatch("[A-Za-z]{3}", currency):
            raise Refused("no currency", names.currency)
        return {
            "property": property_id,
            "event_date": moment.astimezone(self.zone).date(),
            "event_at": moment,
            "name": name,
            "user_id": user_id,
            "user_pseudo_id": client_id if has_client else None,
            "stream_id": stream_id if has_client else None,
            "user_key": None if user_id is None else key_of(f"u|{property_id}|{user_id}"),
            "client_key": key_of(f"c|{property_id}|{stream_id}|{client_id}") if has_client else None,
            "value": value,
            "currency": None if currency is None else currency.upper(),
            "transaction_id": _usable(table.text(row, names.transaction_id)),
            **{each.column: _in_one_line(table.value(row, each.name)) for each in self.carried},
        }, has_zone


class MetricReader:
    """Reads the rows of one table under `[[external_metrics]]`."""

    def __init__(self, config: ExternalMetricsConfig) -> None:
        self.config = config

    @property
    def fingerprint(self) -> str:
        """Fingerprint of all that decides how rows are read."""
        return hashlib.sha256(repr((READER, repr(self.config))).encode()).hexdigest()[:16]

    def rows(
        self, columns: Sequence[str], rows: Iterable[NumberedRow], source: str, tally: RowTally
    ) -> Iterator[dict[str, Any]]:
        """Yield the rows of mc_external_metrics, but for where they come from; `tally` counts the others.

        Of rows for the same day, name and dimension the first counts: equal ones are repeats, others contradict it.

        Raises:
            SourceError: a column is missing, or there twice.
        """
        names = self.config.columns
        required = [names.day, *([] if self.config.metric else [names.name]), names.value]
        table = _Columns.of(columns, names.model_dump().values(), required, source)
        seen: dict[tuple[date, str, str], float] = {}
        for place, row in rows:
            tally.read += 1
            try:
                if len(row) != len(columns):
                    raise Refused("fields")  # noqa: TRY301 - one way out for all that is refused
                staged = self._metric(table, row)
                key = staged["day"], staged["name"], staged["dimension"]
                if key in seen and seen[key] != staged["value"]:
                    raise Refused("contradiction", names.value)  # noqa: TRY301 - as above
            except Refused as refused:
                tally.refuse(refused, place)
                continue
            if key not in seen:
                seen[key] = staged["value"]
                tally.kept += 1
                yield {**staged, "line": place}

    def _metric(self, table: _Columns, row: Sequence[object]) -> dict[str, Any]:
        names = self.config.columns
        name = self.config.metric or table.text(row, names.name)
        if name is None:
            raise Refused("empty", names.name)
        value = number_of(table.value(row, names.value), names.value)
        if value is None:
            raise Refused("empty", names.value)
        return {
            "property": self.config.property,
            "day": _day_of(table.value(row, names.day), names.day),
            "name": name,
            "value": value,
            "dimension": table.text(row, names.dimension) or "",
        }


Reader = EventReader | MetricReader


def key_of(text: str) -> int:
    """Return the key of a text, as `sql/_keys.sql` makes it: the first 60 bits of its MD5."""
    return int(hashlib.md5(text.encode(errors="surrogatepass"), usedforsecurity=False).hexdigest()[:15], 16)


def moment_of(value: object, column: str, zone: ZoneInfo) -> tuple[datetime, bool]:
    """Return a moment in UTC, and whether it said its offset; without one it is a time in `zone`.

    Raises:
        Refused: there is none, or what is there does not say one.
    """
    if isinstance(value, str):
        value = value.strip()
    if value is None or value == "":
        raise Refused("empty", column)
    try:
        parsed = _parsed(value)
        if parsed is not None:
            return (parsed if parsed.tzinfo else parsed.replace(tzinfo=zone)).astimezone(UTC), parsed.tzinfo is not None
    except (ValueError, OverflowError):
        pass
    raise Refused("no moment", column)


def _parsed(value: object) -> datetime | None:
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)
    if not isinstance(value, str):
        return None
    # BigQuery writes "2026-01-31 08:00:00 UTC" into CSV files.
    iso = f"{value[:-4]}+00:00" if value.endswith(" UTC") else value
    # The parser reads some numbers of seconds as compact dates of other centuries.
    if iso.isdigit() and len(iso) != _COMPACT_DAY:
        return None
    return datetime.fromisoformat(iso)


def _day_of(value: object, column: str) -> date:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    text = value.strip() if isinstance(value, str) else None
    if value is None or text == "":
        raise Refused("empty", column)
    try:
        return date.fromisoformat(text or "-")
    except ValueError:
        raise Refused("no day", column) from None


def number_of(value: object, column: str) -> float | None:
    """Return a number; None where there is nothing.

    Raises:
        Refused: it is something else, not finite, or beyond 10 billion either way.
    """
    if isinstance(value, str):
        value = value.strip()
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool) or (isinstance(value, str) and not _NUMBER.fullmatch(value)):
        raise Refused("no number", column)
    try:
        number = float(value)  # type: ignore[arg-type]  # what is not a number is refused below
    except (TypeError, ValueError, OverflowError):
        raise Refused("no number", column) from None
    if not abs(number) <= _MOST:
        raise Refused("no number", column)
    return number


def _usable(text: str | None) -> str | None:
    """Return an id; None where it is a word that systems write where they know none."""
    return None if text is None or is_nobody(text) else text


def _in_one_line(value: object) -> str | None:
    """Return the text of a property as columns hold it: a line stands for one value."""
    text = text_of(value)
    if isinstance(text, Odd):
        text = repr(value) if isinstance(value, float) else str(value)
    return None if text is None else " ".join(text.splitlines())


def _marked(column: str, value: object) -> str:
    """Write a cell so that no two that differ are written alike."""
    return f"{column}\x1e{value}" if type(value) is str else f"{column}\x1e{type(value).__name__}\x1e{value!r}"
