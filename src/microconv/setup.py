"""What `microconv init` does: look into a folder of shards, and write a commented configuration that fits it."""

from __future__ import annotations

import glob
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from string import Template
from tempfile import TemporaryFile
from typing import Any

from microconv.atomic import replacing
from microconv.errors import ConfigError, SourceError, UsageError


@dataclass(frozen=True)
class Starter:
    """The analyses a new configuration starts with; all ids are entries of the preset."""

    conversion: str
    funnel: str
    steps: tuple[str, ...]
    segment: str
    did: str
    within: str
    meaning: str
    at_least: int = 1


STARTERS: dict[str, Starter] = {
    "ecommerce": Starter(
        conversion="purchase",
        funnel="purchase_journey",
        steps=("view_item", "add_to_cart", "begin_checkout", "purchase"),
        segment="cart_abandoners",
        did="add_to_cart",
        within="14d",
        meaning="a cart within two weeks, and no purchase",
    ),
    "saas": Starter(
        conversion="subscribe",
        funnel="subscription_journey",
        steps=("pricing_view", "sign_up", "tutorial_complete", "subscribe"),
        segment="pricing_viewers",
        did="pricing_view",
        within="14d",
        meaning="the pricing page within two weeks, and no subscription",
    ),
    "publisher": Starter(
        conversion="subscribe",
        funnel="subscription_journey",
        steps=("article_read", "sign_up", "subscribe"),
        segment="regular_readers",
        did="article_read",
        at_least=3,
        within="30d",
        meaning="three articles read within a month, and no subscription",
    ),
    "lead_generation": Starter(
        conversion="generate_lead",
        funnel="lead_journey",
        steps=("form_start", "form_submit", "generate_lead"),
        segment="form_abandoners",
        did="form_start",
        within="14d",
        meaning="a form started within two weeks, and no lead",
    ),
}
"""What fits each preset of the taxonomy."""


@dataclass(frozen=True)
class ExportSummary:
    """What a folder of shards holds.

    Dates are days of the property; `missing_days` lie between the first and the last. `has_session_source` tells
    whether the newest daily shard has GA4's own traffic source of sessions; it is None where only rows could tell.
    """

    folder: Path
    pattern: str
    daily: int
    fresh: int
    intraday: int
    first_date: date
    last_date: date
    missing_days: tuple[date, ...]
    formats: tuple[str, ...]
    has_session_source: bool | None

    def document(self) -> dict[str, Any]:
        """Return the JSON document: the fields, dates as ISO strings."""
        document = asdict(self) | {"folder": str(self.folder), "formats": list(self.formats)}
        document["first_date"], document["last_date"] = self.first_date.isoformat(), self.last_date.isoformat()
        document["missing_days"] = [day.isoformat() for day in self.missing_days]
        return document

    def sentences(self) -> tuple[str, ...]:
        """Return what was found, for a person."""
        kinds = ", ".join(
            f"{count} {kind}"
            for kind, count in (("daily", self.daily), ("fresh", self.fresh), ("intraday", self.intraday))
            if count
        )
        said = [
            f"{self.folder} holds {kinds} shards ({', '.join(self.formats)}), {self.first_date} to {self.last_date}."
        ]
        if self.missing_days:
            listed = ", ".join(day.isoformat() for day in self.missing_days[:5])
            more = ", …" if len(self.missing_days) > 5 else ""  # noqa: PLR2004 - as many as were listed
            said.append(f"Days without a shard: {len(self.missing_days)} ({listed}{more}).")
        if self.has_session_source is False:
            said.append(
                "The newest daily shard lacks session_traffic_source_last_click, which exports have since 2024: "
                "traffic sources of sessions will be derived from their events."
            )
        return tuple(said)


@dataclass(frozen=True)
class Answers:
    """What `microconv init` asks."""

    property: str
    timezone: str
    name: str
    currency: str
    preset: str


def look_into(folder: Path, property_id: str) -> ExportSummary:
    """Find the shards in a folder, and read the schema of the newest daily one from its footer.

    Raises:
        SourceError: there is no such folder, no shard in it, or the newest shard is damaged or no GA4 export.
    """
    # pyarrow is loaded by these, and only once a folder is really looked into.
    from microconv.exports import choose, classify_shard, list_shards, read_schema  # noqa: PLC0415

    if not folder.is_dir():
        raise SourceError(
            f"{folder} is not a folder.", hint="Name the folder that holds the events_YYYYMMDD files with --exports."
        )
    try:
        names = [path.name for path in folder.iterdir()]
    except OSError as error:
        raise SourceError(f"{folder} cannot be read: {error.strerror}.", hint="Allow reading the folder.") from error
    if not any(map(classify_shard, names)):
        raise SourceError(
            f"{folder} holds no shard of a GA4 export (of {len(names)} names in it, none is one).",
            hint="Shards are named events_YYYYMMDD, events_intraday_YYYYMMDD or events_fresh_YYYYMMDD, "
            "with .parquet, .ndjson or .ndjson.gz; name the folder they lie in with --exports.",
        )
    shards = list_shards(_pattern(folder, "events_*"), property_id)
    chosen = choose(shards)
    days = [shard.day for shard in chosen]
    present = set(days)
    span = range((days[-1] - days[0]).days + 1)
    kinds = Counter(shard.kind for shard in shards)
    endings = {"".join(file.suffixes) for shard in shards for file in shard.files}
    # Intraday shards lack columns of every era, so they say nothing about the export.
    newest = next((shard for shard in reversed(chosen) if shard.kind == "daily"), chosen[-1])
    schema = read_schema(newest)
    return ExportSummary(
        folder=folder,
        pattern=_pattern(folder, f"events_*{endings.pop()}" if len(endings) == 1 else "events_*"),
        daily=kinds["daily"],
        fresh=kinds["fresh"],
        intraday=kinds["intraday"],
        first_date=days[0],
        last_date=days[-1],
        missing_days=tuple(day for offset in span if (day := days[0] + timedelta(days=offset)) not in present),
        formats=tuple(sorted({shard.format for shard in shards})),
        has_session_source=(
            any(leaf.startswith("session_traffic_source_last_click.") for leaf in schema.leaves)
            if newest.kind == "daily" and newest.format == "parquet"  # NDJSON does not say what it lacks
            else None
        ),
    )


