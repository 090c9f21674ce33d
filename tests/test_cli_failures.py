"""What can go wrong ends in one paragraph on stderr, the documented exit code and a state that the next run can use."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

import ga4
from commands import (
    COMMAND,
    FIRST_DAY,
    assert_completes,
    assert_consistent,
    contents,
    environment,
    limited_to,
    microconv,
    runs,
    shard,
    unprivileged,
    write_days,
)
from microconv.errors import SourceError
from microconv.exports import list_shards
from projects import write_config

DATABASE = "microconv.duckdb"
FUNNEL = '[[funnels]]\nname = "{name}"\nsteps = ["view_item", "{step}"]\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project with three small days."""
    write_config(tmp_path)
    write_days(tmp_path, 3)
    return tmp_path


def without_privileges(folder: Path, *arguments: str, env: dict[str, str] | None = None):
    done = microconv(folder, *arguments, env=env, before=unprivileged())
    if done.code == 77:
        pytest.skip("this root may not give up its privileges, so no permission holds for it")
    return done


# The configuration and the call


def test_missing_configuration_lists_where_it_was_looked_for(tmp_path):
    microconv(tmp_path, "sync").assert_failed(
        2, "-c was not given", "MICROCONV_CONFIG is not set", str(tmp_path / "microconv.toml"), "microconv init"
    )
    microconv(tmp_path, "-c", "shop.toml", "sync").assert_failed(2, "shop.toml, given with -c, does not exist")


def test_unknown_key_names_file_line_and_nearest_key(folder):
    write_config(folder, extra='[engine]\npaht = "x.duckdb"\n')
    microconv(folder, "sync").assert_failed(2, "microconv.toml", "line 9", "paht", '"path"')


def test_bad_time_zone_suggests_the_nearest(folder):
    write_config(folder, timezone="Europe/Berln")
    microconv(folder, "sync").assert_failed(2, "microconv.toml", "timezone", "Europe/Berlin")


@pytest.mark.parametrize("arguments", [("snyc",), ("sync", "--no-such-option"), ("sync", "--format", "xml")], ids=str)
def test_a_call_that_click_refuses_exits_with_two(folder, arguments):
    done = microconv(folder, *arguments)
    assert (done.code, done.stdout) == (2, "")
    assert "Error: " in done.stderr


def test_unknown_funnel_lists_the_known_ones(folder):
    write_config(folder, extra=FUNNEL.format(name="checkout", step="purchase"))
    microconv(folder, "funnel", "chekout").assert_failed(2, "'chekout'", "checkout")


def test_segment_without_a_name_lists_the_known_ones(folder):
    rule = '[[segments]]\nname = "carts"\nrule = { did = "add_to_cart", within = "14d" }\n'
    write_config(folder, extra=rule)
    assert microconv(folder, "sync").code == 0
    microconv(folder, "segment").assert_failed(2, "No segment is named", "the configuration has: carts")


def test_funnel_with_an_unknown_micro_conversion_names_it_and_the_nearest(folder):
    assert microconv(folder, "sync").code == 0
    write_config(folder, extra=FUNNEL.format(name="checkout", step="purchsae"))
    for arguments in (("funnel", "checkout"), ("sync",)):  # what is wrong is said before anything is staged, too
        microconv(folder, *arguments).assert_failed(2, "purchsae", 'funnel "checkout"', "purchase")


def test_analysis_before_the_first_sync_says_to_sync(folder):
    microconv(folder, "channels").assert_failed(3, "Nothing is staged yet", "microconv sync")
    assert not (folder / "microconv.duckdb").exists()


# The export


def test_no_matching_shards_names_the_pattern(tmp_path):
    write_config(tmp_path)
    microconv(tmp_path, "sync").assert_failed(3, "No shards of property p1", str(tmp_path / "exports"), "[[sources]]")


