"""An audience from the export to the file, as `microconv export` and `Project.export` make it."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

import ga4
from commands import microconv
from microconv.activation import audience_plan
from microconv.errors import FindingsError
from microconv.project import Project
from projects import write_config

TODAY = datetime.now(tz=UTC).date()
SECTIONS = """
[[segments]]
name = "carts"
rule = { did = "add_to_cart", within = "14d" }

[[destinations]]
name = "portal"
format = "csv"
path = "out"

[identity]
file = "identity.csv"

[consent]
file = "consent.csv"
"""


def project(
    folder: Path, *, days_ago: int = 1, user_ids: tuple[str | None, ...] = ("u1", "u2"), keys: str = ""
) -> Path:
    """Write a project whose users put something in the cart some days ago, and stage it; return its configuration."""
    day = TODAY - timedelta(days=days_ago)
    events = [
        ga4.event(f"{day} 10:00:{number:02d}", "add_to_cart", client=f"{number}.{number}", session=number + 1)
        | {"user_id": user_id}
        for number, user_id in enumerate(user_ids)
    ]
    (folder / "exports").mkdir()
    ga4.write_parquet(folder / "exports" / f"{ga4.shard_name(day)}.parquet", events)
    (folder / "identity.csv").write_text("user_id,email\nu1,jane@example.com\nu2,ok@example.com\n")
    consent(folder, "granted")
    config = write_config(folder, extra=SECTIONS.replace('path = "out"\n', f'path = "out"\n{keys}'))
    with Project.load(config) as opened:
        opened.sync()
    return config


def consent(folder: Path, answer: str) -> None:
    rows = [f"u1,{answer},{answer},2026-01-01", "u2,granted,granted,2026-01-01"]
    (folder / "consent.csv").write_text("\n".join(("user_id,ad_user_data,ad_personalization,changed_at", *rows, "")))


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_consent_is_read_again_at_the_moment_of_sending(tmp_path: Path, mocker: MockerFixture) -> None:
    config = project(tmp_path)
    really, asked = audience_plan.plan_audience, 0

    def deny_while_planning(*tables: object, **options: object) -> audience_plan.AudiencePlan:
        nonlocal asked
        asked += 1
        made = really(*tables, **options)
        if asked == 1:
            consent(tmp_path, "denied")
        return made

    mocker.patch("microconv.activation.segment_audience.plan_audience", deny_while_planning)
    with Project.load(config) as opened:
        result = opened.export("carts", "portal")
    assert asked == 2
    assert (result.written, result.excluded) == (1, {"consent_denied": 1})
    assert sha("jane@example.com") not in (tmp_path / "out" / "carts.csv").read_text()


def test_a_consent_table_that_never_rests_stops_the_export(tmp_path: Path, mocker: MockerFixture) -> None:
    config = project(tmp_path)
    really = audience_plan.plan_audience
    answers = iter(["denied", "granted"] * 5)

    def change_while_planning(*tables: object, **options: object) -> audience_plan.AudiencePlan:
        made = really(*tables, **options)
        consent(tmp_path, next(answers))
        return made

    mocker.patch("microconv.activation.segment_audience.plan_audience", change_while_planning)
    with Project.load(config) as opened, pytest.raises(FindingsError, match="the consent table changed each of the 3"):
        opened.export("carts", "portal")
    assert not (tmp_path / "out").exists()


def test_consent_in_a_table_of_the_engine_is_read_again_too(tmp_path: Path, mocker: MockerFixture) -> None:
    config = project(tmp_path)
    config.write_text(config.read_text().replace('file = "consent.csv"', 'table = "answers"'))
    really, asked = audience_plan.plan_audience, 0

    with Project.load(config) as opened:
        run = opened.engine._connection.execute
        run(f"CREATE TABLE answers AS SELECT * FROM read_csv('{tmp_path / 'consent.csv'}', all_varchar = true)")

        def deny_while_planning(*tables: object, **options: object) -> audience_plan.AudiencePlan:
            nonlocal asked
            asked += 1
            made = really(*tables, **options)
            run("UPDATE answers SET ad_user_data = 'denied' WHERE user_id = 'u1'")
            return made

        mocker.patch("microconv.activation.segment_audience.plan_audience", deny_while_planning)
        result = opened.export("carts", "portal")
    assert asked == 2
    assert result.excluded == {"consent_denied": 1}


def test_data_that_is_long_past_is_sent_on_purpose_only(tmp_path: Path) -> None:
    project(tmp_path, days_ago=40)
    done = microconv(tmp_path, "export", "carts", "--to", "portal")
    done.assert_failed(1, "Segment carts: the latest event that it knows of is", "days old", "--allow-stale")
    assert not (tmp_path / "out").exists()
    done = microconv(tmp_path, "export", "carts", "--to", "portal", "--allow-stale", "--format", "json")
    assert json.loads(done.stdout)["written"] == 2


def test_max_age_is_a_key_of_the_destination(tmp_path: Path) -> None:
    config = project(tmp_path, days_ago=40, keys='max_age = "60d"\n')
    with Project.load(config) as opened:
        assert opened.export("carts", "portal").written == 2


def test_an_earlier_moment_is_as_old_as_it_is(tmp_path: Path) -> None:
    config = project(tmp_path)
    with Project.load(config) as opened, pytest.raises(FindingsError, match="is 50 days old"):
        opened.export("carts", "portal", as_of=datetime.now(tz=UTC) - timedelta(days=50))


@pytest.mark.parametrize(
    ("elsewhere", "said"), [((), "no row of this export has a user_id"), (("u1",), "ever signed in")]
)
def test_a_segment_of_devices_says_whether_anybody_signed_in_at_all(
    tmp_path: Path, elsewhere: tuple[str, ...], said: str
) -> None:
    config = project(tmp_path, user_ids=(None, None))
    if elsewhere:
        day = TODAY - timedelta(days=3)
        event = ga4.event(f"{day} 10:00:00", "page_view", client="9.9", session=1) | {"user_id": elsewhere[0]}
        ga4.write_parquet(tmp_path / "exports" / f"{ga4.shard_name(day)}.parquet", [event])
    with Project.load(config) as opened:
        opened.sync()
        with pytest.raises(FindingsError, match=said) as caught:
            opened.export("carts", "portal")
    assert "none of the 2 members" in caught.value.message
    assert "--allow-shrink" not in str(caught.value)


def test_the_manifest_keeps_the_rule_as_it_is_written_in_the_configuration(tmp_path: Path) -> None:
    config = project(tmp_path)
    rule = 'did = "add_to_cart", within = "14d", not_did = "purchase", not_within = "3d"'
    config.write_text(config.read_text().replace('did = "add_to_cart", within = "14d"', rule))
    with Project.load(config) as opened:
        done = opened.export("carts", "portal")
    manifest = json.loads(Path(done.target.facts["manifest"]).read_text())
    expected = {"did": "add_to_cart", "not_did": "purchase", "within": "14d", "not_within": "3d"}
    assert manifest["lineage"]["rule"] == expected
