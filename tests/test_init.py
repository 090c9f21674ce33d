"""`microconv init`: what it finds in a folder of shards, what it writes, and what it refuses."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from datetime import date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

import ga4
from microconv.catalogue import destination_settings
from microconv.cli.context import CommandContext
from microconv.cli.init import init
from microconv.config.load import load_config
from microconv.config.starter import STARTERS, write_config
from microconv.errors import ConfigError, MicroconvError, SourceError, UsageError
from microconv.exports.survey import look_into
from microconv.taxonomy import PRESETS, load_taxonomy

ROOT = Path(__file__).parent.parent
REQUIRED = ("--property", "123", "--timezone", "Europe/Berlin")


def write_shard(path: Path, *extra: str) -> None:
    """Write a shard with the least a GA4 export has, and the extra columns as structs of text."""
    value = pa.struct([("string_value", pa.string()), ("int_value", pa.int64())])
    fields = {
        "event_date": pa.string(),
        "event_timestamp": pa.int64(),
        "event_name": pa.string(),
        "event_params": pa.list_(pa.struct([("key", pa.string()), ("value", value)])),
        "user_pseudo_id": pa.string(),
    }
    source = pa.struct([("cross_channel_campaign", pa.struct([("source", pa.string())]))])
    schema = pa.schema(fields | dict.fromkeys(extra, source))
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(schema.empty_table(), path)


@pytest.fixture
def exports(tmp_path, monkeypatch) -> Path:
    """A folder `exports` of three daily shards with a gap and an intraday one; the working folder is around it."""
    for name in ("events_20240101", "events_20240102", "events_20240105", "events_intraday_20240106"):
        write_shard(tmp_path / "exports" / f"{name}.parquet")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "exports"


def run(*arguments: str, log_format: str = "text") -> Result:
    return CliRunner().invoke(init, arguments, obj=CommandContext(config_path=None, log_format=log_format, environ={}))


def error_of(result: Result) -> MicroconvError:
    assert isinstance(result.exception, MicroconvError), result.output
    return result.exception


# What is written


@pytest.mark.parametrize("preset", list(STARTERS))
def test_written_configuration_loads_and_fits_its_preset(exports, preset):
    result = run("--exports", "exports", *REQUIRED, "--preset", preset, "--currency", "EUR", "--name", "My shop")

    assert result.exit_code == 0, result.output
    config = load_config(Path("microconv.toml"), {}, destination_settings)
    assert (config.project.name, config.project.timezone) == ("My shop", "Europe/Berlin")
    assert config.project.currency == "EUR"
    assert [(source.property, source.path) for source in config.sources] == [("123", f"{exports}/events_*.parquet")]
    taxonomy = load_taxonomy(preset=config.taxonomy.preset, file=None)
    assert config.taxonomy.preset == preset
    segment = config.segments[0]
    named = {
        *(each for step in config.funnels[0].steps for each in step.did),
        config.attribution.goal,
        *(each for each, _ in segment.named()),
    }
    assert named <= set(taxonomy.ids)
    assert taxonomy.entry(config.attribution.goal).kind == "macro"
    ranks = [taxonomy.rank(step.did[0]) for step in config.funnels[0].steps]
    assert ranks == sorted(ranks)
    assert config.destinations[0].path.name not in {"exports"}


def test_every_preset_has_a_starter():
    assert tuple(STARTERS) == tuple(PRESETS)


@pytest.mark.usefixtures("exports")
def test_defaults_of_the_flags():
    assert run("--exports", "exports", *REQUIRED).exit_code == 0

    config = load_config(Path("microconv.toml"), {})
    assert (config.project.name, config.project.currency, config.taxonomy.preset) == ("123", "USD", "ecommerce")


def test_export_elsewhere_is_named_absolutely_and_below_the_file_relatively(exports, tmp_path):
    (tmp_path / "configs").mkdir()

    run("--exports", "exports", *REQUIRED)
    run("--exports", "exports", *REQUIRED, "--output", "configs/other.toml")

    near = tomllib.loads(Path("microconv.toml").read_text())["sources"][0]["path"]
    far = tomllib.loads(Path("configs/other.toml").read_text())["sources"][0]["path"]
    assert near == "exports/events_*.parquet"
    assert far == f"{exports}/events_*.parquet"


def test_odd_names_survive_quoting(tmp_path, monkeypatch):
    folder = tmp_path / 'new [1] "x" 100%'
    write_shard(folder / "events_20240101.parquet")
    monkeypatch.chdir(tmp_path)

    result = run("--exports", str(folder), "--property", 'a "b" \\ $c ✓', "--timezone", "UTC")

    assert result.exit_code == 0, result.output
    source = load_config(Path("microconv.toml"), {}).sources[0]
    assert source.property == 'a "b" \\ $c ✓'
    assert look_into(folder, "x").daily == 1
    assert list(Path("/").glob(source.path.removeprefix("/"))) == [folder / "events_20240101.parquet"]


@pytest.mark.usefixtures("exports")
def test_written_file_has_comments_for_people():
    run("--exports", "exports", *REQUIRED)

    text = Path("microconv.toml").read_text()
    assert "# In words: a cart within two weeks, and no purchase." in text
    assert "# Nobody is exported without a row here that grants both." in text
    assert "$" not in text


# What is found


@pytest.mark.usefixtures("exports")
def test_what_was_found_is_told():
    result = run("--exports", "exports", *REQUIRED)

    assert "exports holds 3 daily, 1 intraday shards (parquet), 2024-01-01 to 2024-01-06." in result.stderr
    assert "Days without a shard: 2 (2024-01-03, 2024-01-04)." in result.stderr
    assert "lacks session_traffic_source_last_click" in result.stderr
    assert "Wrote microconv.toml. Next: microconv -c microconv.toml sync" in result.stdout


def test_json_is_one_document_on_stdout(exports):
    document = json.loads(run("--exports", "exports", *REQUIRED, "--format", "json").stdout)

    assert document == {
        "config": str(exports.parent / "microconv.toml"),
        "preset": "ecommerce",
        "exports": {
            "folder": "exports",
            "pattern": "exports/events_*.parquet",
            "daily": 3,
            "fresh": 0,
            "intraday": 1,
            "first_date": "2024-01-01",
            "last_date": "2024-01-06",
            "missing_days": ["2024-01-03", "2024-01-04"],
            "formats": ["parquet"],
            "has_session_source": False,
        },
    }


@pytest.mark.usefixtures("exports")
def test_schedulers_get_json_lines_on_stderr():
    lines = run("--exports", "exports", *REQUIRED, log_format="json").stderr.splitlines()

    assert "3 daily, 1 intraday shards" in json.loads(lines[0])["message"]


def test_newer_export_is_recognised_by_its_newest_daily_shard(exports):
    write_shard(exports / "events_20240105.parquet", "session_traffic_source_last_click")

    summary = look_into(exports, "123")

    assert summary.has_session_source is True
    assert "session_traffic_source_last_click" not in " ".join(summary.sentences())


def test_intraday_shards_alone_do_not_tell_the_era(tmp_path):
    write_shard(tmp_path / "events_intraday_20240106.parquet")

    assert look_into(tmp_path, "123").has_session_source is None


def test_mixed_formats_get_a_pattern_that_finds_both(exports):
    with gzip.open(exports / "events_20240103.ndjson.gz", "wt") as file:
        file.write('{"event_name": "page_view"}\n')

    summary = look_into(exports, "123")

    assert summary.formats == ("ndjson", "parquet")
    assert summary.pattern == f"{exports}/events_*"
    assert summary.missing_days == (date(2024, 1, 4),)


def test_one_compressed_format_keeps_its_whole_ending(tmp_path):
    with gzip.open(tmp_path / "events_20240103.ndjson.gz", "wt") as file:
        file.write('{"event_name": "page_view"}\n')

    summary = look_into(tmp_path, "123")

    assert summary.pattern == f"{tmp_path}/events_*.ndjson.gz"
    assert summary.has_session_source is None


def test_real_export_is_described():
    folder = ROOT.parent / "shared" / "data" / "ga4_sample"
    if not folder.is_dir():
        pytest.skip("the GA4 sample is not beside this checkout")

    summary = look_into(folder, "sample")

    assert (summary.daily, summary.fresh, summary.intraday) == (32, 0, 0)
    assert (summary.first_date, summary.last_date) == (date(2020, 12, 19), date(2021, 1, 19))
    assert (summary.missing_days, summary.has_session_source) == ((), False)


# What is refused


def test_folder_without_shards(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports" / "notes.parquet").touch()

    error = error_of(run("--exports", "exports", *REQUIRED))

    assert isinstance(error, SourceError)
    assert error.exit_code == 3
    assert error.message == "exports holds no shard of a GA4 export (of 1 names in it, none is one)."
    assert "--exports" in error.hint
    assert not Path("microconv.toml").exists()


def test_missing_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    error = error_of(run("--exports", "gone", *REQUIRED))

    assert (error.exit_code, error.message) == (3, "gone is not a folder.")
    assert "--exports" in error.hint


def test_damaged_newest_shard_stops_before_anything_is_written(exports):
    (exports / "events_20240107.parquet").write_bytes(b"PAR1 truncated")

    error = error_of(run("--exports", "exports", *REQUIRED))

    assert isinstance(error, SourceError)
    assert "events_20240107.parquet" in error.message
    assert not Path("microconv.toml").exists()


@pytest.mark.usefixtures("exports")
def test_without_a_terminal_every_missing_flag_is_named():
    error = error_of(run("--property", "123"))

    assert isinstance(error, UsageError)
    assert error.exit_code == 2
    assert "Required and not given: --exports, --timezone" in error.message


@pytest.mark.parametrize(
    ("flag", "value", "said"),
    [
        (
            "--timezone",
            "Europe/Berln",
            '--timezone "Europe/Berln" is not an IANA time zone (did you mean "Europe/Berlin"?)',
        ),
        ("--currency", "euro", '--currency "euro" is not a currency code of three capital letters'),
        ("--property", " ", '--property " " must be text of printable characters'),
    ],
)
@pytest.mark.usefixtures("exports")
def test_bad_answer_is_named_with_its_flag(flag, value, said):
    error = error_of(run("--exports", "exports", *REQUIRED, flag, value))

    assert error.exit_code == 2
    assert said in error.message
    assert not Path("microconv.toml").exists()


@pytest.mark.usefixtures("exports")
def test_existing_file_is_kept_unless_forced():
    target = Path("microconv.toml")
    target.write_text("[project]\nmine")

    error = error_of(run("--exports", "exports", *REQUIRED))

    assert (error.exit_code, target.read_text()) == (2, "[project]\nmine")
    assert "microconv.toml exists already" in error.message
    assert "--force" in error.hint
    assert run("--exports", "exports", *REQUIRED, "--force").exit_code == 0
    assert load_config(target, {}).project.timezone == "Europe/Berlin"


@pytest.mark.usefixtures("exports")
def test_output_that_is_a_folder_or_lies_in_none():
    assert "exports is a folder" in error_of(run("--exports", "exports", *REQUIRED, "--output", "exports")).message
    assert "gone is not a folder" in error_of(run("--exports", "exports", *REQUIRED, "--output", "gone/m.toml")).message


@pytest.fixture
def read_only_folder():
    """A folder this process may read and not write to; root gives up its rights for the test."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o555)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65_534)
        try:
            yield folder
        finally:
            os.seteuid(user)
            folder.chmod(0o755)


