"""`microconv erase`: a person is gone from tables, lists and files, and no import brings them back."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest
from pushed_shop import TODAY, Shop, emails, sha

import ga4

USER2 = "user2@shop.example"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    made = Shop(tmp_path)
    assert made.run("push").code == 0
    return made


def rows(shop: Shop, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(shop.folder / "microconv.duckdb"), read_only=True) as database:
        return database.execute(sql).fetchall()


def users(shop: Shop, table: str) -> set[object]:
    return {row[0] for row in rows(shop, f"SELECT DISTINCT user_id FROM {table}")}


def reread(shop: Shop) -> None:
    done = shop.run("sync", "--full-refresh")
    assert done.code == 0, done


def test_a_person_leaves_tables_memberships_ledger_and_lists(shop: Shop):
    done = shop.run("erase", "u2", "--format", "json")
    assert done.code == 0, done
    assert done.document["is_finished"] is True
    found = {part["place"]: part["found"] for part in done.document["parts"]}
    assert found["sessions"] == found["occurrences"] == found["memberships"] == found["list carts at crm"] == 1
    assert shop.listed == emails(1, 3, 4)
    for table in ("mc_events", "mc_sessions", "mc_segment_members"):
        assert users(shop, table) == {"u1", "u3", "u4"}, table
    assert len(rows(shop, "SELECT actor_key FROM mc_micro_conversions")) == 3
    assert {row[0] for row in rows(shop, "SELECT identifier FROM mc_sent")} == emails(1, 3, 4)
    ((record, finished),) = rows(shop, "SELECT done, finished_at IS NOT NULL FROM mc_erasures")
    assert (json.loads(str(record))["sessions"], finished) == (1, True)


def test_what_is_kept_and_said_of_an_erasure_does_not_name_the_person(shop: Shop):
    done = shop.run("erase", "u2")
    everything = done.stdout + done.stderr + str(rows(shop, "SELECT mc_erasures::VARCHAR FROM mc_erasures"))
    assert "u2" not in everything
    assert "user2@shop.example" not in everything
    assert not any(each in everything for each in emails(2))
    assert sha("u2") not in everything


def test_no_import_brings_the_person_back_nor_does_a_push(shop: Shop):
    shop.run("erase", "u2")
    reread(shop)
    assert users(shop, "mc_events") == {"u1", "u3", "u4"}
    done = shop.run("push", "--format", "json")
    assert done.document["lists"][0]["outcome"] == "nothing to send"
    assert shop.listed == emails(1, 3, 4)
    # Somebody who is there again under the same id, on another device, is not let in either.
    event = ga4.event(f"{TODAY} 00:00:01", "add_to_cart", client="99.99", session=9) | {"user_id": "u2"}
    ga4.write_parquet(shop.folder / "exports" / f"{ga4.shard_name(TODAY)}.parquet", [event])
    shop.run("sync")
    shop.run("push")
    assert users(shop, "mc_events") == {"u1", "u3", "u4"}
    assert shop.listed == emails(1, 3, 4)


def test_an_address_that_somebody_else_has_too_is_withheld_as_after_a_denial(shop: Shop):
    shop.know([1, 2, 3], u4="user2@shop.example")
    shop.run("push", "--allow-shrink")
    assert shop.run("erase", "u2").code == 0
    shop.run("push")
    assert shop.listed == emails(1, 3)


def test_what_others_did_on_a_shared_device_stays(tmp_path: Path):
    shop = Shop(tmp_path)
    day = TODAY - timedelta(days=2)
    events = [
        ga4.event(f"{day} 10:00:00", "add_to_cart", client="50.50", session=1) | {"user_id": "u2"},
        ga4.event(f"{day} 10:00:09", "page_view", client="50.50", session=1),
        ga4.event(f"{day} 18:00:00", "add_to_cart", client="50.50", session=2) | {"user_id": "u3"},
        ga4.event(f"{day} 11:00:00", "page_view", client="2.2", session=7),
    ]
    ga4.write_parquet(shop.folder / "exports" / f"{ga4.shard_name(day)}.parquet", events)
    shop.run("sync")
    assert len(rows(shop, f"SELECT user_id FROM mc_events WHERE event_date = '{day}'")) == 4
    for again in range(2):
        assert shop.run("erase", "u2").code == 0
        # The session of u2, signed in or not, and the anonymous visit on a device of u2 alone are gone.
        left = rows(shop, f"SELECT user_id, event_name FROM mc_events WHERE event_date = '{day}'")
        assert left == [("u3", "add_to_cart")], again
        reread(shop)


def test_an_erasure_is_finished_only_when_the_destination_has_confirmed_it(shop: Shop):
    waiting = shop.run("erase", "u2", fault="slow")
    assert waiting.code == 1
    assert "is not finished" in waiting.stderr
    assert rows(shop, "SELECT finished_at FROM mc_erasures") == [(None,)]
    assert {row[0] for row in rows(shop, "SELECT identifier FROM mc_sent")} == emails(1, 2, 3, 4)
    assert shop.run("erase", "u2").code == 0
    assert {row[0] for row in rows(shop, "SELECT identifier FROM mc_sent")} == emails(1, 3, 4)


@pytest.mark.parametrize("fault", ["lost", "refuse"])
def test_an_erasure_that_failed_is_completed_by_the_next(shop: Shop, fault: str):
    shop.run("erase", "u2", fault=fault)
    for _ in range(3):
        done = shop.run("erase", "u2")
    assert done.code == 0, done
    assert shop.listed == emails(1, 3, 4)


def test_an_erasure_changes_nothing_for_others(shop: Shop):
    shop.know([1, 2, 3], u4="new4@shop.example")
    shop.agree([1, 2], denied=[3, 4])
    assert shop.run("erase", "u2").code == 0
    assert shop.listed == emails(1, 3, 4)
    assert shop.requests[-1] == ("remove", 1)


def test_exported_files_that_hold_the_person_keep_it_unfinished(shop: Shop):
    shop.run("export", "carts", "--to", "files")
    done = shop.run("erase", "u2")
    assert done.code == 1
    assert "file carts.csv of files" in done.stdout
    shop.run("export", "carts", "--to", "files")
    assert shop.run("erase", "u2").code == 0
    assert not any(each in (shop.folder / "exports" / "carts.csv").read_text() for each in emails(2))


def test_a_table_of_audiences_keeps_nothing_of_the_person_but_the_removal(shop: Shop):
    text = (shop.folder / "microconv.toml").read_text().replace('["crm"]', '["crm", "here"]')
    (shop.folder / "microconv.toml").write_text(f'{text}\n[[destinations]]\nname = "here"\nkind = "table"\n')
    assert shop.run("push").code == 0
    assert len(rows(shop, "SELECT identifier FROM mc_audience_here")) == 4
    done = shop.run("erase", "u2")
    assert done.code == 0, done
    assert len(rows(shop, "SELECT identifier FROM mc_audience_here")) == 3
    ((operation,),) = rows(shop, f"SELECT operation FROM mc_audience_here_changes WHERE identifier = '{sha(USER2)}'")
    assert operation == "remove"


def test_what_cannot_be_found_is_said(shop: Shop):
    shop.know([1, 3, 4])
    done = shop.run("erase", "u2")
    assert done.code == 0
    assert "no row of this user" in done.stdout
    assert shop.run("push").code == 0
    assert shop.listed == emails(1, 3, 4)


@pytest.mark.parametrize("name", ["", "undefined", "(not set)", "null"])
def test_a_word_for_nobody_erases_nobody(shop: Shop, name: str):
    shop.run("erase", name).assert_failed(2, "stands for nobody")
    assert len(users(shop, "mc_events")) == 4


def test_a_user_whom_nobody_knows_is_kept_out_from_then_on(shop: Shop):
    assert shop.run("erase", "u99").code == 0
    assert len(users(shop, "mc_events")) == 4
    assert len(rows(shop, "SELECT user_hash FROM mc_erasures")) == 1
