"""GA4's Admin API and its audience exports by the real clients, gRPC and REST, against a server on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from google.analytics import admin_v1alpha as api
from tenacity import Retrying, stop_after_attempt, wait_none

from analytics_property_server import PROPERTY, START, LostAnswer, PropertyModel, PropertyServer
from analytics_server import Refuse
from microconv.clients.analytics_access import Access
from microconv.clients.analytics_admin import AnalyticsAdmin
from microconv.clients.analytics_failures import EDIT_SCOPE, Asked
from microconv.clients.audience_exports import AudienceExports
from microconv.errors import AnalyticsError, ConfigError

NO_WAIT = Retrying(wait=wait_none(), stop=stop_after_attempt(3))
ADMIN = Asked("Admin API", "analyticsadmin.googleapis.com", EDIT_SCOPE, "", "Try again later.", ConfigError)
DATA = Asked(settings="", again="Try again later.", without_credentials=ConfigError)
AUDIENCE: dict[str, Any] = {
    "display_name": "carts",
    "description": "who left a cart",
    "membership_duration_days": 30,
    "filter_clauses": [
        {
            "clause_type": "INCLUDE",
            "simple_filter": {
                "scope": "AUDIENCE_FILTER_SCOPE_ACROSS_ALL_SESSIONS",
                "filter_expression": {
                    "and_group": {
                        "filter_expressions": [
                            {"or_group": {"filter_expressions": [{"event_filter": {"event_name": "add_to_cart"}}]}}
                        ]
                    }
                },
            },
        }
    ],
}
DEVICES = {(f"{number}.{number}", f"u{number}" if number % 2 else "") for number in range(25)}


@pytest.fixture
def server() -> Iterator[PropertyServer]:
    with PropertyServer(PropertyModel(members=lambda _: DEVICES)) as started:
        yield started


@pytest.fixture(params=["grpc", "rest"])
def access(request: pytest.FixtureRequest, server: PropertyServer) -> Access:
    transport = request.param
    return Access(PROPERTY, endpoint=server.url(transport), transport=transport, timeout_seconds=5, page_rows=10)


@pytest.fixture
def admin(access: Access) -> Iterator[AnalyticsAdmin]:
    client = AnalyticsAdmin(access, ADMIN, retrying=NO_WAIT)
    yield client
    client.close()


@pytest.fixture
def exports(access: Access) -> Iterator[AudienceExports]:
    client = AudienceExports(access, DATA, retrying=NO_WAIT)
    yield client
    client.close()


# Admin API


def test_audience_is_made_once(server: PropertyServer, admin: AnalyticsAdmin) -> None:
    made = admin.make_audience(AUDIENCE)
    again = admin.make_audience(AUDIENCE)
    assert made == (f"properties/{PROPERTY}/audiences/1", True)
    assert again == (f"properties/{PROPERTY}/audiences/1", False)
    assert admin.audiences() == {"carts": made[0]}
    assert len(server.model.audiences) == 1


@pytest.mark.parametrize(
    "made_and_again",
    [("make_audience", AUDIENCE, "audiences"), ("make_user_dimension", "mc_carts", "dimensions")],
)
def test_what_was_made_before_its_answer_was_lost_is_not_made_again(
    server: PropertyServer, admin: AnalyticsAdmin, made_and_again: tuple[str, Any, str]
) -> None:
    method, what, kept = made_and_again
    server.model.faults.extend([None, LostAnswer()])
    _, was_made = getattr(admin, method)(what)
    assert was_made
    assert len(getattr(server.model, kept)) == 1


def test_what_was_not_made_is_told(server: PropertyServer, admin: AnalyticsAdmin) -> None:
    server.model.faults.extend([None, Refuse(503)])
    with pytest.raises(AnalyticsError, match="Admin API could not be reached"):
        admin.make_audience(AUDIENCE)
    # Nothing that changes something is sent twice.
    assert server.model.calls.count("create_audience") == 1


def test_audiences_are_listed_over_pages_and_through_passing_failures(
    server: PropertyServer, admin: AnalyticsAdmin
) -> None:
    server.model.audiences = [api.Audience(name=f"a/{number}", display_name=f"a{number}") for number in range(203)]
    server.model.faults.extend([Refuse(503), Refuse(500)])
    assert len(admin.audiences()) == 203


def test_user_property_is_registered_once(server: PropertyServer, admin: AnalyticsAdmin) -> None:
    assert admin.make_user_dimension("mc_carts")[1]
    assert not admin.make_user_dimension("mc_carts")[1]
    assert list(admin.user_dimensions()) == ["mc_carts"]
    assert len(server.model.dimensions) == 1


def test_user_and_device_are_deleted(server: PropertyServer, admin: AnalyticsAdmin) -> None:
    server.model.faults.append(Refuse(503))
    assert admin.delete_user("user_id", "u1").timestamp() == START.timestamp()
    admin.delete_user("client_id", "1.1")
    assert server.model.deleted == [{"user_id": "u1"}, {"client_id": "1.1"}]


@pytest.mark.parametrize(
    ("status", "said"),
    [(403, "may not change GA4 property"), (404, "GA4 knows no property"), (400, "did not accept a request")],
)
def test_refusals_are_told_in_our_words(server: PropertyServer, admin: AnalyticsAdmin, status: int, said: str) -> None:
    server.model.faults.append(Refuse(status, message="u1 is wrong"))
    with pytest.raises(AnalyticsError, match=said) as caught:
        admin.delete_user("user_id", "u1")
    assert "u1" not in str(caught.value)


def test_credentials_that_are_refused_are_a_matter_of_configuration(
    server: PropertyServer, admin: AnalyticsAdmin
) -> None:
    server.model.faults.append(Refuse(401))
    with pytest.raises(ConfigError, match="did not accept the credentials"):
        admin.audiences()


# Audience exports


def test_export_is_begun_made_and_read_over_pages(
    server: PropertyServer, admin: AnalyticsAdmin, exports: AudienceExports
) -> None:
    audience, _ = admin.make_audience(AUDIENCE)
    assert exports.latest(audience) is None
    begun = exports.begin(audience)
    assert begun.state == "creating"
    server.model.tick()
    made = exports.latest(audience)
    assert made is not None
    assert (made.name, made.state, made.rows) == (begun.name, "active", 25)
    pages = list(exports.rows(made))
    assert [len(page) for page in pages] == [10, 10, 5]
    assert {row for page in pages for row in page} == DEVICES


def test_export_whose_order_was_answered_by_nobody_is_found(
    server: PropertyServer, admin: AnalyticsAdmin, exports: AudienceExports
) -> None:
    audience, _ = admin.make_audience(AUDIENCE)
    exports.begin(audience)
    server.model.now = START.replace(hour=5)
    server.model.faults.extend([None, LostAnswer()])
    assert exports.begin(audience).name.endswith("/2")
    assert len(server.model.exports) == 2


def test_export_that_was_not_begun_is_no_older_one(
    server: PropertyServer, admin: AnalyticsAdmin, exports: AudienceExports
) -> None:
    audience, _ = admin.make_audience(AUDIENCE)
    exports.begin(audience)
    server.model.faults.extend([None, Refuse(503)])
    with pytest.raises(AnalyticsError, match="Data API could not be reached"):
        exports.begin(audience)


def test_rows_that_are_missing_are_told(
    server: PropertyServer, admin: AnalyticsAdmin, exports: AudienceExports
) -> None:
    audience, _ = admin.make_audience(AUDIENCE)
    exports.begin(audience)
    server.model.tick()
    made = exports.latest(audience)
    assert made is not None
    server.model.lost_rows = 10
    with pytest.raises(AnalyticsError, match="announced 25 rows of an audience and gave 0"):
        list(exports.rows(made))
