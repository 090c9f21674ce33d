"""Why somebody is on a list, or leaves it: what a webhook is told with each identifier, from real pushes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pushed_shop import Shop, sha
from webhook_server import SECRET, SLOWEST, AudienceService, serving

from microconv.activation.audience.build import build_audience
from microconv.activation.audience.normalise import PLAIN
from microconv.activation.audience.people import ConsentRecord, Person
from microconv.errors import DestinationError
from microconv.segments.members import Member

RULE = "Members are actors who did add_to_cart in the last 14 days."
HOOK = """
[[destinations]]
name = "hook"
kind = "webhook"
url = "{address}"
secret = {{ file = "hook.secret" }}
most_identifiers = 3
push = {{ max_delete_pct = 100 }}
"""


@pytest.fixture
def service() -> AudienceService:
    return AudienceService()


@pytest.fixture
def shop(tmp_path: Path, service: AudienceService) -> Iterator[Shop]:
    with serving(service) as address:
        shop = Shop(tmp_path / "shop", of_push=HOOK.format(address=address))
        secret = shop.folder / "hook.secret"
        secret.write_text(f"{SECRET}\n")
        secret.chmod(0o600)
        yield shop


def push(shop: Shop, service: AudienceService, code: int = 0) -> None:
    done = shop.run("push", "carts", "--to", "hook")
    assert done.code == code, done
    for _ in range(SLOWEST + 1):
        service.tick()


def told(service: AudienceService) -> dict[tuple[str, str], dict[str, Any]]:
    """What the service was told of each address last, by operation."""
    return {
        (document["operation"], each["value"]): each
        for _, document in service.requests
        for each in document["identifiers"]
    }


def of(number: int) -> str:
    return sha(f"user{number}@shop.example")


def consents(shop: Shop, *rows: str) -> None:
    columns = "user_id,ad_user_data,ad_personalization,changed_at"
    (shop.folder / "consent.csv").write_text("\n".join((columns, *rows, "")))


def test_who_is_added_comes_with_the_rule_since_when_and_with_the_moment_of_consent(
    shop: Shop, service: AudienceService
) -> None:
    consents(
        shop,
        "u1,denied,denied,2026-01-01",
        "u1,granted,yes,2026-02-03T04:05:06+02:00",
        "u2,granted,granted,2025-12-31 23:00:00 UTC",
        "u3,granted,granted,2026-01-01",
        "u4,granted,denied,2026-01-01",
    )
    push(shop, service)
    found = told(service)
    assert {value for _, value in found} == {of(1), of(2), of(3)}
    first = found["add", of(1)]
    assert first["consent"] == {
        "state": "granted",
        "purposes": ["ad_user_data", "ad_personalization"],
        "granted_at": "2026-02-03T02:05:06Z",
    }
    assert found["add", of(2)]["consent"]["granted_at"] == "2025-12-31T23:00:00Z"
    # They entered with the build of this push, which knows of yesterday's events.
    since = datetime.fromisoformat(first["since"])
    assert 0 < (datetime.now(tz=UTC) - since).days + 1 < 3
    rules = {(document["rule"], len(document["rule_version"])) for _, document in service.requests}
    assert rules == {(RULE, 16)}


def test_an_address_that_two_share_tells_the_later_consent(shop: Shop, service: AudienceService) -> None:
    shop.know([1, 2, 3], u4="user1@shop.example")
    consents(
        shop,
        "u1,granted,granted,2026-01-01",
        "u2,granted,granted,2026-01-02",
        "u4,granted,granted,2026-03-04",
    )
    push(shop, service)
    found = told(service)
    assert set(found) == {("add", of(1)), ("add", of(2))}
    assert found["add", of(2)]["consent"]["granted_at"] == "2026-01-02T00:00:00Z"


def test_who_refuses_and_who_leaves_are_told_apart(shop: Shop, service: AudienceService) -> None:
    push(shop, service)
    service.requests.clear()
    shop.know([1, 2, 4])  # nobody knows any more who u3 is
    consents(
        shop,
        "u1,denied,granted,2026-04-01",
        "u3,granted,granted,2026-01-01",
        "u4,granted,granted,2026-01-01",
    )  # and u2 has no row any more, which is not a refusal
    push(shop, service)
    assert told(service) == {
        ("remove", of(1)): {"kind": "email", "value": of(1), "reason": "refused", "consent": {"state": "denied"}},
        ("remove", of(2)): {"kind": "email", "value": of(2), "reason": "left", "consent": {"state": "unknown"}},
        ("remove", of(3)): {"kind": "email", "value": of(3), "reason": "left", "consent": {"state": "unknown"}},
    }


def test_what_is_taken_off_beside_a_push_says_why_as_well(shop: Shop, service: AudienceService) -> None:
    push(shop, service)
    service.requests.clear()
    # A guard stops the rest; who refused leaves all the same.
    shop.of_push = shop.of_push.replace("max_delete_pct = 100", "max_size = 2")
    shop.configure()
    shop.agree([2, 3, 4], denied=[1])
    push(shop, service, code=1)
    assert {key: each["reason"] for key, each in told(service).items()} == {("remove", of(1)): "refused"}
    service.requests.clear()
    shop.run("erase", "u2")
    for _ in range(SLOWEST + 1):
        service.tick()
    assert {key: each["reason"] for key, each in told(service).items()} == {("remove", of(2)): "refused"}
    service.requests.clear()
    done = shop.run("push", "retire", "carts", "--from", "hook")
    assert done.code == 0, done
    assert {key: each["reason"] for key, each in told(service).items() if key[1] != of(2)} == {
        ("remove", of(3)): "left",
        ("remove", of(4)): "left",
    }


def test_status_needs_no_secret(shop: Shop, service: AudienceService) -> None:
    push(shop, service)
    (shop.folder / "hook.secret").unlink()
    done = shop.run("push", "status", "--format", "json")
    assert done.code == 0, done
    (hook,) = [each for each in done.document["lists"] if each["destination"] == "hook"]
    assert hook["listed"] == 4
    assert hook["next_refresh_at"] is None


def test_rows_know_their_actor_and_the_moment_of_consent_in_whatever_order_members_come() -> None:
    """Of a user with two actors the first counts; who did not agree moves nobody's place."""
    members = [Member(9, "u9"), Member(7, "u1"), Member(2, "denied"), Member(4, "u4"), Member(3, "u1"), Member(1, None)]
    people = [Person(each, email=f"{each}@shop.example") for each in ("u1", "denied", "u4", "u9")]
    consents = [ConsentRecord(f"u{day}", "granted", "granted", f"2026-01-0{day}") for day in (1, 4, 9)]
    consents.append(ConsentRecord("denied", "denied", "granted", "2026-01-02"))
    rows = build_audience(
        members,
        people,
        consents,
        identity=["email"],
        normalisation=PLAIN,
        with_address=False,
        now=datetime(2026, 3, 1, tzinfo=UTC),
        with_origins=True,
    ).rows
    (origins,) = rows.origins()
    days = [datetime.fromtimestamp(at / 1_000_000, tz=UTC).day for at in origins.granted_at.tolist()]
    found = dict(zip([row.email for row in rows], zip(origins.actor_keys.tolist(), days, strict=True), strict=True))
    assert found == {sha("u1@shop.example"): (3, 1), sha("u4@shop.example"): (4, 4), sha("u9@shop.example"): (9, 9)}
    # A part of the rows knows them as well.
    (some,) = rows[1:].origins()
    assert some.actor_keys.tolist() == origins.actor_keys.tolist()[1:]


