"""E-mail and CRM tools: what each is sent, what its answers mean, and that its lists become what is wanted."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from tool_servers import KEY, Braze, HubSpot, Klaviyo, Mailchimp, Tool, serving_tool

from loopback import Told
from microconv import catalogue
from microconv.activation.destinations.base import Destination
from microconv.activation.destinations.payloads import payload
from microconv.activation.destinations.webhook import WebhookDestination, WebhookList
from microconv.activation.push.audience_list import Identifier, Origin, RefusedError, TryLaterError, UnsureError
from microconv.config.destination_settings import DestinationConfig
from microconv.testing import DestinationContract
from microconv.testing.fault_schedule import _FAULTY, _QUIET

ANNA, BEN = (Identifier("email", f"{name}@shop.example") for name in ("anna", "ben"))
NOBODY = Identifier("email", "not an address")
AGREED = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
SINCE = datetime(2026, 2, 1, tzinfo=UTC)
FACTS = {"plan": "p", "lineage": {"rule_in_words": "Members are actors who did add_to_cart.", "rule_version": "r1"}}
SUFFIXES = ("", "_reason", "_since", "_consent", "_consented_at")
PROPERTIES = {f"microconv_{segment}{suffix}" for segment in ("carts", "buyers", "buyers_0001") for suffix in SUFFIXES}


def tool_of(name: str) -> Tool:
    if name == "hubspot":
        return HubSpot(properties=set(PROPERTIES))
    if name == "mailchimp":
        return Mailchimp(members={"7": set()})
    return {"klaviyo": Klaviyo, "braze": Braze}[name]()


@dataclass
class At:
    """A tool that is served, and a destination for it."""

    name: str
    address: str
    tool: Any
    keys: dict[str, Any] = field(default_factory=dict)

    def destination(self, **keys: Any) -> WebhookDestination:
        of_tool = {"list": "7"} if self.name == "mailchimp" else {}
        entry = DestinationConfig(
            name="crm",
            kind="webhook",
            payload=self.name,
            url=self.address,
            token={"env": "TOOL_KEY"},
            timeout="5s",
            **{**of_tool, **self.keys, **keys},
        )
        made = catalogue.destination(entry, Path("microconv.toml"))
        assert isinstance(made, WebhookDestination)
        return made

    def list(self, segment: str = "carts") -> WebhookList:
        return self.destination().audience_list(segment, "p1", FACTS)

    @property
    def last(self) -> Any:
        return self.tool.requests[-1][3]

    def listed(self) -> set[Identifier]:
        self.tool.tick()
        found: set[Identifier] = self.tool.listed("7" if self.name == "mailchimp" else "carts")
        return found


@pytest.fixture(params=["klaviyo", "hubspot", "braze", "mailchimp"])
def at(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[At]:
    monkeypatch.setenv("TOOL_KEY", KEY)
    tool = tool_of(request.param)
    with serving_tool(tool) as address:
        yield At(request.param, address, tool)


def only(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("at", names, indirect=True)


# What is sent


def test_who_is_added_is_listed_and_who_is_removed_is_not(at: At) -> None:
    audience = at.list()
    audience.send("add", [ANNA, BEN])
    assert at.listed() == {ANNA, BEN}
    audience.send("remove", [BEN])
    assert at.listed() == {ANNA}
    audience.send("remove", [ANNA])
    assert at.listed() == set()


@only("klaviyo", "hubspot", "braze")
def test_profiles_say_why_and_since_when_and_what_was_agreed(at: At) -> None:
    audience = at.list()
    audience.explain({ANNA: Origin("member", SINCE, AGREED)}, Origin("member"))
    audience.send("add", [ANNA])
    at.tool.tick()
    yes: object = "true" if at.name == "hubspot" else True
    assert at.tool.profiles[ANNA.value] == {
        "microconv_carts": yes,
        "microconv_carts_reason": "Members are actors who did add_to_cart.",
        "microconv_carts_since": "2026-02-01T00:00:00Z",
        "microconv_carts_consent": "granted",
        "microconv_carts_consented_at": "2026-01-02T03:04:05Z",
    }
    audience.explain({ANNA: Origin("refused")}, Origin("left"))
    audience.send("remove", [ANNA, BEN])
    at.tool.tick()
    no: object = "false" if at.name == "hubspot" else False
    refused, left = at.tool.profiles[ANNA.value], at.tool.profiles[BEN.value]
    assert {**refused, **left}.keys() == refused.keys()
    assert [refused[f"microconv_carts{each}"] for each in ("", "_reason", "_consent")] == [no, "refused", "denied"]
    assert [left[f"microconv_carts{each}"] for each in ("", "_reason", "_consent")] == [no, "left", "unknown"]


@only("klaviyo", "hubspot", "braze")
def test_what_is_not_known_of_somebody_is_written_as_the_tool_takes_it(at: At) -> None:
    at.list().send("add", [ANNA])
    at.tool.tick()
    nothing = "" if at.name == "hubspot" else None
    assert at.tool.profiles[ANNA.value]["microconv_carts_since"] == nothing


def test_the_largest_request_is_within_the_limits_of_the_tool(at: At) -> None:
    audience = at.destination().audience_list(
        "s" * 60, "p1", {"plan": "p", "lineage": {"rule_in_words": "very " * 200, "rule_version": "r" * 64}}
    )
    at.tool.properties = {f"microconv_{'s' * 60}{suffix}" for suffix in SUFFIXES}
    most = audience.limits.most_identifiers
    everybody = [Identifier("email", f"{number:064d}@shop.example") for number in range(most)]
    audience.explain(dict.fromkeys(everybody, Origin("member", SINCE, AGREED)), Origin())
    assert audience.send("add", everybody).state in ("accepted", "success")
    assert audience.limits.requests_per_minute == {"klaviyo": 90, "hubspot": 360}.get(at.name)


@only("braze")
def test_users_that_braze_does_not_know_are_not_made(at: At) -> None:
    at.tool.known = {"u1"}
    at.list().send("add", [ANNA, Identifier("user_id", "u1"), Identifier("user_id", "u2")])
    assert at.listed() == {Identifier("user_id", "u1")}


@only("mailchimp")
def test_addresses_that_are_not_in_the_audience_are_refused_by_name(at: At) -> None:
    at.tool.audience = {ANNA.value}
    answer = at.list().send("add", [BEN, ANNA])
    assert (answer.state, answer.refused) == ("success", (0,))
    assert not any(name in repr(answer) for name in (BEN.value, "shop.example"))
    assert at.listed() == {ANNA}


@only("mailchimp")
def test_addresses_that_mailchimp_writes_in_other_letters_are_found(at: At) -> None:
    at.tool.audience = set()
    at.tool.answers = lambda told: json.loads(json.dumps(told).replace(BEN.value, f" {BEN.value.upper()}"))
    assert at.list().send("add", [ANNA, BEN]).refused == (0, 1)


@only("mailchimp")
def test_who_is_not_in_the_audience_is_off_its_segments_too(at: At) -> None:
    at.list().send("add", [ANNA])
    answer = at.list().send("remove", [ANNA, BEN])
    assert (answer.state, answer.refused) == ("success", ())
    assert at.listed() == set()


@only("mailchimp")
@pytest.mark.parametrize("errors", [None, "no", [None, 7], [{"email_addresses": None}], [{"email_addresses": [7]}], {}])
def test_errors_of_mailchimp_that_name_nobody_refuse_nobody(at: At, errors: Any) -> None:
    at.tool.answers = lambda told: told | {"errors": errors}
    answer = at.list().send("add", [ANNA])
    assert (answer.state, answer.refused) == ("success", ())


# What answers mean


@only("klaviyo")
def test_a_job_of_klaviyo_is_accepted_and_asked_later(at: At) -> None:
    audience = at.list()
    answer = audience.send("add", [ANNA, NOBODY])
    assert (answer.state, answer.request_id) == ("accepted", "/api/profile-bulk-import-jobs/job0")
    assert audience.ask(str(answer.request_id)).state == "accepted"
    at.tool.tick()
    told = audience.ask(str(answer.request_id))
    assert (told.state, told.rejected) == ("partial", 1)
    assert at.list().ask("/api/profile-bulk-import-jobs/job9").state == "unknown"


@only("klaviyo")
def test_klaviyo_names_the_profile_that_is_wrong(at: At) -> None:
    pointer = "/data/attributes/profiles/data/1/attributes/email"
    at.tool.scripted = [Told(400, {"errors": [{"detail": BEN.value, "source": {"pointer": pointer}}]})]
    with pytest.raises(RefusedError) as caught:
        at.list().send("add", [ANNA, BEN])
    assert caught.value.rows == (1,)
    assert BEN.value not in str(caught.value)


@only("hubspot")
def test_hubspot_says_how_many_contacts_it_did_not_take(at: At) -> None:
    answer = at.list().send("add", [ANNA, NOBODY])
    assert (answer.state, answer.rejected) == ("partial", 1)
    assert at.listed() == {ANNA}


@only("hubspot")
def test_a_property_that_hubspot_lacks_refuses_the_request(at: At) -> None:
    at.tool.properties.remove("microconv_carts_consent")
    with pytest.raises(RefusedError, match="HTTP 400"):
        at.list().send("add", [ANNA])
    assert at.listed() == set()


@only("braze")
def test_braze_names_what_it_did_not_take_in_a_success(at: At) -> None:
    at.tool.scripted = [Told(201, {"message": "success", "errors": [{"type": BEN.value, "index": 1}]})]
    answer = at.list().send("add", [ANNA, BEN])
    assert (answer.state, answer.rejected) == ("partial", 1)
    assert BEN.value not in repr(answer)


def test_a_wrong_key_is_refused_and_not_shown(at: At, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOOL_KEY", "wrong-key-of-somebody")
    with pytest.raises(RefusedError, match="HTTP 401: it does not accept our key") as caught:
        at.list().send("add", [ANNA])
    assert caught.value.rows == ()
    assert "wrong-key" not in str(caught.value)
    assert at.listed() == set()


def test_too_many_requests_are_tried_later(at: At) -> None:
    at.tool.scripted = [at.tool.busy]
    with pytest.raises(TryLaterError) as caught:
        at.list().send("add", [ANNA])
    assert caught.value.retry_after == (timedelta(0) if at.name == "klaviyo" else None)


@pytest.mark.parametrize("told", [Told(500), Told(504), Told(hangs_up=True)], ids=["500", "504", "hangs up"])
def test_an_answer_that_is_lost_leaves_it_unsure(at: At, told: Told) -> None:
    at.tool.scripted = [told]
    with pytest.raises(UnsureError):
        at.list().send("add", [ANNA])


# What can be looked up


def found(at: At, *segments: str) -> list[tuple[str, str]]:
    destination = at.destination()
    destination.check_ready()
    return [(each.severity, each.message) for each in destination.examine(segments)]


@only("klaviyo", "hubspot", "mailchimp")
def test_the_doctor_asks_whether_the_key_is_good_and_all_is_there(at: At, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(at, "carts") == [("ok", "the key is good, and what carts needs is there.")]
    assert {method for method, *_ in at.tool.requests} == {"GET"}
    monkeypatch.setenv("TOOL_KEY", "wrong-key-of-somebody")
    assert {severity for severity, _ in found(at, "carts")} == {"error"}
    assert "HTTP 401" in found(at, "carts")[0][1]
    assert "wrong-key" not in str(found(at, "carts"))


@only("hubspot")
def test_the_doctor_names_each_property_that_hubspot_lacks(at: At) -> None:
    at.tool.properties -= {"microconv_carts", "microconv_carts_since"}
    assert found(at, "carts", "buyers") == [
        ("error", "it has no /crm/v3/properties/contacts/microconv_carts."),
        ("error", "it has no /crm/v3/properties/contacts/microconv_carts_since."),
        ("ok", "the key is good, and what buyers needs is there."),
    ]


@only("mailchimp")
def test_the_doctor_tells_that_a_segment_of_mailchimp_is_not_there(at: At) -> None:
    at.keys = {"list": "8"}
    assert found(at, "carts") == [("error", "it has no /segments/8?fields=id,member_count.")]


@only("klaviyo")
def test_the_doctor_tells_that_a_tool_cannot_be_reached(at: At) -> None:
    at.address = "http://127.0.0.1:9"
    assert found(at, "carts") == [("error", "there is no answer to a question: there was no connection.")]
    at.tool.scripted = []


@only("braze")
def test_of_braze_nothing_can_be_looked_up_with_that_key(at: At) -> None:
    assert found(at, "carts") == []
    assert at.tool.requests == []


@only("mailchimp")
def test_mailchimp_tells_how_many_members_a_segment_has(at: At) -> None:
    at.list().send("add", [ANNA, BEN])
    facts = at.destination().list_facts("carts")
    assert facts is not None
    assert (facts.members, facts.is_open) == (2, True)
    at.keys = {"list": "8"}
    gone = at.destination().list_facts("carts")
    assert gone is not None
    assert (gone.is_open, gone.notes) == (False, ("there is no such list",))


@only("klaviyo", "hubspot", "braze")
def test_other_tools_tell_nothing_of_lists(at: At) -> None:
    assert at.destination().list_facts("carts") is None
    assert at.tool.requests == []


# Two segments on one list


def test_what_tells_lists_apart_is_what_is_sent(at: At) -> None:
    place = at.destination().list_place
    if at.name == "mailchimp":
        assert place("carts") == place("buyers") == "7"
    else:
        assert place("carts") != place("buyers")
        assert place("late-carts") == place("late_carts"), "their properties have one name"
        named = at.destination(property="in_some_segment").list_place
        assert named("carts") == named("buyers")


# The contract, and schedules of faults


class OfTool(DestinationContract):
    """The contract at a tool that fails: busy, down, silent, with answers that are lost."""

    name: ClassVar[str]
    vectors = (("email", " Anna@Shop.example ", "anna@shop.example"),)
    schedules = (4, 0)
    fails = False
    steps = 0

    @pytest.fixture
    def destination(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Destination]:  # type: ignore[override]  # a fixture
        monkeypatch.setenv("TOOL_KEY", KEY)
        self.tool = tool_of(self.name)
        self.tool.chance = random.Random(self.schedules[1])
        if isinstance(self.tool, HubSpot):
            names = [f"segment_{number}" for number in range(200)]
            self.tool.properties |= {f"microconv_{name}{suffix}" for name in names for suffix in SUFFIXES}
        with ExitStack() as stack:
            address = stack.enter_context(serving_tool(self.tool))
            self.keys: dict[str, Any] = {  # type: ignore[misc]  # of this test
                "kind": "webhook",
                "payload": self.name,
                "url": address,
                "token": {"env": "TOOL_KEY"},
                "most_identifiers": 3,
                **({"list": "7"} if self.name == "mailchimp" else {}),
            }
            entry = DestinationConfig(name="there", **self.keys)
            yield catalogue.destination(entry, tmp_path / "microconv.toml")

    def listed(self, destination: Destination, segment: str) -> set[Identifier]:  # noqa: ARG002 - the tool knows
        return self.tool.listed(segment)

    def settle(self, destination: Destination) -> None:  # noqa: ARG002 - see above
        self.tool.tick()
        if self.fails:
            self.steps += 1
            self.tool.is_faulty = self.steps % (_FAULTY + _QUIET) < _FAULTY

    def test_after_any_faults_the_list_is_what_is_wanted(self, destination: Destination) -> None:
        """The tool fails by itself as well, until the quiet time of a schedule."""
        self.fails, self.steps = True, 0
        self.tool.is_faulty = True
        super().test_after_any_faults_the_list_is_what_is_wanted(destination)
        assert any(not 200 <= each < 300 for each in self.tool.statuses)

    @pytest.mark.long
    def test_after_many_faults_the_list_is_what_is_wanted(self, destination: Destination) -> None:
        """The same for many schedules."""
        self.schedules = (60, 100)  # type: ignore[misc]  # of this test
        self.test_after_any_faults_the_list_is_what_is_wanted(destination)


class TestKlaviyo(OfTool):
    name = "klaviyo"


class TestHubSpot(OfTool):
    name = "hubspot"


class TestBraze(OfTool):
    name = "braze"


class TestMailchimp(OfTool):
    """A destination for Mailchimp is one list, so it takes one segment; no schedule begins where another ended."""

    name = "mailchimp"
    schedules = (1, 10)

    def listed(self, destination: Destination, segment: str) -> set[Identifier]:  # noqa: ARG002 - there is one list
        return self.tool.listed("7")

    def test_two_segments_have_two_places(self, destination: Destination) -> None:
        """They have one, and a push refuses that."""
        assert destination.list_place("buyers") == destination.list_place("carts")

    test_segments_are_kept_apart = None
    test_after_many_faults_the_list_is_what_is_wanted = None


def test_pages_of_the_makers_are_named() -> None:
    for name in ("klaviyo", "hubspot", "mailchimp", "braze"):
        assert payload(name).source.startswith("https://"), name  # type: ignore[arg-type]  # names of payloads
    assert json.loads(payload("microconv").model_dump_json())["source"] == ""
