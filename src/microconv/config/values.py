"""The values of a configuration: what each kind of value may be, and what is said of one that may not."""

from __future__ import annotations

import difflib
import glob
import os
import re
import zoneinfo
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Protocol, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, PlainValidator, ValidationInfo

from microconv.config.problems import ItemError
from microconv.errors import UsageError

_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
# Ten years: longer than any GA4 export, and far from overflowing 64-bit microseconds in SQL.
_LONGEST_SECONDS = 3_650 * 86_400
_SIZE = r"([0-9]{1,12}(?:\.[0-9]{1,12})?) ?([KMGT]i?B)"
_SIZE_UNITS = {f"{unit}B": 1000**power for power, unit in enumerate("KMGT", start=1)}
_SIZE_UNITS |= {f"{unit}iB": 1024**power for power, unit in enumerate("KMGT", start=1)}
_LARGEST_INT64 = 2**63 - 1
_LONGEST_NAME, _LONGEST_PATH = 255, 4_000
_LONGEST_STEM = 100


@dataclass(frozen=True, order=True)
class Duration:
    """A length of time written as a whole number and a unit: `90s`, `30m`, `12h`, `7d`.

    Durations compare by length (`24h` equals `1d`); `text` keeps the way it was written, for labels.
    """

    seconds: int
    text: str = field(compare=False)

    @classmethod
    def parse(cls, text: str) -> Duration:
        """Read `90s`, `30m`, `12h` or `7d`.

        Raises:
            UsageError: the text is something else, zero, or longer than ten years (3650d).
        """
        matched = re.fullmatch(r"([1-9][0-9]{0,8})([smhd])", text)
        seconds = int(matched[1]) * _UNIT_SECONDS[matched[2]] if matched else 0
        if not 0 < seconds <= _LONGEST_SECONDS:
            raise UsageError(
                'is not a length of time such as "90s", "30m", "12h" or "7d" (at most "3650d")',
                hint="Write a whole number followed by s, m, h or d.",
            )
        return cls(seconds, text)

    @property
    def microseconds(self) -> int:
        """The length in microseconds, the unit of the SQL templates."""
        return self.seconds * 1_000_000

    def __str__(self) -> str:
        return self.text


def check_timezone(name: str) -> str:
    """Return `name` when it is an IANA time zone.

    Raises:
        ValueError: it is not; the message says so and suggests the nearest zone.
    """
    known = zoneinfo.available_timezones() - {"Factory", "localtime"}
    if name in known:
        return name
    by_lower = {zone.lower(): zone for zone in sorted(known)}
    # "berlin" alone is what people type; the zone's last part finds it.
    by_city = {zone.rpartition("/")[2].lower(): zone for zone in sorted(known)}
    asked = name.strip().lower().replace(" ", "_")
    near = difflib.get_close_matches(asked, by_lower, n=1, cutoff=0.75)
    near_city = difflib.get_close_matches(asked.rpartition("/")[2], by_city, n=1, cutoff=0.75)
    suggestion = by_lower[near[0]] if near else by_city[near_city[0]] if near_city else None
    advice = f'did you mean "{suggestion}"?' if suggestion else 'write it as in "Europe/Berlin" or "UTC"'
    raise ValueError(f"is not an IANA time zone ({advice})")


def check_currency(code: str) -> str:
    """Return `code` when it has the form of an ISO 4217 code.

    Raises:
        ValueError: it has not.
    """
    if not re.fullmatch(r"[A-Z]{3}", code):
        raise ValueError('is not a currency code of three capital letters, such as "EUR"')
    return code


def check_label(text: str) -> str:
    """Return `text` when it can label rows and pages: printable, and not blank.

    Raises:
        ValueError: it cannot.
    """
    if not text.strip() or not text.isprintable():
        raise ValueError("must be text of printable characters, and not empty")
    return text


def _check_file_stem(name: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_-]*", name):
        raise ValueError(
            "cannot be a name: it becomes a file name, so use small letters, digits, _ and -, with a letter first"
        )
    if len(name) > _LONGEST_STEM:
        raise ValueError(f"cannot be a name: it becomes a file name, so use {_LONGEST_STEM} letters at most")
    return name


def _check_property(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]{0,99}", name):
        raise ValueError('is not the name of a property such as "page", "item_id" or an event parameter')
    return name


def _check_table_name(name: str) -> str:
    part = r"[A-Za-z_][A-Za-z0-9_]*"
    if not re.fullmatch(rf"{part}(\.{part}){{0,2}}", name):
        raise ValueError('is not a table name such as "crm.people"')
    return name


def _check_memory(text: str) -> str:
    amount = re.fullmatch(_SIZE, text)
    if not amount or float(amount[1]) == 0:
        raise ValueError('is not an amount of memory such as "512MB", "2GB" or "1.5GiB"')
    return text


def _check_cloud_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.:-]*", name):
        raise ValueError("is not the id of a Google Cloud project or the name of a location")
    return name


def _check_dataset(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_]{1,1024}", name):
        raise ValueError('is not a dataset name such as "analytics_123456789" (its project is a key of its own)')
    return name


def _check_endpoint(address: str) -> str:
    if not re.fullmatch(r"https?://[^/\s@]+", address):
        raise ValueError('is not an address such as "https://bigquery.example.com" or "http://127.0.0.1:9050"')
    return address


def _check_ga4_property(number: object) -> str:
    text = str(number).removeprefix("properties/") if isinstance(number, str | int) else ""
    if isinstance(number, bool) or not re.fullmatch(r"[1-9][0-9]{2,19}", text):
        raise ValueError(
            'is not the number of a GA4 property, such as "123456789" (Admin > Property details); '
            "G-… is the id of a stream"
        )
    return text