def test_two_segments_are_never_one_list(shop: Shop, service: AudienceService) -> None:
    text = (shop.folder / "microconv.toml").read_text()
    (shop.folder / "mine.json").write_text(
        '{"add": {"body": {"in": [{"$each": {"email": "{{value}}"}}]}}, '
        '"remove": {"body": {"out": [{"$each": {"email": "{{value}}"}}]}}}'
    )
    text = text.replace('destinations = ["crm"]', 'destinations = ["hook"]')
    text = text.replace('name = "buyers"', 'name = "buyers"\ndestinations = ["hook"]')
    (shop.folder / "microconv.toml").write_text(text)
    assert shop.run("push", "carts", "--dry-run").code == 0
    (shop.folder / "microconv.toml").write_text(
        text.replace('kind = "webhook"', 'kind = "webhook"\npayload_file = "mine.json"')
    )
    done = shop.run("push", "carts")
    done.assert_failed(2, "The segments carts and buyers would share a list at hook")
    assert not service.requests


def test_nothing_of_that_is_worked_out_for_destinations_that_are_not_told(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []

    def noted(_engine: object, _rows: object, scratch: str) -> None:
        loaded.append(scratch)
        raise DestinationError("noted", hint="")

    monkeypatch.setattr("microconv.activation.push.origins.load_origins", noted)
    assert shop.run("push", "carts", "--to", "files").code == 0
    assert loaded == []
    assert shop.run("push", "carts", "--to", "hook").code == 4
    assert loaded == ["push_origins"]