def _pattern(folder: Path, name: str) -> str:
    # A bracket in the folder's name is no pattern.
    return (Path(glob.escape(str(folder))) / name).as_posix()


def render_config(answers: Answers, export: ExportSummary, config_folder: Path) -> str:
    """Return the text of a configuration that lies in `config_folder`; it names the export relative to it if it can."""
    starter = STARTERS[answers.preset]
    folder, base = export.folder.resolve(), config_folder.resolve()
    inside = folder.is_relative_to(base)
    pattern = _pattern(folder.relative_to(base) if inside else folder, Path(export.pattern).name)
    values = {
        "name": answers.name,
        "timezone": answers.timezone,
        "currency": answers.currency,
        "property": answers.property,
        "pattern": pattern,
        "preset": answers.preset,
        **asdict(starter),
    }
    quoted = {key: _toml(value) for key, value in values.items()}
    # The meaning stands in a comment.
    return Template(_TEMPLATE).substitute(quoted | {"meaning": starter.meaning})


def _toml(value: object) -> str:
    # JSON's strings and lists of strings are TOML's, but for the delete character, which TOML wants escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def check_writable(path: Path, *, force: bool) -> None:
    """Refuse early a file that `write_config` would refuse.

    Raises:
        UsageError: the file exists and `force` is not set, or it is a folder.
        ConfigError: its folder does not exist or cannot be written to.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder.", hint="Name the file to write with --output.")
    if path.exists() and not force:
        raise UsageError(
            f"{path} exists already and was left as it is.", hint="Name another file with --output, or use --force."
        )
    if not path.parent.is_dir():
        raise ConfigError(
            f"{path.parent} is not a folder, so {path.name} cannot be written there.",
            hint="Create the folder first, or name another place with --output.",
        )
    with _writing_to(path), TemporaryFile(dir=path.parent):
        return


def write_config(text: str, path: Path, *, force: bool) -> None:
    """Write the configuration whole or not at all.

    Raises:
        UsageError: the file exists and `force` is not set, or it is a folder.
        ConfigError: it cannot be written.
    """
    check_writable(path, force=force)
    with _writing_to(path), replacing(path) as hidden:
        hidden.write_text(text, encoding="utf-8")


@contextmanager
def _writing_to(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written: {error.strerror or type(error).__name__}.",
            hint="Allow writing to its folder, make room on its disk, or name another place with --output.",
        ) from error


_TEMPLATE = """\
# Configuration of microconv, written by `microconv init`.
# Relative paths start at the folder of this file. Lengths of time are written 90s, 30m, 12h or 7d.
# A key of a [table] can be overridden from the environment, for instance MICROCONV_ENGINE__MEMORY_LIMIT=4GB.

[project]
name = $name
# The reporting time zone of the GA4 property (Admin > Property details): it decides where a day begins.
timezone = $timezone
currency = $currency

[engine]
kind = "duckdb"
path = "microconv.duckdb"
memory_limit = "1GB"

[[sources]]
property = $property
kind = "files"
path = $pattern

# Which events are micro-conversions. `microconv taxonomy show` lists them.
[taxonomy]
preset = $preset
# file = "taxonomy.toml"  # adds to the preset, or replaces parts of it

[[funnels]]
name = $funnel
steps = $steps
count = "actors"  # or "sessions", "attempts"
window = "7d"  # from the first step to the last

[attribution]
conversion = $conversion
windows = ["1d", "7d", "30d"]
models = ["first", "last", "last_non_direct", "linear", "time_decay", "position", "markov", "shapley"]
half_life = "7d"  # of time_decay

# In words: $meaning.
[[segments]]
name = $segment
rule = { did = $did, at_least = $at_least, within = $within, not_did = $conversion }
identity = ["email"]  # also "phone", "user_id"

[[destinations]]
name = "google_ads"
kind = "file"
format = "google_ads"  # or "csv", "jsonl"
path = "audiences"

# Who the actors are (CSV or Parquet): user_id, email, phone, first_name, last_name, country, postal_code.
[identity]
# file = "identity.csv"

# Who agreed (CSV or Parquet): user_id, ad_user_data, ad_personalization (granted or denied), changed_at.
# Nobody is exported without a row here that grants both.
[consent]
# file = "consent.csv"
"""
