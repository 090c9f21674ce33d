"""What stops a push, what lets it through on purpose, and where limits come from."""

from __future__ import annotations

from pathlib import Path

import pytest
from pushed_shop import Shop, emails, sha


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path, size=10)


def stopped(shop: Shop, flag: str, *said: str) -> None:
    """The push sends nothing, says why and how it is let through; with the flag it is sent."""
    before, asked = shop.listed, shop.requests
    for arguments in (("push", "--dry-run"), ("push",)):
        done = shop.run(*arguments)
        assert done.code == 1, done
        assert "Nothing is sent but removals of people who refused." in done.stderr
        for part in (*said, f"--allow-{flag}"):
            assert part in done.stderr
    assert (shop.listed, shop.requests) == (before, asked)
    others = {"shrink", "growth", "churn", "stale"} - {flag}
    assert shop.run("push", *(f"--allow-{each}" for each in others)).code == 1
    assert shop.requests == asked
    assert shop.run("push", f"--allow-{flag}").code == 0


def test_nobody_to_send_stops_a_push_also_the_first(shop: Shop):
    shop.know([])
    done = shop.run("push")
    assert done.code == 1
    assert "none of the 10 members" not in done.stdout
    assert "has a row in the identity table" in done.stderr
    shop.know(range(1, 11))
    shop.run("push")
    # Nobody refused: what they answered cannot be read, as it lies in the future.
    consent = shop.folder / "consent.csv"
    consent.write_text(consent.read_text().replace("2026-01-01", "2099-01-01"))
    stopped(shop, "shrink", "none of 10 members can be sent (excluded: consent_unreadable 10)")
    assert shop.listed == set()


def test_a_list_that_loses_too_large_a_part_stops_the_push(shop: Shop):
    shop.run("push")
    shop.agree(range(1, 5))
    stopped(shop, "shrink", "6 identifiers of 10 on the list would be removed (60.0%); max_delete_pct is 50")
    assert shop.listed == emails(1, 2, 3, 4)


def test_half_of_a_list_may_go(shop: Shop):
    shop.run("push")
    shop.agree(range(1, 6))
    assert shop.run("push").code == 0


def test_too_many_removals_as_a_count_stop_the_push(shop: Shop):
    shop.of_push = "max_deletes = 2"
    shop.configure()
    shop.run("push")
    shop.agree(range(1, 8))
    stopped(shop, "shrink", "3 identifiers of 10 on the list would be removed; max_deletes is 2")


def test_a_list_of_the_same_size_with_other_people_in_it_stops_the_push(shop: Shop):
    shop.of_push = "max_delete_pct = 100"
    shop.configure()
    shop.run("push")
    others = {f"u{number}": f"other{number}@shop.example" for number in range(1, 7)}
    shop.know(range(7, 11), **others)
    stopped(
        shop,
        "churn",
        "6 would be added and 6 removed, against 10 identifiers on the list (120.0%); max_churn_pct is 100",
    )


@pytest.mark.parametrize(
    ("limit", "flag", "said"),
    [
        ("min_size = 11", "shrink", "10 people would be on the list; min_size is 11"),
        ("max_size = 9", "growth", "10 people would be on the list; max_size is 9"),
    ],
)
def test_a_list_that_is_too_small_or_too_large_stops_the_push(shop: Shop, limit: str, flag: str, said: str):
    shop.of_push = limit
    shop.configure()
    stopped(shop, flag, said)


def test_limits_of_a_segment_count_before_those_of_its_destination_and_these_before_those_of_all(shop: Shop):
    shop.of_push = "max_size = 1"
    shop.configure()
    assert "max_size is 1," in shop.run("push").stderr
    shop.of_destination = "push = { max_size = 2 }"
    shop.configure()
    assert "max_size is 2," in shop.run("push").stderr
    shop.of_segment = "push = { max_size = 10 }"
    shop.configure()
    assert shop.run("push").code == 0


def test_data_of_long_ago_stops_the_push(tmp_path: Path):
    shop = Shop(tmp_path, size=3, days_ago=40)
    (shop.folder / "microconv.toml").write_text(
        (shop.folder / "microconv.toml").read_text().replace('within = "14d"', 'within = "90d"')
    )
    stopped(shop, "stale", "the latest event that it knows of is", "(max_age) stops the push")


def test_a_guard_stops_its_own_list_only(shop: Shop):
    text = (shop.folder / "microconv.toml").read_text()
    more = '[[segments]]\nname = "few"\nrule = { did = "add_to_cart", within = "14d" }\ndestinations = ["crm"]\n'
    (shop.folder / "microconv.toml").write_text(f"{text}\n{more}push = {{ max_size = 3 }}\n")
    done = shop.run("push", "--format", "json")
    assert done.code == 1
    assert [each["outcome"] for each in done.document["lists"]] == ["sent", "stopped"]
    assert "max_size is 3" in done.document["lists"][1]["problem"]
    assert len(shop.listed) == 10


def test_whoever_refused_is_taken_off_although_a_guard_stops_the_rest(shop: Shop):
    shop.run("push")
    shop.agree(range(1, 4), denied=[9, 10])
    done = shop.run("push", "--dry-run")
    assert done.code == 1
    assert len(shop.listed) == 10

    done = shop.run("push", "--format", "json")

    assert done.code == 1
    assert shop.listed == emails(*range(1, 9))
    (stopped_list,) = done.document["lists"]
    assert stopped_list["outcome"] == "stopped"
    assert stopped_list["warnings"] == [
        "carts at crm: 2 identifiers of people who refused were taken off all the same."
    ]
    assert "7 identifiers of 10 on the list would be removed (70.0%)" in stopped_list["problem"]
    assert "0 identifiers added, 0 removed" in done.document["sentence"]


@pytest.mark.parametrize("fault", ["lost", "refuse"])
def test_a_refusal_that_is_not_confirmed_is_said_again_by_the_next_push(shop: Shop, fault: str):
    shop.run("push")
    shop.agree(range(1, 4), denied=[10])

    done = shop.run("push", fault=fault, at=1)

    assert done.code == 4
    assert "did not confirm 1 identifier of carts" in done.stderr
    assert "max_delete_pct" in done.stderr
    shop.run("push")
    assert shop.listed == emails(*range(1, 10))


def test_refusals_reach_every_address_of_a_user_and_one_that_others_share(shop: Shop):
    shop.know(range(1, 11), u1a="shared@shop.example")
    (shop.folder / "identity.csv").write_text(
        (shop.folder / "identity.csv").read_text()
        + "u3,shared@shop.example\nu10,shared@shop.example\nu10,ten@shop.example\n"
    )
    shop.run("push", "--allow-shrink", "--allow-churn")
    before = shop.listed
    shop.of_push = "max_size = 1"
    shop.configure()
    shop.agree(range(1, 10), denied=[10])

    assert shop.run("push").code == 1

    assert shop.listed == before - emails(10) - {sha("shared@shop.example"), sha("ten@shop.example")}
