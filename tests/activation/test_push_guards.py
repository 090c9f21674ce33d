"""What stops a push, what lets it through on purpose, and where limits come from."""

from __future__ import annotations

from pathlib import Path

import pytest
from pushed_shop import Shop, emails


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path, size=10)


def stopped(shop: Shop, flag: str, *said: str) -> None:
    """The push sends nothing, says why and how it is let through; with the flag it is sent."""
    before, asked = shop.listed, shop.requests
    for arguments in (("push", "--dry-run"), ("push",)):
        done = shop.run(*arguments)
        assert done.code == 1, done
        assert "Nothing was sent; the list is as it was." in done.stderr
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
    shop.agree([], denied=range(1, 11))
    stopped(shop, "shrink", "none of 10 members can be sent (excluded: consent_denied 10)")
    assert shop.listed == set()


def test_a_list_that_loses_too_large_a_part_stops_the_push(shop: Shop):
    shop.run("push")
    shop.agree(range(1, 5), denied=range(5, 11))
    stopped(shop, "shrink", "6 identifiers of 10 on the list would be removed (60.0%); max_delete_pct is 50")
    assert shop.listed == emails(1, 2, 3, 4)


def test_half_of_a_list_may_go(shop: Shop):
    shop.run("push")
    shop.agree(range(1, 6), denied=range(6, 11))
    assert shop.run("push").code == 0


def test_too_many_removals_as_a_count_stop_the_push(shop: Shop):
    shop.of_push = "max_deletes = 2"
    shop.configure()
    shop.run("push")
    shop.agree(range(1, 8), denied=range(8, 11))
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
