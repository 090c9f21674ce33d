"""What is measured, and against what: each suite returns rows of the table."""

from __future__ import annotations

import math
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import cloud as clouds
from benchmarks import platforms, taxonomies
from benchmarks.inputs import Input
from benchmarks.measure import Reading, in_turn, run_command, run_in, run_step

ANALYSES = ("funnel", "rules", "attribution", "paths", "discover", "coverage", "members", "report_data")
ADDED = (10_000, 100_000)
COPIES = 9
INSIGHT: Mapping[str, Mapping[str, object]] = {
    "lift": {},
    "thresholds": {},
    "lifetime_value": {},
    "retention_cohorts": {},
    "post_sale": {},
    "momentum": {},
    "momentum_weeks": {},
    "stage_times": {},
    "wavering": {},
    "momentum_score": {},
    "leading": {},
    "propensity": {},
    "what_if": {"changes": "add_to_cart +5%"},
    "suggest_segments": {},
    "combinations": {},
    "content": {},
    "changes": {},
    "prioritize": {},
    "experiment_plan": {},
}
"""Questions of insight, with what is asked."""
PEOPLE = (100_000, 1_000_000)
SEGMENTS = 10
GOOGLE = """\
[[destinations]]
name = "ads"
kind = "google_ads"
customer_id = "1234567890"
accepts_customer_match_terms = true
transport = "{platform}"
endpoint = "{address}"
"""
META = """\
[[destinations]]
name = "ads"
kind = "meta"
ad_account = "1234567890"
access_token = {{ env = "META_TOKEN" }}
app_secret = {{ env = "META_APP_SECRET" }}
endpoint = "{address}"
"""
META_SECRETS = {"META_TOKEN": "token-of-the-tests", "META_APP_SECRET": "app-secret-of-the-tests"}
ENTRIES = (200, 1_000)


