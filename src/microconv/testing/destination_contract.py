"""What every destination of a push must hold to: a test class inherits `DestinationContract`, and says how to look."""

from __future__ import annotations

import logging
import re
import traceback
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest

from microconv import catalogue
from microconv.activation.audience.audience_rows import AudienceRow, IdentityKind
from microconv.activation.audience.build import build_audience
from microconv.activation.audience.normalise import sha256_hex
from microconv.activation.audience.people import ConsentRecord, Person
from microconv.activation.destinations.base import Destination
from microconv.activation.push.audience_list import (
    AudienceList,
    Identifier,
    Operation,
    RefusedError,
    TryLaterError,
    UnsureError,
)
from microconv.activation.push.list_push import ListPush
from microconv.activation.push.push_ledger import PushLedger
from microconv.config.destination_settings import DestinationConfig
from microconv.config.load import read_destination
from microconv.engines.duckdb import IN_MEMORY, DuckDBEngine
from microconv.errors import ConfigError, MicroconvError
from microconv.findings import SEVERITIES
from microconv.segments.members import Member
from microconv.testing.fault_schedule import START, want, wrong_lists

_FIELDS: Mapping[IdentityKind, str] = {"email": "email", "phone": "phone", "user_id": "external_id"}
_RAW = {"email": "Nasty.Person@Shop.example", "phone": "+49 170 7654321", "user_id": "user-secret-77"}
_MOST_SENT = 300
_NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


