"""Lists that no segment goes to any more: refusals still reach them, and `push retire` empties them."""

from __future__ import annotations

from pathlib import Path

import pytest
from pushed_shop import Shop, emails


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path, size=6)


def give_up(shop: Shop) -> None:
    """Another segment goes there now, and `carts` no more."""
    path = shop.folder / "microconv.toml"
    text = path.read_text().replace('destinations = ["crm"]\n', "", 1)
    assert "destinations" in path.read_text()
    path.write_text(text.replace('name = "buyers"', 'name = "buyers"\ndestinations = ["crm"]'))


def test_a_refusal_reaches_a_list_that_is_given_up_and_the_push_says_how_to_empty_it(shop: Shop):
    shop.run("push")
    give_up(shop)
    shop.agree(range(1, 6), denied=[6])

    done = shop.run("push", "--allow-shrink", "--format", "json")

    assert shop.listed == emails(1, 2, 3, 4, 5)
    given_up = done.document["lists"][-1]
    assert (given_up["segment"], given_up["outcome"]) == ("carts", "not configured")
    assert "6 identifiers are on it" in given_up["warnings"][0]
    assert "`microconv push retire carts --from crm`" in given_up["warnings"][0]
    assert given_up["warnings"][1].startswith("carts at crm: 1 identifier of people who refused")


def test_a_refusal_reaches_a_list_when_no_segment_names_any_destination(shop: Shop):
    shop.run("push")
    path = shop.folder / "microconv.toml"
    path.write_text(path.read_text().replace('destinations = ["crm"]\n', "", 1))
    shop.agree(range(1, 6), denied=[6])

    assert shop.run("push").code == 0

    assert shop.listed == emails(1, 2, 3, 4, 5)


def test_a_dry_run_takes_nobody_off_a_list_that_is_given_up(shop: Shop):
    shop.run("push")
    give_up(shop)
    shop.agree(range(1, 6), denied=[6])
    requests = shop.requests

    assert "is in no segment's `destinations`" in shop.run("push", "--dry-run", "--allow-shrink").stderr

    assert shop.requests == requests


def test_retire_takes_everybody_off_and_the_next_push_is_silent_about_the_list(shop: Shop):
    shop.run("push")
    give_up(shop)

    planned = shop.run("push", "retire", "carts", "--from", "crm", "--dry-run", "--format", "json")
    assert planned.code == 0
    assert len(shop.listed) == 6
    done = shop.run("push", "retire", "carts", "--from", "crm", "--format", "json")

    assert done.code == 0
    assert done.document["plan"] == planned.document["plan"]
    assert done.document["lists"][0]["removed"] == 6
    assert shop.listed == set()
    assert "carts" not in shop.run("push", "--allow-shrink").stderr
    again = shop.run("push", "retire", "carts", "--from", "crm")
    assert (again.code, "nothing to send" in again.stdout) == (0, True)


def test_retire_goes_on_after_a_request_was_lost(shop: Shop):
    shop.run("push")
    give_up(shop)

    assert shop.run("push", "retire", "carts", "--from", "crm", fault="lost", at=1).code == 4
    shop.run("push", "retire", "carts", "--from", "crm")

    assert shop.listed == set()


@pytest.mark.parametrize(
    ("segment", "destination", "said"),
    [
        ("carts", "crm", "Segment carts names the destination crm"),
        ("buyers", "crm", "Nothing was ever pushed of buyers to crm"),
        ("carts", "nowhere", "nowhere"),
    ],
)
def test_what_cannot_be_retired_is_said_and_nothing_is_sent(shop: Shop, segment: str, destination: str, said: str):
    shop.run("push")
    requests = shop.requests

    done = shop.run("push", "retire", segment, "--from", destination)

    assert done.code == 2
    assert said in done.stderr
    assert shop.requests == requests