def truncated(content: bytes) -> bytes:
    return content[: len(content) // 2]


def torn_page(content: bytes) -> bytes:
    """Zero out the pages of the first column, and leave the footer whole."""
    return content[:60] + bytes(600) + content[660:]


@pytest.mark.parametrize(
    ("suffix", "damage"),
    [
        (".parquet", truncated),
        (".parquet", torn_page),
        (".parquet", lambda _: b""),
        (".ndjson.gz", truncated),
        (".ndjson.gz", lambda _: b"no gzip at all"),
        (".ndjson.gz", lambda _: gzip.compress(b"[1, 2]\n")),
        (".ndjson", truncated),
        (".ndjson", lambda _: b" \n["),
        (".ndjson", lambda content: b"\xff\xfe" + content),
    ],
)
def test_damaged_shard_stops_its_day_only(folder, suffix, damage):
    day = FIRST_DAY + timedelta(days=1)
    shard(folder, day).unlink()
    write = ga4.write_parquet if suffix == ".parquet" else ga4.write_ndjson
    path = write(shard(folder, day, suffix), ga4.simple_day(day, clients=100))
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    microconv(folder, "sync").assert_failed(3, str(path), "2 other changed days were staged", "xport")
    assert assert_consistent(folder / DATABASE) == 2
    assert runs(folder / DATABASE)[-1][0] == "failed"
    path.write_bytes(whole)
    assert_completes(folder)


def test_damage_keeps_what_was_staged_of_the_day_before(folder):
    assert microconv(folder, "sync").code == 0
    before = contents(folder / DATABASE)
    path = shard(folder, FIRST_DAY)
    path.write_bytes(truncated(path.read_bytes()))
    microconv(folder, "sync").assert_failed(3, str(path))
    assert contents(folder / DATABASE) == before


def test_message_about_a_bad_value_does_not_cite_it(folder):
    path = shard(folder, FIRST_DAY + timedelta(days=3), ".ndjson")
    path.write_text('{"event_date": "20240304", "event_timestamp": "ann@example.com", "event_name": "x"}\n')
    done = microconv(folder, "sync")
    done.assert_failed(3, str(path))
    assert "ann@example.com" not in done.stderr
    assert "ann@example.com" not in str(runs(folder / DATABASE))


def test_unreadable_shard_is_about_permission_not_damage(folder):
    path = shard(folder, FIRST_DAY)
    path.chmod(0)
    done = without_privileges(folder, "sync")
    path.chmod(0o644)
    done.assert_failed(3, f"{path} cannot be read: Permission denied", "2 other changed days were staged")
    assert_completes(folder)


# The database


def test_folder_without_write_permission_is_named(folder):
    folder.chmod(0o555)
    done = without_privileges(folder, "sync")
    folder.chmod(0o755)
    done.assert_failed(3, str(folder / DATABASE), "permission denied", "engine.path")
    assert not list(folder.glob(f"{DATABASE}*"))


def test_read_only_config_folder_works_when_the_database_is_elsewhere(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "x.duckdb"
    folder.chmod(0o555)
    done = without_privileges(folder, "sync", env={"MICROCONV_ENGINE__PATH": str(elsewhere)})
    folder.chmod(0o755)
    assert done.code == 0, done
    assert assert_consistent(elsewhere) == 3


def test_database_in_a_locked_folder_is_about_permission(folder):
    locked = folder / "locked"
    locked.mkdir(mode=0)
    done = without_privileges(folder, "sync", env={"MICROCONV_ENGINE__PATH": "locked/deeper/x.duckdb"})
    locked.chmod(0o755)
    done.assert_failed(3, "permission denied", "engine.path")


@pytest.mark.parametrize("content", [b"not a database\n" * 1000, b"short", b""], ids=["text", "short", "empty"])
def test_file_that_is_no_database_is_refused_and_left_alone(folder, content):
    (folder / DATABASE).write_bytes(content)
    microconv(folder, "sync").assert_failed(3, str(folder / DATABASE), "DuckDB database", "engine.path")
    assert (folder / DATABASE).read_bytes() == content


def test_name_with_lock_in_it_is_not_mistaken_for_a_lock(folder):
    (folder / "clock.duckdb").write_text("not a database")
    microconv(folder, "sync", env={"MICROCONV_ENGINE__PATH": "clock.duckdb"}).assert_failed(3, "DuckDB database")


def test_name_with_disk_in_it_is_not_mistaken_for_a_full_disk(tmp_path):
    folder = tmp_path / "disk1"
    folder.mkdir()
    write_config(folder)
    path = ga4.write_ndjson(shard(folder, FIRST_DAY, ".ndjson"), ga4.simple_day(FIRST_DAY))
    path.write_bytes(truncated(path.read_bytes()))
    done = microconv(folder, "sync")
    done.assert_failed(3, "its last line is not whole")
    assert "is full" not in done.stderr


def test_directory_as_database_is_refused(folder):
    (folder / DATABASE).mkdir()
    microconv(folder, "sync").assert_failed(3, str(folder / DATABASE), "irectory", "engine.path")


def test_damaged_database_is_named_and_can_be_rebuilt(folder):
    assert microconv(folder, "sync").code == 0
    content = bytearray((folder / DATABASE).read_bytes())
    content[12:20] = bytes(8)
    (folder / DATABASE).write_bytes(content)
    microconv(folder, "sync").assert_failed(3, str(folder / DATABASE), "Corrupt database", "a sync can rebuild all")
    (folder / DATABASE).unlink()
    assert_completes(folder)


def test_database_of_an_older_microconv_gets_the_columns_it_lacks(folder):
    assert microconv(folder, "sync").code == 0
    with duckdb.connect(str(folder / DATABASE)) as connection:
        connection.execute("ALTER TABLE mc_events DROP COLUMN country")
        connection.execute("ALTER TABLE mc_runs DROP COLUMN version")
        connection.execute("UPDATE mc_shards SET staging_fingerprint = 'of the older microconv'")
    done = microconv(folder, "sync", "--format", "json")
    assert done.document["shards"] == {"seen": 3, "staged": 3, "skipped": 0}
    with duckdb.connect(str(folder / DATABASE), read_only=True) as connection:
        assert {"country"} <= {row[0] for row in connection.execute("DESCRIBE mc_events").fetchall()}


@pytest.mark.parametrize("place", ["nowhere/x.duckdb", "exports/events_20240301.parquet/x.duckdb", "what?.duckdb"])
def test_database_in_an_impossible_place_is_refused(folder, place):
    microconv(folder, "sync", env={"MICROCONV_ENGINE__PATH": place}).assert_failed(3, str(folder), "engine.path")


def test_too_little_memory_names_the_setting(folder):
    done = microconv(folder, "sync", env={"MICROCONV_ENGINE__MEMORY_LIMIT": "20MB"})
    done.assert_failed(3, "engine.memory_limit")
    assert assert_consistent(folder / DATABASE) == 0
    assert_completes(folder)


# A full disk


def write_shop(folder: Path) -> None:
    """Write a configuration and three days of some size."""
    write_config(folder)
    write_days(folder, 3, clients=2_000)


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> int:
    """Bytes of a database that holds all days of that shop: 12 to 14 blocks for the same rows, as threads finish."""
    folder = tmp_path_factory.mktemp("sized")
    write_shop(folder)
    assert microconv(folder, "sync").code == 0
    return (folder / DATABASE).stat().st_size


@pytest.mark.parametrize("room", [0.001, 0.1, 0.7])
def test_full_disk_leaves_nothing_half_written_and_the_next_run_completes(tmp_path, wanted, room):
    write_shop(tmp_path)
    done = microconv(tmp_path, "sync", "--format", "json", before=limited_to(int(wanted * room)))
    done.assert_failed(3, f"The disk of {tmp_path / DATABASE} is full", "nothing was half-written")
    if (tmp_path / DATABASE).exists():
        assert_consistent(tmp_path / DATABASE)
    assert_completes(tmp_path)


@pytest.mark.parametrize("room", [0.002, 0.5])
def test_full_file_system_leaves_nothing_half_written(tmp_path, wanted, room):
    write_shop(tmp_path)
    room_bytes = max(8192, int(wanted * room))
    (tmp_path / "small").mkdir()
    # A file system in a mount namespace of its own, which ends with the shell; what was written is taken out.
    script = (
        f"mount -t tmpfs -o size={room_bytes} none small || exit 77\n"
        f'"{COMMAND}" sync --format json; code=$?; cp -r small/. saved; exit $code'
    )
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("there is no unshare, so no file system can be mounted apart")
    (tmp_path / "saved").mkdir()
    done = subprocess.run(
        [unshare, "--mount", "sh", "-c", script],
        cwd=tmp_path,
        env=environment({"MICROCONV_ENGINE__PATH": f"small/{DATABASE}"}),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode in (1, 77) and ("unshare" in done.stderr or "mount" in done.stderr):
        pytest.skip(f"this user may not mount a file system: {done.stderr.strip()}")
    assert done.returncode == 3, done
    assert done.stdout == ""
    assert done.stderr.startswith(f"Error: The disk of {tmp_path / 'small' / DATABASE} is full"), done
    assert "Traceback" not in done.stderr
    for path in (tmp_path / "saved").iterdir():
        shutil.move(path, tmp_path / path.name)
    if (tmp_path / DATABASE).exists():
        assert_consistent(tmp_path / DATABASE)
    assert_completes(tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("form", ["table", "json"])
def test_full_disk_behind_stdout_is_an_error_and_not_a_success(folder, form):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [str(COMMAND), "sync", "--format", form],
            cwd=folder,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 3
    assert done.stderr.startswith("Error: The result could not be written to stdout: No space left on device.")
    assert runs(folder / DATABASE) == [("done", None)]


def test_shard_that_vanishes_between_listing_and_reading_is_named(folder, monkeypatch):
    gone, is_file = shard(folder, FIRST_DAY), Path.is_file

    def is_file_for_the_last_time(path):
        found = is_file(path)
        if path == gone:
            path.unlink()
        return found

    monkeypatch.setattr(Path, "is_file", is_file_for_the_last_time)
    with pytest.raises(SourceError, match=rf"{gone} cannot be read: No such file or directory"):
        list_shards(str(folder / "exports" / "events_*"), "p1")
