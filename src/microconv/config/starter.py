"""The configuration that a project starts with: a commented file that fits an export."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from string import Template
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from microconv.config.places import refuse_to_replace
from microconv.config.toml import literal
from microconv.errors import ConfigError, UsageError
from microconv.files import pattern_in, replacing

if TYPE_CHECKING:  # pydantic is slow to load, and `microconv init --help` needs the names of the presets alone
    from microconv.config.sections import Config


@dataclass(frozen=True)
class Starter:
    """The analyses a new configuration starts with; all ids are entries of the preset."""

    goal: str
    funnel: str
    steps: tuple[str, ...]
    segment: str
    did: str
    within: str
    meaning: str
    at_least: int = 1


STARTERS: dict[str, Starter] = {
    "ecommerce": Starter(
        goal="purchase",
        funnel="purchase_journey",
        steps=("view_item", "add_to_cart", "begin_checkout", "purchase"),
        segment="cart_abandoners",
        did="add_to_cart",
        within="14d",
        meaning="a cart within two weeks, and no purchase",
    ),
    "saas": Starter(
        goal="subscribe",
        funnel="subscription_journey",
        steps=("pricing_view", "sign_up", "tutorial_complete", "subscribe"),
        segment="pricing_viewers",
        did="pricing_view",
        within="14d",
        meaning="the pricing page within two weeks, and no subscription",
    ),
    "publisher": Starter(
        goal="subscribe",
        funnel="subscription_journey",
        steps=("article_read", "sign_up", "subscribe"),
        segment="regular_readers",
        did="article_read",
        at_least=3,
        within="30d",
        meaning="three articles read within a month, and no subscription",
    ),
    "lead_generation": Starter(
        goal="generate_lead",
        funnel="lead_journey",
        steps=("form_start", "form_submit", "generate_lead"),
        segment="form_abandoners",
        did="form_start",
        within="14d",
        meaning="a form started within two weeks, and no lead",
    ),
    "mobile_app": Starter(
        goal="in_app_purchase",
        funnel="first_purchase",
        steps=("first_open", "tutorial_complete", "in_app_purchase"),
        segment="lookers",
        did="paywall_view",
        within="14d",
        meaning="what costs money shown within two weeks, and no purchase",
    ),
}
"""What fits each preset of the taxonomy."""


@dataclass(frozen=True)
class Answers:
    """What `microconv init` asks."""

    property: str
    timezone: str
    name: str
    currency: str
    preset: str


def render_config(answers: Answers, exports: Path, shards: str, config_folder: Path) -> str:
    """Return the text of a configuration that lies in `config_folder`.

    `exports` is the folder of the export, named relative to the configuration if it can be; `shards` the pattern of the
    names in it.
    """
    starter = STARTERS[answers.preset]
    folder, base = exports.resolve(), config_folder.resolve()
    inside = folder.is_relative_to(base)
    pattern = pattern_in(folder.relative_to(base) if inside else folder, shards)
    values = {
        "name": answers.name,
        "timezone": answers.timezone,
        "currency": answers.currency,
        "property": answers.property,
        "pattern": pattern,
        "preset": answers.preset,
        **asdict(starter),
    }
    quoted = {key: literal(value) for key, value in values.items()}
    # The meaning stands in a comment.
    return Template(_TEMPLATE).substitute(quoted | {"meaning": starter.meaning})


def check_writable(path: Path, *, force: bool, named_by: Config | None = None) -> None:
    """Refuse early a file that `write_config` would refuse, or that a configuration names.

    Raises:
        UsageError: the file exists and `force` is not set, it is not a configuration, or it is a folder.
        ConfigError: its folder does not exist or cannot be written to.
    """
    with _writing_to(path):
        if path.is_dir():
            raise UsageError(f"{path} is a folder.", hint="Name the file to write with --output.")
        if path.exists() and not force:
            raise UsageError(
                f"{path} exists already and was left as it is.", hint="Name another file with --output, or use --force."
            )
        refuse_to_replace(path, named_by, is_ours=_is_configuration, ours="a configuration of microconv")
        if not path.parent.is_dir():
            raise ConfigError(
                f"{path.parent} is not a folder, so {path.name} cannot be written there.",
                hint="Create the folder first, or name another place with --output.",
            )
        with TemporaryFile(dir=path.parent):
            return


def _is_configuration(head: bytes) -> bool:
    text = head.decode(errors="replace")
    return text.startswith(_TITLE) or re.search(r"^\s*\[project\]|^\s*\[\[sources\]\]", text, re.MULTILINE) is not None


def write_config(text: str, path: Path, *, force: bool, read: Callable[[Path], Config] | None = None) -> None:
    """Write the configuration whole or not at all.

    Args:
        text: what to write.
        path: where.
        force: whether another configuration there may be replaced.
        read: reads a configuration; one that it refuses is not put in place.

    Raises:
        UsageError: the file exists and `force` is not set, it is not a configuration, or it is a folder; or the text
            names the file itself for something else.
        ConfigError: it cannot be written, or not be read back.
    """
    check_writable(path, force=force)
    with _writing_to(path), replacing(path, is_private=False) as hidden:
        hidden.write_text(text, encoding="utf-8")
        if read is not None:
            check_writable(path, force=force, named_by=read(hidden))


@contextmanager
def _writing_to(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written: {error.strerror or type(error).__name__}.",
            hint="Allow writing to its folder, make room on its disk, or name another place with --output.",
        ) from error


_TITLE = "# Configuration of microconv,"
_TEMPLATE = """\
# Configuration of microconv, written by `microconv init`.
# Relative paths start at the folder of this file. Lengths of time are written 90s, 30m, 12h or 7d.
# A key of a [table] can be overridden from the environment, for instance MICROCONV_ENGINE__MEMORY_LIMIT=4GB.

[project]
name = $name
# The reporting time zone of the GA4 property (Admin > Property details). It changes no figure, since GA4 wrote the day
# of each event: it is the report's clock, says which day is today, and is checked against the days of the export.
timezone = $timezone
# Values count in this currency. Those in another one are never added to them; results name them.
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
goal = $goal
windows = ["1d", "7d", "30d"]
models = ["first", "last", "last_non_direct", "linear", "time_decay", "position", "markov", "shapley"]
half_life = "7d"  # of time_decay

# In words: $meaning.
[[segments]]
name = $segment
rule = { did = $did, at_least = $at_least, within = $within, not_did = $goal }
identity = ["email"]  # also "phone", "user_id"

[[destinations]]
name = "google_ads"
kind = "file"
format = "google_ads"  # or "meta", "csv", "jsonl"
path = "audiences"

# Who the actors are (CSV or Parquet): user_id, email, phone, first_name, last_name, country, postal_code.
[identity]
# file = "identity.csv"

# Who agreed (CSV or Parquet): user_id, ad_user_data, ad_personalization (granted or denied), changed_at.
# Nobody is exported without a row here that grants both.
[consent]
# file = "consent.csv"
"""