def test_folder_without_write_permission(read_only_folder):
    with pytest.raises(ConfigError) as caught:
        write_config("x = 1\n", read_only_folder / "microconv.toml", force=False)

    assert caught.value.exit_code == 2
    assert caught.value.message == f"{read_only_folder / 'microconv.toml'} cannot be written: Permission denied."


def test_folder_without_read_permission(read_only_folder):
    os.seteuid(os.getuid())
    read_only_folder.chmod(0o000)
    if os.getuid() == 0:
        os.seteuid(65_534)

    with pytest.raises(SourceError, match="cannot be read: Permission denied"):
        look_into(read_only_folder, "123")


def test_failed_write_leaves_the_old_file_and_no_other(tmp_path, mocker):
    target = tmp_path / "microconv.toml"
    target.write_text("[project]")
    # A full disk cannot be had portably: the system call that reports it is made to.
    mocker.patch("microconv.files.os.fsync", side_effect=OSError(28, "No space left on device"))

    with pytest.raises(ConfigError, match="No space left on device"):
        write_config("new", target, force=True)

    assert target.read_text() == "[project]"
    assert list(tmp_path.iterdir()) == [target]


# Questions


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.usefixtures("exports")
def test_on_a_terminal_what_is_missing_is_asked_until_it_is_right():
    terminal, theirs = os.openpty()
    answers = ["exports", "shop", "Europe/Berln", "Europe/Berlin", "", "EUR", "ecomerce", "ecommerce"]
    os.write(terminal, "".join(f"{answer}\n" for answer in answers).encode())

    done = subprocess.run(
        [sys.executable, "-c", "from microconv.cli import main; main()", "init"],
        stdin=theirs,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(theirs)
    os.close(terminal)

    assert done.returncode == 0, done.stderr
    assert "Reporting time zone" in done.stderr
    assert '"Europe/Berln" is not an IANA time zone (did you mean "Europe/Berlin"?)' in done.stderr
    assert '"ecomerce" is not one of ecommerce, saas' in done.stderr
    assert "Reporting time zone" not in done.stdout
    config = load_config(Path("microconv.toml"), {})
    assert (config.project.name, config.project.currency) == ("shop", "EUR")
    assert (config.project.timezone, config.sources[0].property) == ("Europe/Berlin", "shop")


def test_command_module_loads_nothing_heavy():
    code = "import sys, microconv.cli.init; print(sorted({'pydantic', 'pyarrow', 'duckdb', 'rich'} & set(sys.modules)))"

    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_help_has_examples():
    assert re.search(r"^ +microconv init --exports exports --property", run("--help").stdout, re.MULTILINE)


# What the export shows


def write_shop(folder: Path, zone: str = "America/Los_Angeles", currencies: tuple[str | None, ...] = ("EUR",)) -> None:
    """Write a week of a shop: events at every hour of the property's clock."""
    for number in range(7):
        day = date(2024, 1, 8) + timedelta(days=number)
        midnight = datetime.combine(day, time(), tzinfo=ZoneInfo(zone)).timestamp()
        events = [
            ga4.event(
                round((midnight + hour * 3600) * 1_000_000),
                "purchase",
                event_date=f"{day:%Y%m%d}",
                params={
                    "page_location": f"https://www.{'pay' if hour == 3 else 'shop'}.example/a",
                    "value": 5.0,
                    "currency": currencies[hour % len(currencies)],
                },
            )
            for hour in range(24)
        ]
        ga4.write_parquet(folder / f"{ga4.shard_name(day)}.parquet", events)


@pytest.fixture
def shop(tmp_path, monkeypatch) -> Path:
    """A folder `exports` of a shop in Los Angeles that sells in EUR; the working folder is around it."""
    monkeypatch.chdir(tmp_path)
    write_shop(tmp_path / "exports")
    return tmp_path / "exports"


@pytest.mark.usefixtures("shop")
def test_currency_and_name_are_those_of_the_export_and_that_is_said():
    result = run("--exports", "exports", "--property", "123", "--timezone", "America/Los_Angeles")

    config = load_config(Path("microconv.toml"), {}, destination_settings)
    assert (config.project.name, config.project.currency) == ("shop.example", "EUR")
    assert "Events that name a currency name EUR (168 of 168)." in result.stderr
    assert "The currency is EUR; --currency or project.currency sets another one." in result.stderr
    assert 'Reports are titled "shop.example"' in result.stderr
    assert "Days of the export begin at midnight of UTC-08:00 (such as America/Los_Angeles)." in result.stderr
    assert "Warning" not in result.stderr


def test_the_currency_of_most_events_is_proposed_and_all_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_shop(tmp_path / "exports", currencies=("jpy", "CHF", "CHF", "(not set)", None, ""))

    result = run("--exports", "exports", *REQUIRED)

    assert load_config(Path("microconv.toml"), {}, destination_settings).project.currency == "CHF"
    assert "name CHF (56 of 84) and JPY (28 of 84)." in result.stderr


@pytest.mark.usefixtures("shop")
def test_an_answer_that_the_export_contradicts_is_written_with_a_warning():
    result = run("--exports", "exports", *REQUIRED, "--currency", "USD")

    config = load_config(Path("microconv.toml"), {}, destination_settings)
    assert (config.project.timezone, config.project.currency) == ("Europe/Berlin", "USD")
    assert "do not begin at midnight in Europe/Berlin, but at midnight of UTC-08:00" in result.stderr
    assert "No event names the currency USD; most name EUR." in result.stderr


def test_a_damaged_shard_keeps_init_from_proposing_and_not_from_writing(shop):
    for shard in shop.iterdir():
        if "20240114" not in shard.name:  # the newest is the one whose schema is read
            shard.write_bytes(b"not Parquet")

    assert run("--exports", "exports", *REQUIRED).exit_code == 0


def test_a_host_that_is_none_names_no_project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    odd = ga4.event("2024-03-01 10:00:00", "page_view", params={"page_location": "https://a\x1b[31mb\u202e c/x"})
    ga4.write_parquet(tmp_path / "exports" / "events_20240301.parquet", [odd])

    result = run("--exports", "exports", *REQUIRED)

    assert load_config(Path("microconv.toml"), {}, destination_settings).project.name == "123"
    assert "\x1b" not in result.output


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.usefixtures("shop")
def test_on_a_terminal_what_the_export_shows_is_proposed():
    terminal, theirs = os.openpty()
    os.write(terminal, b"exports\n123\n\n\n\n\n")

    done = subprocess.run(
        [sys.executable, "-c", "from microconv.cli import main; main()", "init"],
        stdin=theirs,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(theirs)
    os.close(terminal)

    assert done.returncode == 0, done.stderr
    assert "Reporting time zone of the property [America/Los_Angeles]" in done.stderr
    project = load_config(Path("microconv.toml"), {}).project
    assert (project.timezone, project.name, project.currency) == ("America/Los_Angeles", "shop.example", "EUR")
