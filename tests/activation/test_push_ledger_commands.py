"""`microconv push status`, `poll` and `ledger`: what is known of lists, and how a push is completed."""

from __future__ import annotations

import signal
from pathlib import Path

import duckdb
import pytest
from pushed_shop import Shop, emails


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def rows(shop: Shop, *arguments: str, fault: str = "") -> list[dict[str, object]]:
    document = shop.run(*arguments, "--format", "json", fault=fault).document
    return document.get("lists") or document.get("batches") or document.get("faults") or []


def test_status_tells_what_is_listed_waited_for_and_due(shop: Shop):
    shop.of_destination = "lifespan_days = 10"
    shop.configure()
    (never,) = rows(shop, "push", "status")
    assert (never["segment"], never["listed"], never["note"]) == ("carts", 0, "never pushed")
    shop.run("push", fault="slow")
    (waiting,) = rows(shop, "push", "status", fault="slow")
    assert (waiting["listed"], waiting["waiting"], waiting["next_refresh_at"]) == (4, 4, None)
    shop.run("push", "poll")
    (done,) = rows(shop, "push", "status")
    assert (done["listed"], done["waiting"], done["unsettled"], done["note"]) == (4, 0, 0, "")
    assert str(done["last_sent_at"])[:10] < str(done["next_refresh_at"])[:10]


def test_status_tells_of_lists_that_the_configuration_no_longer_has(shop: Shop):
    shop.run("push")
    text = (shop.folder / "microconv.toml").read_text()
    (shop.folder / "microconv.toml").write_text(text.replace('name = "carts"', 'name = "others"'))
    others, carts = sorted(rows(shop, "push", "status"), key=lambda row: str(row["listed"]))
    assert (others["segment"], others["note"]) == ("others", "never pushed")
    assert (carts["segment"], carts["listed"]) == ("carts", 4)
    assert str(carts["note"]).startswith("not in the configuration")


def test_poll_records_answers_and_says_what_is_still_waited_for(shop: Shop):
    shop.run("push", fault="slow")
    assert "2 of 2 requests have an answer; 0 are" in shop.run("push", "poll", "--wait").stdout
    assert rows(shop, "push", "poll") == []


def test_poll_tells_of_requests_without_an_answer(shop: Shop):
    assert shop.run("push", fault="slow").code == 0
    done = shop.run("push", "poll", "--format", "json", fault="slow")
    assert [batch["state"] for batch in done.document["batches"]] == ["accepted", "accepted"]
    assert "0 of 2 requests have an answer; 2 are still being worked on." in done.document["sentence"]


def test_the_ledger_shows_batches_without_any_identifier(shop: Shop):
    shop.run("push", fault="slow")
    found = rows(shop, "push", "ledger", "show", "--open")
    assert [(row["operation"], row["state"], row["identifiers"], row["held"]) for row in found] == [
        ("add", "accepted", 2, 2),
        ("add", "accepted", 2, 2),
    ]
    shop.run("push", "poll")
    assert rows(shop, "push", "ledger", "show", "--open") == []
    shown = shop.run("push", "ledger", "show", "--segment", "carts", "--to", "crm", "--limit", "1").stdout
    assert "success" in shown
    assert not any(each in shown for each in emails(1, 2, 3, 4))
    assert rows(shop, "push", "ledger", "show", "--segment", "buyers") == []


def test_a_ledger_is_whole_unless_somebody_changed_it(shop: Shop):
    assert "nothing was pushed yet" in shop.run("push", "ledger", "verify").stdout
    shop.run("push")
    done = shop.run("push", "ledger", "verify")
    assert (done.code, "is whole" in done.stdout) == (0, True)
    with duckdb.connect(str(shop.folder / "microconv.duckdb")) as database:
        database.execute("DELETE FROM mc_ledger WHERE identifiers = 2")
    done = shop.run("push", "ledger", "verify")
    assert done.code == 1
    assert "identifiers without a batch" in done.stdout


@pytest.mark.parametrize("at", [1, 2])
def test_resume_completes_what_a_killed_push_left(shop: Shop, at: int):
    assert shop.run_alone("push", fault="kill_after", at=at).code == -signal.SIGKILL
    assert shop.run("push", "ledger", "verify").code == 0
    done = shop.run("push", "ledger", "resume", "--format", "json")
    assert done.code == 0, done
    assert done.document["lists"][0]["added"] == 0
    assert shop.listed == emails(1, 2, 3, 4)
    assert shop.run("push", "ledger", "verify").code == 0


def test_resume_sends_nobody_who_refused_since(shop: Shop):
    assert shop.run_alone("push", fault="kill_before", at=1).code == -signal.SIGKILL
    shop.agree([1], denied=[2, 3, 4])
    assert "--allow-shrink" in shop.run("push", "ledger", "resume").stderr
    assert shop.run("push", "ledger", "resume", "--allow-shrink", "--allow-churn").code == 0
    assert shop.listed == emails(1)


def test_resume_leaves_finished_lists_alone(shop: Shop):
    shop.run("push")
    shop.know([1, 2, 3], u4="new4@shop.example")
    done = shop.run("push", "ledger", "resume", "--format", "json").document
    assert done["lists"] == []
    assert shop.listed == emails(1, 2, 3, 4)