class DestinationContract:
    """The tests. A class that inherits it gives `keys` and `listed`, and what else is its own.

    Attributes:
        keys: The keys under `[[destinations]]`, without `name`. Paths lie below a folder of the test.
        vectors: Identifiers as people write them, and as they must be sent: kind, raw value, sent value.
        schedules: How many random schedules of faults are run, and of which seed the first is.
    """

    keys: ClassVar[dict[str, Any]]
    vectors: ClassVar[tuple[tuple[IdentityKind, str, str], ...]] = ()
    schedules: ClassVar[tuple[int, int]] = (5, 0)

    @pytest.fixture
    def destination(self, tmp_path: Path) -> Destination:
        """The destination."""
        return catalogue.destination(DestinationConfig(name="there", **self.keys), tmp_path / "microconv.toml")

    def listed(self, destination: Destination, segment: str) -> set[Identifier]:
        """Return what is on the list of a segment."""
        raise NotImplementedError(f"{type(self).__name__} must say what is on a list: override `listed`")

    def settle(self, destination: Destination) -> None:
        """Let time pass until all that was sent has taken effect; by default it has at once."""

    # Settings and what it accepts

    def test_settings_refuse_keys_they_do_not_know(self, destination: Destination, tmp_path: Path) -> None:
        """A mistyped key is told."""
        entry = DestinationConfig(**{**self.keys, "name": "there", "colour": "red"})
        with pytest.raises(ConfigError, match="colour is not a known key"):
            read_destination(entry, destination.settings_type, tmp_path / "microconv.toml")

    def test_it_says_what_it_accepts(self, destination: Destination) -> None:
        """Messages, plans and ledgers name it."""
        accepts = destination.accepts
        assert accepts.name
        assert accepts.identity
        assert accepts.in_clear <= accepts.identity
        assert accepts.normalisation.version
        assert accepts.minimum >= 0

    def test_limits_can_be_kept(self, destination: Destination) -> None:
        """A request holds something, and waits are known."""
        limits = destination.audience_list("buyers", "p1").limits
        assert limits.most_identifiers >= 1
        assert limits.settles_after >= timedelta(0)
        assert limits.answers_for > timedelta(0)
        assert limits.lifespan is None or limits.lifespan > timedelta(0)

    # What is sent of a person

    def sent(self, destination: Destination, **person: Any) -> AudienceRow | None:  # noqa: ANN401 - fields of a person
        """Return what is sent of a person who agreed; None: nothing."""
        user_id = person.pop("user_id", "u1")
        accepts = destination.accepts
        audience = build_audience(
            [Member(1, user_id)],
            [Person(user_id, **person)] if person else [],
            [ConsentRecord(user_id, "granted", "granted", "2026-01-01T00:00:00Z")],
            identity=[kind for kind in _FIELDS if kind in accepts.identity],
            normalisation=accepts.normalisation,
            with_address=accepts.with_address,
            now=_NOW,
            in_clear=accepts.in_clear,
        )
        return next(iter(audience.rows), None)

    def test_identifiers_are_sent_in_its_own_form(self, destination: Destination) -> None:
        """The vectors of the class hold."""
        for kind, raw, expected in self.vectors:
            row = self.sent(destination, **{kind: raw})
            assert row is not None, f"a {kind} of the vectors is not sent"
            assert getattr(row, _FIELDS[kind]) == expected, f"a {kind} of the vectors is sent in another form"

    def test_what_is_not_in_clear_is_a_digest(self, destination: Destination) -> None:
        """SHA-256 in small hex digits, of the same text however the address was written."""
        for kind in destination.accepts.identity - destination.accepts.in_clear:
            row = self.sent(destination, **{kind: _RAW[kind]})
            assert row is not None
            assert re.fullmatch("[0-9a-f]{64}", getattr(row, _FIELDS[kind]))
        if "email" in destination.accepts.identity:
            spellings = {self.sent(destination, email=text) for text in (" A.b@Shop.example", "a.B@shop.example ")}
            assert len(spellings) == 1

    # Lists

    def some(self, destination: Destination, count: int, start: int = 0) -> list[Identifier]:
        """Make identifiers of the kinds that it takes, in turn."""
        kinds = sorted(destination.accepts.identity)
        texts = ((kinds[number % len(kinds)], f"person{number}") for number in range(start, start + count))
        return [
            Identifier(kind, sha256_hex(text) if kind not in destination.accepts.in_clear else _clear(kind, text))
            for kind, text in texts
        ]

    def pushed(self, destination: Destination, push_id: str, counts: Counter[Identifier], ledger: PushLedger) -> None:
        """Push with the engine of a push, and ask until all is known."""
        want(_duckdb(ledger), counts)
        audience = destination.audience_list(ledger.segment, push_id)
        push = ListPush(ledger, audience, lambda: START)
        push.push(push_id, normalisation="n1")
        self.settle(destination)
        push.poll()

    @pytest.fixture
    def ledger(self) -> PushLedger:
        """A ledger in memory."""
        ledger = PushLedger(DuckDBEngine(IN_MEMORY, threads=1), "there", "buyers")
        ledger.prepare()
        return ledger

    def test_nothing_is_on_a_list_before_something_is_sent(self, destination: Destination) -> None:
        """To make a list, as a dry run does, sends nothing."""
        destination.audience_list("buyers", "p1")
        assert self.listed(destination, "buyers") == set()

    def test_lists_become_what_is_wanted(self, destination: Destination, ledger: PushLedger) -> None:
        """In batches, with what leaves and what comes, and again without a change."""
        most = destination.audience_list("buyers", "p0").limits.most_identifiers
        everybody = self.some(destination, min(2 * most + 1, _MOST_SENT))
        for number, wanted in enumerate((everybody, everybody[1:], everybody[1:], [], everybody[:2])):
            self.pushed(destination, f"p{number}", Counter(wanted), ledger)
            assert self.listed(destination, "buyers") == set(wanted)
            assert ledger.open_batches() == []

    def test_segments_are_kept_apart(self, destination: Destination, ledger: PushLedger) -> None:
        """Lists of two segments have nothing to do with each other, also when one name begins like the other."""
        first, second = self.some(destination, 2), self.some(destination, 2, start=2)
        self.pushed(destination, "p1", Counter(first), ledger)
        other = PushLedger(ledger.engine, "there", "buyers-0001")
        self.pushed(destination, "p2", Counter(second), other)
        assert self.listed(destination, "buyers") == set(first)
        assert self.listed(destination, "buyers-0001") == set(second)

    def test_what_it_does_not_carry_is_refused_by_its_place(self, destination: Destination) -> None:
        """The engine of a push then sends the rest."""
        (good,) = self.some(destination, 1)
        with pytest.raises(RefusedError) as caught:
            destination.audience_list("buyers", "p1").send("add", [good, Identifier("fax", "1234")])
        assert caught.value.rows == (1,)
        assert self.listed(destination, "buyers") == set()

    def test_operations_may_be_repeated(self, destination: Destination, ledger: PushLedger) -> None:
        """What is said again, after an answer was lost, changes nothing."""
        one, two = self.some(destination, 2)
        self.pushed(destination, "p1", Counter([one]), ledger)
        for push_id, identifiers, wanted in (("p2", [one, two], {one, two}), ("p3", [two], {one})):
            audience = destination.audience_list("buyers", push_id)
            for _ in range(2):
                audience.send("add" if push_id == "p2" else "remove", identifiers)
            audience.finish()
            self.settle(destination)
            assert self.listed(destination, "buyers") == wanted

    def test_requests_can_be_asked_about_later(self, destination: Destination) -> None:
        """Also by another process; one that never was is not called a success."""
        audience = destination.audience_list("buyers", "p1")
        answer = audience.send("add", self.some(destination, 1))
        audience.finish()
        self.settle(destination)
        if answer.state == "accepted":
            assert answer.request_id is not None
            assert destination.audience_list("buyers", "p2").ask(answer.request_id).state == "success"
        else:
            assert answer.state == "success"

    def test_nothing_raw_is_shown(
        self, destination: Destination, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """No identifier, in clear or as sent, is in logs, output, errors or what objects say of themselves."""
        identifiers = self.some(destination, 3)
        said: list[str] = []
        with caplog.at_level(logging.DEBUG):
            audience = destination.audience_list("buyers", "p1")
            said += [repr(destination), repr(audience), repr(audience.send("add", identifiers))]
            audience.finish()
            try:
                destination.audience_list("buyers", "p2").send("add", [*identifiers, Identifier("fax", "raw-fax")])
            except RefusedError as error:
                said.append("".join(traceback.format_exception_only(error)))
        shown = "".join([*said, caplog.text, *capfd.readouterr()])
        for identifier in (*identifiers, Identifier("fax", "raw-fax")):
            assert identifier.value not in shown

    # What it says when it is asked

    def test_looking_changes_nothing_and_shows_nobody(
        self,
        destination: Destination,
        ledger: PushLedger,
        caplog: pytest.LogCaptureFixture,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        """Whatever the doctor, `push status --ask` and a dry run ask: the list stays as it is, and nobody is named."""
        one, two = self.some(destination, 2)
        self.pushed(destination, "p1", Counter([one]), ledger)
        said: list[str] = []
        with caplog.at_level(logging.DEBUG):
            for segment in ("buyers", "never-pushed"):
                with suppress(MicroconvError):
                    for finding in destination.examine([segment]):
                        assert finding.message
                        assert finding.severity in SEVERITIES
                        said.append(repr(finding))
                with suppress(MicroconvError):
                    facts = destination.list_facts(segment)
                    said.append(repr(facts))
                    assert facts is None or facts.members is None or facts.members >= 0
                    assert facts is None or facts.match_rate is None or 0 <= facts.match_rate <= 1
            asked: tuple[tuple[Operation, Identifier], ...] = (("add", two), ("remove", one))
            for operation, identifier in asked:
                try:
                    answer = destination.validate("buyers", operation, [identifier])
                except (RefusedError, TryLaterError, UnsureError) as error:
                    said.append(str(error))
                else:
                    said.append(repr(answer))
        self.settle(destination)
        assert self.listed(destination, "buyers") == {one}
        shown = "".join([*said, caplog.text, *capfd.readouterr()])
        assert not any(each.value in shown for each in (one, two))

    def test_two_segments_have_two_places(self, destination: Destination) -> None:
        """What it tells lists apart by is not the same for two segments."""
        assert destination.list_place("buyers") != destination.list_place("carts")
        assert destination.list_place("buyers") == destination.list_place("buyers")

    # Faults

    def test_after_any_faults_the_list_is_what_is_wanted(self, destination: Destination) -> None:
        """Random schedules of lost requests and answers, refusals and kills, with people who come, go and refuse."""
        count, first = self.schedules
        for seed in range(first, first + count):
            segment = f"segment-{seed}"

            def audience_list(push_id: str, segment: str = segment) -> AudienceList:
                return destination.audience_list(segment, push_id)

            def listed(segment: str = segment) -> set[Identifier]:
                return self.listed(destination, segment)

            identifiers = self.some(destination, 8)
            wrong = wrong_lists(
                seed, identifiers, audience_list, listed, lambda: self.settle(destination), segment=segment
            )
            assert wrong == []


def _clear(kind: str, text: str) -> str:
    return {"email": f"{text}@shop.example", "phone": f"+4930{int(text.removeprefix('person')):07d}"}.get(kind, text)


def _duckdb(ledger: PushLedger) -> DuckDBEngine:
    assert isinstance(ledger.engine, DuckDBEngine)
    return ledger.engine
