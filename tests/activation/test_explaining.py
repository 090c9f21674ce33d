"""`microconv explain`: one person, from the event to the receipt, and no value of theirs is shown."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from pushed_shop import Shop, emails


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    made = Shop(tmp_path)
    made.agree([1, 2, 3], denied=[4])
    assert made.run("push").code == 0
    return made


def test_somebody_on_a_list_is_followed_from_the_event_to_the_receipt(shop: Shop):
    found = shop.run("explain", "u2", "--segment", "carts", "--format", "json").document
    (occurrence,) = found["occurrences"]
    assert (occurrence["micro_conversion"], occurrence["event_name"]) == ("add_to_cart", "add_to_cart")
    (stay,) = found["stays"]
    assert (stay["until"], stay["rule_version"]) == (None, found["rule_version"])
    (sent,) = found["sent"]
    assert (sent["gate"], sent["kind"], sent["operation"], sent["state"]) == ("yes", "email", "add", "success")
    assert sent["digits"] == next(iter(emails(2)))[:8]
    assert sent["batch_id"]
    assert sent["request_id"]


def test_who_refused_is_explained_with_the_reason(shop: Shop):
    done = shop.run("explain", "u4", "--segment", "carts", "--to", "crm")
    assert "no: consent_denied" in done.stdout
    assert "In carts since" in done.stdout


def test_an_actor_key_names_the_same(shop: Shop):
    with duckdb.connect(str(shop.folder / "microconv.duckdb"), read_only=True) as database:
        ((key,),) = database.execute("SELECT DISTINCT actor_key FROM mc_sessions WHERE user_id = 'u2'").fetchall()
    by_key, by_user = (shop.run("explain", each, "--segment", "carts", "--format", "json") for each in (str(key), "u2"))
    assert by_key.document == by_user.document


def test_no_identifier_and_no_address_is_shown(shop: Shop):
    for form in ("table", "json"):
        shown = shop.run("explain", "u2", "--segment", "carts", "--format", form).stdout
        assert "user2@shop.example" not in shown
        assert not any(each in shown for each in emails(1, 2, 3, 4))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nobody", "--segment", "carts"), "No staged session has that user_id or actor key"),
        (("u2", "--segment", "none"), "has no segment named 'none'"),
        (("u2", "--segment", "carts", "--to", "none"), "has no destination named 'none'"),
    ],
)
def test_what_is_not_there_is_said(shop: Shop, arguments: tuple[str, ...], said: str):
    shop.run("explain", *arguments).assert_failed(2, said)
