"""The demo's people, its settings and its folder."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import datetime

import phonenumbers
import pytest
from email_validator import EmailNotValidError, validate_email

from demo_files import read_csv, read_shard, shards
from microconv.config.load import load_config
from microconv.demo import write_demo
from microconv.errors import EngineError, UsageError
from microconv.exports import list_shards
from microconv.taxonomy import load_taxonomy


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    return write_demo(tmp_path_factory.mktemp("demo"), events=40_000)


@pytest.fixture(scope="module")
def rows(demo):
    return [row for path in shards(demo) for row in read_shard(path)]


def is_email(text):
    try:
        validate_email(text.strip(), check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        return False
    return True


def is_phone(text, country):
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(text, country))
    except phonenumbers.NumberParseException:
        return False


def test_identity_table_has_the_planted_flaws(demo, rows):
    people = read_csv(demo.folder / "identity.csv")
    truth = demo.truths.people
    assert list(people[0]) == ["user_id", "email", "phone", "first_name", "last_name", "country", "postal_code"]
    by_user = defaultdict(list)
    for person in people:
        by_user[person["user_id"]].append(person)
    users = {row.user for row in rows if row.user}
    assert set(by_user) < users
    assert truth.accounts == len(users)
    assert truth.identity_rows == len(people)
    assert truth.without_identity == len(users) - len(by_user) > 0
    twice = [found for found in by_user.values() if len(found) > 1]
    assert truth.identical_rows == sum(found[0] == found[1] for found in twice) > 0
    assert truth.conflicting_accounts == sum(found[0] != found[1] for found in twice) > 0
    one = [found[0] for found in by_user.values()]
    assert truth.invalid_emails == sum(not is_email(person["email"]) for person in one) > 0
    assert truth.missing_phones == sum(not person["phone"] for person in one) > 0
    broken = [person for person in one if person["phone"] and not is_phone(person["phone"], person["country"])]
    assert truth.invalid_phones == len(broken) > 0


def test_every_valid_address_is_on_a_domain_kept_free_for_examples(demo):
    for person in read_csv(demo.folder / "identity.csv"):
        if is_email(person["email"]):
            assert person["email"].strip().endswith(("@example.com", "@example.org"))


def test_latest_consent_row_decides(demo, rows):
    found = read_csv(demo.folder / "consent.csv")
    truth = demo.truths.people
    by_user = defaultdict(list)
    for row in found:
        assert datetime.fromisoformat(row["changed_at"]).tzinfo is not None
        by_user[row["user_id"]].append((row["changed_at"], row["ad_user_data"], row["ad_personalization"]))
    users = {row.user for row in rows if row.user}
    latest = {user: sorted(changes)[-1][1:] for user, changes in by_user.items()}
    earliest = {user: sorted(changes)[0][1:] for user, changes in by_user.items()}
    agreed = {user for user, answer in latest.items() if answer == ("granted", "granted")}
    assert truth.consent_rows == len(found)
    assert truth.granted == len(agreed)
    assert truth.denied == len(latest) - len(agreed)
    assert truth.without_consent_row == len(users - latest.keys()) > 0
    before = {user for user, answer in earliest.items() if answer == ("granted", "granted")}
    assert truth.denied_later == len(before - agreed) > 0
    assert truth.granted_later == len(agreed - before) > 0
    assert truth.partly_denied == sum(len(set(answer)) == 2 for answer in latest.values()) > 0


def test_truths_file_says_what_is_returned(demo):
    assert json.loads((demo.folder / "truths.json").read_text("utf-8")) == demo.truths.document()


def test_written_configuration_loads_and_finds_the_shards(demo):
    config = load_config(demo.config, {})
    assert (config.project.timezone, config.project.currency) == ("Europe/Berlin", "EUR")
    assert config.engine.memory_limit == "1GB"
    assert [source.property for source in config.sources] == ["demo"]
    found = list_shards(config.sources[0].path, "demo")
    assert [(shard.day, shard.kind) for shard in found] == [(day.date, day.kind) for day in demo.truths.days]
    assert config.identity.file == demo.folder / "identity.csv"
    assert config.consent.file == demo.folder / "consent.csv"
    taxonomy = load_taxonomy(preset=config.taxonomy.preset, file=config.taxonomy.file)
    used = {entry for funnel in config.funnels for step in funnel.steps for entry in step.did}
    used |= {name for segment in config.segments for name, _ in segment.named()}
    used |= {config.attribution.goal, *(lift.event for lift in demo.truths.lifts)}
    assert used <= set(taxonomy.ids)


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_same_seed_gives_the_same_bytes(tmp_path):
    first, second, other = (tmp_path / name for name in ("first", "second", "other"))
    write_demo(first, events=2_000, seed=3)
    write_demo(second, events=2_000, seed=3)
    write_demo(other, events=2_000, seed=4)
    assert contents(first) == contents(second)
    assert contents(first) != contents(other)


def test_progress_is_told_day_by_day(tmp_path):
    told = []
    write_demo(tmp_path, events=1_000, on_day=lambda done, total: told.append((done, total)))
    assert told == [(day, 30) for day in range(1, 31)]


def test_earlier_demo_is_replaced_and_everything_else_kept(tmp_path):
    write_demo(tmp_path, events=2_000)
    stray = tmp_path / "exports" / "events_20991231.parquet"
    stray.write_bytes(b"from a run that was interrupted")
    (tmp_path / "report.html").write_text("mine")
    again = write_demo(tmp_path, events=1_000, seed=9)
    assert not stray.exists()
    assert (tmp_path / "report.html").read_text() == "mine"
    assert sum(len(read_shard(path)) for path in shards(again)) == again.events


@pytest.mark.parametrize("name", ["microconv.toml", "taxonomy.toml", "identity.csv", "consent.csv", "truths.json"])
def test_demo_that_somebody_changed_is_left_as_it_is(tmp_path, name):
    write_demo(tmp_path, events=1_000)
    with (tmp_path / name).open("a") as file:
        file.write("# mine\n")
    before = contents(tmp_path)
    with pytest.raises(UsageError, match=f"{name} is not as `microconv demo` wrote it"):
        write_demo(tmp_path, events=1_000, seed=9)
    assert contents(tmp_path) == before


def test_whole_shard_that_the_demo_did_not_write_is_left_as_it_is(tmp_path):
    mine = (write_demo(tmp_path / "other", events=1_000).folder / "exports" / "events_20251006.parquet").read_bytes()
    demo = write_demo(tmp_path / "demo", events=1_000, seed=9)
    (demo.folder / "exports" / "events_20240101.parquet").write_bytes(mine)
    before = contents(demo.folder)
    with pytest.raises(UsageError, match=r"events_20240101\.parquet is not as"):
        write_demo(demo.folder, events=1_000)
    assert contents(demo.folder) == before


def test_links_in_a_demo_are_not_followed(tmp_path):
    victim = tmp_path / "victim.csv"
    victim.write_text("precious")
    demo = write_demo(tmp_path / "demo", events=1_000)
    (demo.folder / "identity.csv").unlink()
    (demo.folder / "identity.csv").symlink_to(victim)
    with pytest.raises(UsageError, match=r"identity\.csv is not as"):
        write_demo(demo.folder, events=1_000)
    assert victim.read_text() == "precious"


def test_demo_of_a_former_version_is_replaced_unless_its_settings_differ(tmp_path):
    demo = write_demo(tmp_path, events=1_000)
    (tmp_path / ".microconv-demo").write_text("Written by `microconv demo`.\n")
    write_demo(tmp_path, events=1_000, seed=9)
    (tmp_path / ".microconv-demo").write_text("Written by `microconv demo`.\n")
    demo.config.write_text("[project]\n")
    with pytest.raises(UsageError, match=r"microconv\.toml is not as"):
        write_demo(tmp_path, events=1_000)


def test_folder_with_other_files_is_refused_untouched(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="is not empty and does not hold an earlier demo"):
        write_demo(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_file_in_place_of_the_folder_is_refused(tmp_path):
    path = tmp_path / "demo"
    path.write_text("mine")
    with pytest.raises(UsageError, match="is a file, not a folder"):
        write_demo(path)


def test_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EngineError, match=r"The demo cannot be written to .*file.demo"):
        write_demo(tmp_path / "file" / "demo")


def test_interrupted_demo_leaves_no_half_shard_and_can_be_run_again(tmp_path):
    def stop(done, _total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_demo(tmp_path, events=1_000, on_day=stop)
    assert [path.name for path in sorted((tmp_path / "exports").iterdir())] == [
        f"events_2025100{day}.parquet" for day in (6, 7, 8)
    ]
    assert write_demo(tmp_path, events=1_000).config.is_file()


def test_too_small_a_demo_is_refused(tmp_path):
    with pytest.raises(UsageError, match="too small") as caught:
        write_demo(tmp_path / "demo", events=999)
    assert "1,000" in caught.value.hint
    assert not (tmp_path / "demo").exists()
