"""`microconv push`, through the real command: what is on the list afterwards, and what stops it."""

from __future__ import annotations

from pathlib import Path

import pytest
from pushed_shop import Shop, emails, sha


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_a_push_puts_those_who_agreed_on_the_list_and_the_next_says_nothing_twice(shop: Shop):
    shop.agree([1, 2, 3], denied=[4])
    done = shop.run("push", "--format", "json")
    assert done.code == 0, done
    (carts,) = done.document["lists"]
    assert (carts["added"], carts["removed"], carts["excluded"]) == (3, 0, {"consent_denied": 1})
    assert [batch["state"] for batch in carts["batches"]] == ["success", "success"]
    assert shop.listed == emails(1, 2, 3)
    again = shop.run("push", "carts", "--to", "crm", "--format", "json").document["lists"][0]
    assert (again["outcome"], again["listed"], again["batches"]) == ("nothing to send", 3, [])
    assert shop.requests == [("add", 2), ("add", 1)]


def test_a_dry_run_and_the_push_after_it_have_one_plan_and_the_dry_run_sends_nothing(shop: Shop):
    dry = shop.run("push", "--dry-run", "--format", "json").document
    assert dry["dry_run"] is True
    assert dry["lists"][0]["outcome"] == "would be sent"
    assert shop.listed == set()
    assert shop.run("push", "--format", "json").document["plan"] == dry["plan"]
    shop.know([1, 2, 3], u4="new4@shop.example")
    dry = shop.run("push", "--dry-run").stdout
    assert "1 identifier would be added, 1 removed, 0 said again" in dry
    plan = dry.split("Plan ")[1][:12]
    assert f"Plan {plan}" in shop.run("push").stdout
    assert shop.listed == emails(1, 2, 3) | {sha("new4@shop.example")}


def test_who_refuses_or_leaves_the_identity_table_is_removed_also_when_the_address_is_known_no_more(shop: Shop):
    shop.run("push")
    shop.agree([1, 2, 3], denied=[4])
    shop.know([1, 2, 4])
    done = shop.run("push", "--format", "json")
    assert done.code == 0, done
    assert done.document["lists"][0]["removed"] == 2
    assert shop.listed == emails(1, 2)


def test_an_address_that_two_people_share_leaves_with_the_last_of_them(shop: Shop):
    shop.know([1, 2, 3], u4="user1@shop.example")
    shop.run("push")
    shop.know([2, 3], u4="user1@shop.example")
    assert shop.run("push", "--format", "json").document["lists"][0]["removed"] == 0
    assert shop.listed == emails(1, 2, 3)
    shop.know([2, 3])
    shop.run("push")
    assert shop.listed == emails(2, 3)


def test_full_says_again_what_is_listed(shop: Shop):
    shop.run("push")
    done = shop.run("push", "--full", "--format", "json").document["lists"][0]
    assert (done["added"], done["refreshed"]) == (0, 4)
    assert len(shop.requests) == 4


def test_a_denial_while_the_push_is_sent_makes_a_new_plan(shop: Shop):
    done = shop.run("push", "--format", "json", fault="deny", at=1)
    assert done.code == 0, done
    assert shop.listed == emails(2, 3, 4)
    assert done.document["lists"][0]["excluded"] == {"consent_denied": 1}


@pytest.mark.parametrize(
    ("fault", "code", "said"),
    [("lost", 4, "did not confirm 2 identifiers of carts (no answer came)"), ("refuse", 4, "(quota exceeded)")],
)
def test_what_was_not_confirmed_is_said_and_the_next_push_says_it_again(shop: Shop, fault: str, code: int, said: str):
    done = shop.run("push", fault=fault)
    assert done.code == code
    assert said in done.stderr
    assert shop.run("push").code == 0
    assert shop.listed == emails(1, 2, 3, 4)


def test_a_destination_that_asks_to_wait_is_asked_again_in_the_same_push(shop: Shop):
    assert shop.run("push", fault="later").code == 0
    assert shop.listed == emails(1, 2, 3, 4)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("push", "nobody"), "has no segment named 'nobody'"),
        (("push", "carts", "--to", "nowhere"), "has no destination named 'nowhere'"),
        (("push", "buyers"), "Segment buyers names no destination."),
        (("push", "--to", "files"), "No segment names a destination"),
    ],
)
def test_what_cannot_be_pushed_is_said_and_nothing_is_sent(shop: Shop, arguments: tuple[str, ...], said: str):
    shop.run(*arguments).assert_failed(2, said)
    assert not shop.list.exists()


def test_a_segment_cannot_name_a_destination_that_is_not_there(shop: Shop):
    shop.of_segment = "push = { max_size = 3 }"
    shop.configure()
    text = (shop.folder / "microconv.toml").read_text()
    (shop.folder / "microconv.toml").write_text(text.replace('["crm"]', '["crn"]'))
    shop.run("push").assert_failed(
        2, 'destinations[0] = "crn" names no destination of [[destinations]] (did you mean "crm"?)'
    )


@pytest.mark.parametrize("header", ["user_id,granted", "user_id,ad_user_data,changed_at"])
def test_a_consent_table_of_another_shape_stops_the_push(shop: Shop, header: str):
    (shop.folder / "consent.csv").write_text(f"{header}\nu1,granted\n")
    shop.run("push").assert_failed(2, "The consent file", "has no column")
    (shop.folder / "consent.csv").unlink()
    shop.run("push").assert_failed(2, "The consent file", "does not exist")
    assert not shop.list.exists()