def _check_safe_endpoint(address: str) -> str:
    if address.startswith("http://") and not re.match(r"http://(?:127\.0\.0\.1|localhost|\[::1\])(?::|$)", address):
        raise ValueError("must begin with https://, since credentials are sent there (http:// is for this machine)")
    return address


def number_of_bytes(value: object) -> int:
    """Return the bytes of a number, or of a text such as "500MB".

    Raises:
        ValueError: It is neither.
    """
    text = str(value) if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)) else ""
    matched = re.fullmatch(rf"{_SIZE}|([0-9]{{1,19}})", text)
    amount = 0
    if matched:
        amount = int(matched[3]) if matched[3] else round(float(matched[1]) * _SIZE_UNITS[matched[2]])
    if not 0 < amount <= _LARGEST_INT64:
        raise ValueError('is not a number of bytes such as "500MB", "10GB" or "1TiB"')
    return amount


def _duration(value: object) -> Duration:
    if isinstance(value, Duration):
        return value
    if not isinstance(value, str):
        raise ValueError('must be a length of time in quotes, such as "30m" or "7d"')  # noqa: TRY004 - pydantic collects ValueError only
    try:
        return Duration.parse(value)
    except UsageError as error:
        raise ValueError(error.message) from None


def _check_lease(lease: Duration) -> Duration:
    if lease < SHORTEST_LEASE:
        raise ValueError(f'is shorter than "{SHORTEST_LEASE}": a job may take two thirds of it, and jobs take seconds')
    return lease


def _check_host(host: str) -> str:
    """Return the host in lower case and without `www.`, as hosts are compared."""
    plain = host.lower().removeprefix("www.").removesuffix(".")
    if not re.fullmatch(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*", plain):
        raise ValueError('is not a host, such as "pay.example.com": without https://, port and path')
    return plain


def as_list(value: object) -> object:
    """Take a single word for a list of one."""
    return [value] if isinstance(value, str) else value


def _in_folder(path: Path, info: ValidationInfo) -> Path:
    folder: Path = (info.context or {}).get("folder") or Path.cwd()
    if path == Path() or "\0" in str(path):
        raise ValueError("is not a path")
    if any(len(os.fsencode(part)) > _LONGEST_NAME for part in path.parts) or len(os.fsencode(path)) > _LONGEST_PATH:
        raise ValueError("is too long for a path: a name takes 255 bytes at most, and a path 4,000")
    try:
        return folder / path.expanduser()
    except RuntimeError:
        raise ValueError("starts with ~ and a user whose home folder is not known") from None


def _glob_in_folder(pattern: str, info: ValidationInfo) -> str:
    path = Path(pattern)
    absolute = _in_folder(path, info)
    if path.is_absolute() or pattern.startswith("~"):
        return str(absolute)
    # Only what the user wrote is a pattern: a bracket in the config's own folder is an ordinary character.
    folder = absolute.parents[len(path.parts) - 1]
    return str(Path(glob.escape(str(folder)), path))


class _Named(Protocol):
    name: str


NamedT = TypeVar("NamedT", bound=_Named)
ItemT = TypeVar("ItemT")


def unique(items: tuple[ItemT, ...]) -> tuple[ItemT, ...]:
    """Refuse an item that is there twice."""
    seen = set()
    for index, item in enumerate(items):
        if item in seen:
            raise ItemError("is there twice", (index,))
        seen.add(item)
    return items


def unique_names(items: tuple[NamedT, ...]) -> tuple[NamedT, ...]:
    """Refuse a name that is there twice."""
    seen = set()
    for index, item in enumerate(items):
        if item.name in seen:
            raise ItemError("is taken by an earlier entry; names are unique", (index, "name"))
        seen.add(item.name)
    return items


Label = Annotated[str, AfterValidator(check_label)]
FileStem = Annotated[str, AfterValidator(_check_file_stem)]
TableName = Annotated[str, AfterValidator(_check_table_name)]
TimeZone = Annotated[str, AfterValidator(check_timezone)]
Currency = Annotated[str, AfterValidator(check_currency)]
Length = Annotated[Duration, PlainValidator(_duration), PlainSerializer(str, return_type=str)]
SHORTEST_LEASE = Duration.parse("1m")
Lease = Annotated[Length, AfterValidator(_check_lease)]
Memory = Annotated[str, AfterValidator(_check_memory)]
Bytes = Annotated[int, PlainValidator(number_of_bytes)]
Price = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]
Switch = Annotated[bool, Field(strict=True)]
InFolder = Annotated[Path, AfterValidator(_in_folder)]
GlobInFolder = Annotated[str, AfterValidator(_glob_in_folder)]
CloudName = Annotated[str, AfterValidator(_check_cloud_name)]
DatasetName = Annotated[str, AfterValidator(_check_dataset)]
HostName = Annotated[str, AfterValidator(_check_host)]
Endpoint = Annotated[str, AfterValidator(_check_endpoint)]
SafeEndpoint = Annotated[Endpoint, AfterValidator(_check_safe_endpoint)]
Ga4Property = Annotated[str, BeforeValidator(_check_ga4_property)]
PropertyName = Annotated[str, AfterValidator(_check_property)]
EntryId = Annotated[str, AfterValidator(check_label)]
"""A micro-conversion id; whether the taxonomy has it is checked where the taxonomy is loaded."""
