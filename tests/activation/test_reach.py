"""`segment size --reach`: what consent says of members, and by which identifier they could be sent."""

from __future__ import annotations

from pathlib import Path

import pytest
from pushed_shop import Shop


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path, size=8)
    people = [
        "u1,a@shop.example,",
        "u2,,+4915112345678",
        "u3,user3@shop.example,+4915112345679",
        "u4,,",
        "u5,no address,",
    ]
    (tmp_path / "identity.csv").write_text("\n".join(("user_id,email,phone", *people, "")))
    shop.agree(range(1, 6), denied=[7, 8])
    return shop


def test_parts_by_consent_add_up_and_identifiers_are_those_of_who_consented(shop: Shop):
    done = shop.run("segment", "size", "carts", "--reach", "--format", "json")

    assert done.code == 0, done.stderr
    parts = {each["part"]: each["members"] for each in done.document["parts"]}
    assert parts == {
        "consented": 5,
        "no user_id, so nobody can be asked": 0,
        "no consent row": 1,
        "consent denied": 2,
        "consent unreadable": 0,
        "email": 2,
        "phone": 2,
        "email or phone": 3,
        "user_id": 5,
    }
    assert done.document["sentence"] == (
        "carts: 5 of 8 members consented; 3 could be sent by e-mail address or phone number, 5 by user_id."
    )


def test_reach_names_nobody(shop: Shop):
    done = shop.run("segment", "size", "carts", "--reach")

    assert done.code == 0
    assert "shop.example" not in done.stdout
    assert "u1" not in done.stdout


@pytest.mark.parametrize("other", [("--by-day",), ("--as-of", "2024-01-01")])
def test_reach_goes_with_no_other_day(shop: Shop, other: tuple[str, ...]):
    assert shop.run("segment", "size", "carts", "--reach", *other).code == 2


def test_without_a_consent_table_nothing_is_said(shop: Shop):
    (shop.folder / "consent.csv").unlink()

    done = shop.run("segment", "size", "carts", "--reach")

    assert (done.code, done.stdout) == (2, "")
    assert "consent" in done.stderr