@dataclass(frozen=True)
class Figure:
    """A number that counts, such as a ratio; `goal` is its upper bound, or its lower one where `at_least`."""

    value: float
    unit: str
    goal: float | None = None
    at_least: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None without a goal."""
        if self.goal is None:
            return None
        return self.value >= self.goal if self.at_least else self.value <= self.goal


@dataclass(frozen=True)
class Row:
    """One line of the table; a part of another row (a stage of a sync) has CPU seconds alone, a check a figure."""

    suite: str
    name: str
    cpu: float | None = None
    wall: float | None = None
    peak_mb: float | None = None
    figure: Figure | None = None


@dataclass(frozen=True)
class Setting:
    """What the suites share."""

    input: Input
    rounds: int
    sizes: tuple[int, ...]

    def database(self, base: Path | None = None) -> Path:
        """A database to stage into: none yet, or a copy of `base`."""
        path = self.input.folder / "scratch.duckdb"
        path.unlink(missing_ok=True)
        if base is not None:
            shutil.copyfile(base, path)
        return path

    def staged(self, config: Path) -> Path:
        """A database with all days of a configuration, staged once."""
        path = self.input.folder / f"{config.stem}.duckdb"
        if not path.exists():
            run_step("stage", config=config, database=path)
        return path

    def stage(self, config: Path, base: Path | None = None) -> Reading:
        """Stage into a new database, or into a copy of `base`."""
        return run_step("stage", config=config, database=self.database(base))


def row(suite: str, name: str, reading: Reading, figure: Figure | None = None) -> Row:
    return Row(suite, name, reading.cpu, reading.wall, reading.peak_mb, figure)


def reading(setting: Setting) -> Iterator[Row]:
    """Parameters and the whole of staging, against decoding `event_params` of the same files."""
    files = setting.input.files
    found = in_turn(
        {
            "decode event_params": partial(run_step, "decode", files=files),
            "read 6 parameters": partial(run_step, "parameters", files=files),
            "sync": partial(setting.stage, setting.input.config),
        },
        setting.rounds,
    )
    decode, parameters, sync = found.values()
    yield row("reading", "decode event_params", decode)
    yield row("reading", "read 6 parameters", parameters, Figure(parameters.cpu / decode.cpu, "x decode", 1.3))
    yield row("reading", "sync, all days", sync, Figure(sync.cpu / decode.cpu, "x decode", 2.8))
    for part, cpu in sync.parts.items():
        yield Row("reading", f"  of it {part}", cpu, figure=Figure(cpu / decode.cpu, "x decode"))
    thousands = sync.facts["events"] / 1000
    # Wall time also counts what else the machine does; CPU time tells what a quiet machine could reach on each core.
    yield row("reading", "sync, by the wall", sync, Figure(thousands / sync.wall, "k events/s", 300, at_least=True))
    yield row("reading", "sync, by the CPU", sync, Figure(thousands / sync.cpu, "k events/CPU s"))


def incremental(setting: Setting) -> Iterator[Row]:
    """New and restated days, against staging everything."""
    data = setting.input
    full, last = setting.staged(data.config), setting.staged(data.without_last_day())
    cases: dict[str, tuple[Callable[[], Reading], float | None]] = {
        "full sync": (partial(setting.stage, data.config), None),
        "nothing changed": (partial(setting.stage, data.config, full), None),
        "one new day": (partial(setting.stage, data.config, last), 5),
        "one restated day": (partial(setting.stage, data.with_new_files(1), full), None),
        "three restated days": (partial(setting.stage, data.with_new_files(3), full), 12),
    }
    found = in_turn({name: run for name, (run, _) in cases.items()}, setting.rounds)
    for name, (_, goal) in cases.items():
        share = 100 * found[name].cpu / found["full sync"].cpu
        figure = None if name == "full sync" else Figure(share, "% of full sync", goal)
        yield row("incremental", name, found[name], figure)


def analyses(setting: Setting) -> Iterator[Row]:
    """Each analysis on staged tables, once its SQL is translated."""
    config = setting.input.config
    database = setting.staged(config)
    cases = {name: partial(run_step, "analyse", config=config, database=database, name=name) for name in ANALYSES}
    for name, found in in_turn(cases, setting.rounds).items():
        yield row("analyses", name, found, Figure(found.parts["first call"], "s CPU, first call"))


def insight(setting: Setting) -> Iterator[Row]:
    """Each question of insight on the input, and on copies of it that hold ten million events."""
    config = setting.input.config
    once, many = setting.staged(config), setting.input.folder / "copies.duckdb"
    found = run_step("multiply", source=once, target=many, times=COPIES)
    for database, events, seconds in ((once, "", 10), (many, f", {found.facts['events']:,} events", 120)):
        for name, fields in INSIGHT.items():
            asked = run_step("question", config=config, database=database, name=name, fields=fields)
            yield row("insight", f"{name}{events}", asked, Figure(asked.wall, "s", seconds))
            yield Row("insight", "  its memory", figure=Figure(asked.peak_mb, "MB", 2_000))
        trained = run_step("propensity", config=config, database=database)
        yield row("insight", f"train a model{events}", trained, Figure(trained.wall, "s", seconds))
        yield Row("insight", "  its memory", figure=Figure(trained.peak_mb, "MB", 2_000))


def rows(setting: Setting) -> Iterator[Row]:
    """Rows from Python into a table, in one change."""
    cases = {size: lambda size=size: run_step("add_rows", database=setting.database(), rows=size) for size in ADDED}
    for size, found in in_turn(cases, setting.rounds).items():
        yield row("rows", f"add {size:,} rows", found, Figure(size / found.wall / 1000, "k rows/s"))


def taxonomy(setting: Setting) -> Iterator[Row]:
    """Staging everything with taxonomies of all kinds of entries, against the preset of shops as it comes."""
    configs = {size: setting.input.with_taxonomy(f"entries_{size}", taxonomies.text(size)) for size in ENTRIES}
    preset = partial(setting.stage, setting.input.config)
    cases = {"the preset ecommerce": preset} | {
        f"{size:,} entries": partial(setting.stage, config) for size, config in configs.items()
    }
    found = in_turn(cases, setting.rounds)
    usual = found["the preset ecommerce"]
    for name, seen in found.items():
        goal = 2 if name.startswith(f"{ENTRIES[0]} ") else None
        figure = None if seen is usual else Figure(seen.cpu / usual.cpu, "x preset", goal)
        yield row("taxonomy", name, seen, figure)
        for part, cpu in seen.parts.items():
            yield Row("taxonomy", f"  of it {part}", cpu, figure=Figure(cpu - usual.parts[part], "s CPU more"))


def people(setting: Setting) -> Iterator[Row]:
    """An audience of people made up in SQL: consent, identity, normalisation, hashes, files; and builds of segments."""
    for number in PEOPLE:
        folder = setting.input.folder / f"people_{number}"
        folder.mkdir()
        config = run_step("make_people", folder=folder, people=number).facts["config"]
        for segments in (1, SEGMENTS):
            build = partial(run_step, "build_segments", config=config, segments=segments)
            (found,) = in_turn({"build": build}, setting.rounds).values()
            members = number * segments
            name = f"build {segments} x {number:,} members again"
            yield row("people", name, found, Figure(members / found.cpu / 1000, "k members/CPU s"))
            (first,) = found.parts.values()
            yield Row("people", "  the first time", first, figure=Figure(members / first / 1000, "k members/CPU s"))
            yield Row("people", "  its memory", figure=Figure(found.peak_mb, "MB"))
        (found,) = in_turn({"export": lambda config=config: run_step("export", config=config)}, setting.rounds).values()
        yield row("people", f"export {number:,} people", found, Figure(number / found.cpu / 1000, "k people/CPU s"))
        yield Row("people", "  its memory", figure=Figure(found.peak_mb, "MB", 1_000))


def pushes(setting: Setting) -> Iterator[Row]:
    """A push of a million people to Customer Match, whose quota is kept, and to Meta; one round, since it is slow."""
    for platform, entry in (("grpc", GOOGLE), ("rest", GOOGLE), ("meta", META)):
        folder = setting.input.folder / f"push_{platform}"
        folder.mkdir()
        config = run_step("make_people", folder=folder, people=PEOPLE[-1]).facts["config"]
        with platforms.running(platform) as served:
            at = entry.format(address=served.address, platform=platform)
            found = run_in(sys.executable, "benchmarks.steps", "push", {"config": config, "entry": at}, META_SECRETS)
        sent = found.facts["identifiers"]
        assert list(served.told["members"].values()) == [sent]
        name = f"push {sent:,} identifiers, {platform}"
        yield row("pushes", name, found, Figure(sent / found.cpu / 1000, "k identifiers/CPU s"))
        yield Row("pushes", "  its memory", figure=Figure(found.peak_mb, "MB", 1_000))
        goal = math.ceil(sent / 10_000)
        yield Row("pushes", "  requests to send", figure=Figure(served.told["requests"], "requests", goal))


def heavy_actor(setting: Setting) -> Iterator[Row]:
    """One actor with 32,000 events, against the data without these events, and with them spread over 3,200 actors."""
    data = setting.input
    configs = {"without": data.config, "one": data.with_more_events(1), "spread": data.with_more_events(3_200)}
    for name in ("sync", "funnel", "rules", "attribution"):
        cases = {
            which: partial(setting.stage, config)
            if name == "sync"
            else partial(run_step, "analyse", config=config, database=setting.staged(config), name=name)
            for which, config in configs.items()
        }
        found = in_turn(cases, setting.rounds)
        one = found["one"]
        yield row("heavy_actor", name, one, Figure(one.cpu / found["without"].cpu, "x without it", 1.3))
        yield row("heavy_actor", f"{name}, spread", found["spread"], Figure(one.cpu / found["spread"].cpu, "x spread"))


def growth(setting: Setting) -> Iterator[Row]:
    """The whole demo and every stage at growing sizes; the exponent is that between a size and the one before."""
    before: dict[str, Reading] = {}
    size_before = 0
    for size in setting.sizes:
        folder = setting.input.folder / f"demo_{size}"
        command = Path(sys.executable).with_name("microconv")
        found = {"microconv demo": run_command(str(command), "demo", str(folder), "--events", str(size))}
        config, database = folder / "microconv.toml", folder / "microconv.duckdb"
        cases = {"sync": partial(setting.stage, config)} | {
            name: partial(run_step, "analyse", config=config, database=database, name=name) for name in ANALYSES
        }
        found |= in_turn(cases, setting.rounds)
        events = found["sync"].facts["events"]
        for name, seen in found.items():
            figure = _exponent(before[name].cpu, seen.cpu, size_before, events) if before else None
            yield row("growth", f"{name}, {size:,} events", seen, figure)
            for part, cpu in seen.parts.items() if name == "sync" else ():
                figure = _exponent(before[name].parts[part], cpu, size_before, events) if before else None
                yield Row("growth", f"  of it {part}", cpu, figure=figure)
        before, size_before = found, events
        shutil.rmtree(folder)


def _exponent(small: float, large: float, small_size: int, large_size: int) -> Figure:
    """Exponent k of cost = size ** k between two sizes."""
    return Figure(math.log(large / small) / math.log(large_size / small_size), "exponent", 1.1)


def startup(setting: Setting) -> Iterator[Row]:
    """How long `microconv --help` takes, beside an interpreter that does nothing."""
    command = Path(sys.executable).with_name("microconv")
    found = in_turn(
        {
            "python -c pass": partial(run_command, sys.executable, "-c", "pass"),
            "microconv --help": partial(run_command, str(command), "--help"),
        },
        max(10, setting.rounds),
    )
    for name, seen in found.items():
        yield row("startup", name, seen, Figure(seen.wall * 1000, "ms", 250 if "help" in name else None))


def cloud(setting: Setting) -> Iterator[Row]:
    """BigQuery as source (pull mode) and as engine, on the emulator: what it costs this machine, and calls made."""
    days = setting.input.days
    for engine, mode in (("duckdb", "pull"), ("bigquery", "engine")):
        with clouds.running(setting.input.folder / mode) as there:
            if there is None:
                return
            for name, new in (("first 3 days", days[:3]), ("one new day", days[3:4]), ("nothing changed", ())):
                for day in new:
                    there.load(day)
                before = there.calls
                found = run_step("sync_bigquery", config=there.configured(engine))
                yield row("cloud", f"{mode}, {name}", found, Figure(there.calls - before, "API calls"))


SUITES = {
    suite.__name__: suite
    for suite in (
        *(startup, reading, incremental, taxonomy, rows, people, pushes, analyses, insight, heavy_actor, growth),
        cloud,
    )
}
