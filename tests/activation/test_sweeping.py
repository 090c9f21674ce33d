"""A list is swept of whoever the ledger does not know of, and is never empty on the way."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pushed_shop import Shop, emails

from data_manager_server import DataManagerModel, DataManagerServer, Fault, HangUp, Refuse, serving

OF_PUSH = """
[[destinations]]
name = "google"
kind = "google_ads"
customer_id = "1234567890"
accepts_customer_match_terms = true
endpoint = "{endpoint}"
transport = "{transport}"
"""
CODE = "microconv:google:carts"
STRANGER = ("email", "ab" * 32)
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def shared() -> Iterator[DataManagerServer]:
    with serving() as server:
        yield server


@pytest.fixture
def shop(request: pytest.FixtureRequest, tmp_path: Path, shared: DataManagerServer) -> Shop:
    shared.model = DataManagerModel(now=datetime.now(tz=UTC))
    transport = getattr(request, "param", "grpc")
    keys = OF_PUSH.format(endpoint=shared.url(transport), transport=transport)
    return Shop(tmp_path / "shop", of_push=keys)


@pytest.fixture
def model(shop: Shop, shared: DataManagerServer) -> DataManagerModel:
    del shop  # it makes a new one
    return shared.model


def pushed(shop: Shop, model: DataManagerModel) -> None:
    """Push while a stranger is on the list, and wait until all is confirmed."""
    kept = model.add_list(CODE)
    kept.members[STRANGER] = model.now - DAY
    assert shop.run("push", "carts", "--to", "google").code == 0
    model.settle()
    assert shop.run("push", "poll").code == 0
    assert emails(1, 2, 3, 4) <= {value for _, value in model.members(CODE)}
    assert STRANGER in model.members(CODE)


def sweep(shop: Shop, *more: str) -> tuple[int, str, dict[str, object]]:
    done = shop.run("push", "sweep", "carts", "--from", "google", "--format", "json", *more)
    return done.code, done.stderr, json.loads(done.stdout) if done.stdout else {}


@pytest.mark.parametrize("shop", ["grpc", "rest"], indirect=True)
def test_a_stranger_is_taken_off_and_nobody_else(shop: Shop, model: DataManagerModel) -> None:
    pushed(shop, model)
    ours = model.members(CODE) - {STRANGER}
    code, said, document = sweep(shop)
    assert code == 0, said
    assert model.members(CODE) == ours
    assert "was taken off" in str(document["sentence"])
    assert shop.run("push", "ledger", "verify").code == 0
    # The next push has nothing to do.
    writes = [each for each in model.calls if "Members" in each]
    assert shop.run("push", "carts", "--to", "google").code == 0
    assert [each for each in model.calls if "Members" in each] == writes


def test_a_dry_run_takes_nobody_off(shop: Shop, model: DataManagerModel) -> None:
    pushed(shop, model)
    before = model.members(CODE)
    code, said, document = sweep(shop, "--dry-run")
    assert code == 0, said
    assert "would be taken off" in str(document["sentence"])
    assert model.requests[-1].validate_only
    assert model.members(CODE) == before
    model.scripted = {"RemoveAllAudienceMembers": deque([Refuse(403, "PERMISSION_DENIED")])}
    code, said, _ = sweep(shop, "--dry-run")
    assert code == 4
    assert "a sweep would not be taken (PERMISSION_DENIED" in said


def test_who_was_added_since_is_left_alone(shop: Shop, model: DataManagerModel) -> None:
    pushed(shop, model)
    (kept,) = model.lists.values()
    kept.members["email", "cd" * 32] = model.now
    assert sweep(shop)[0] == 0
    assert ("email", "cd" * 32) in model.members(CODE)
    assert STRANGER not in model.members(CODE)


def test_it_waits_until_all_is_confirmed(shop: Shop, model: DataManagerModel) -> None:
    model.add_list(CODE).members[STRANGER] = model.now - DAY
    model.slowest = 4
    assert shop.run("push", "carts", "--to", "google").code == 0
    code, said, _ = sweep(shop)
    assert code == 1
    assert "still being worked on" in said
    model.settle()
    assert STRANGER in model.members(CODE)
    assert sweep(shop)[0] == 0


def test_it_is_asked_about_until_it_is_done(shop: Shop, model: DataManagerModel) -> None:
    pushed(shop, model)
    model.slowest = 4
    code, _, document = sweep(shop)
    assert code == 0
    assert "is being taken off" in str(document["sentence"])
    model.settle()
    done = shop.run("push", "poll", "--format", "json")
    assert [row["state"] for row in json.loads(done.stdout)["batches"]] == ["success"]
    assert STRANGER not in model.members(CODE)


@pytest.mark.parametrize("fault", [HangUp(), HangUp(is_done=True), Refuse(403, "PERMISSION_DENIED")])
def test_one_that_was_not_answered_may_be_repeated(fault: Fault, shop: Shop, model: DataManagerModel) -> None:
    pushed(shop, model)
    ours = model.members(CODE) - {STRANGER}
    model.scripted = {"RemoveAllAudienceMembers": deque([fault])}
    assert sweep(shop)[0] == 4
    assert sweep(shop)[0] == 0
    assert model.members(CODE) == ours
    assert shop.run("push", "ledger", "verify").code == 0


def test_a_list_that_the_ledger_does_not_know_is_not_emptied(shop: Shop, model: DataManagerModel) -> None:
    model.add_list(CODE).members[STRANGER] = model.now - DAY
    code, said, _ = sweep(shop)
    assert code == 2
    assert "knows nobody" in said
    assert model.members(CODE) == {STRANGER}


def test_another_kind_says_that_it_cannot(shop: Shop) -> None:
    assert shop.run("push", "carts", "--to", "crm").code == 0
    done = shop.run("push", "sweep", "carts", "--from", "crm")
    assert done.code == 2
    assert "does not know when members were added" in done.stderr


def test_lost_state_is_said_again_whole_and_the_rest_swept(shop: Shop, model: DataManagerModel) -> None:
    pushed(shop, model)
    # Who agreed then and refuses now, while the ledger is lost, can be taken off by a sweep alone.
    (kept,) = model.lists.values()
    kept.members = dict.fromkeys(kept.members, model.now - DAY)
    for database in shop.folder.glob("*.duckdb"):
        import duckdb

        with duckdb.connect(str(database)) as connection:
            connection.execute("DELETE FROM mc_sent")
            connection.execute("DELETE FROM mc_ledger")
    shop.agree([2, 3, 4], denied=[1])
    assert shop.run("push", "carts", "--to", "google", "--full").code == 0
    model.settle()
    assert shop.run("push", "poll").code == 0
    assert emails(1) <= {value for _, value in model.members(CODE)}
    assert sweep(shop)[0] == 0
    held = {value for _, value in model.members(CODE)}
    assert emails(2, 3, 4) <= held
    assert not emails(1) & held
