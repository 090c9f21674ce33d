"""How requests leave: rates, waits that were asked for, an end."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count, pairwise

import pytest

from microconv.activation.push.audience_list import (
    Answer,
    Identifier,
    ListLimits,
    Operation,
    RefusedError,
    TryLaterError,
    UnsureError,
)
from microconv.activation.push.sending import Deadline, Rates, Sending
from microconv.errors import DestinationError

ONE = [Identifier("email", "a")]


@dataclass
class Clock:
    seconds: float = 0.0
    slept: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds


@dataclass
class PlannedList:
    """Answers as it was told, then with success."""

    clock: Clock
    answers: list[Exception] = field(default_factory=list)
    rate: int | None = None
    at: list[float] = field(default_factory=list)

    @property
    def limits(self) -> ListLimits:
        return ListLimits(10, timedelta(0), timedelta(days=1), requests_per_minute=self.rate)

    def send(self, _operation: Operation, _identifiers: Sequence[Identifier], /) -> Answer:
        self.at.append(self.clock.seconds)
        if self.answers:
            raise self.answers.pop(0)
        return Answer("success")

    def finish(self) -> None:
        """Do nothing."""

    def ask(self, _request_id: str, /) -> Answer:
        raise TryLaterError("busy")

    def now(self) -> datetime | None:
        return None


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sending(clock: Clock) -> Callable[..., tuple[Sending, PlannedList]]:
    def make(*answers: Exception, rate: int | None = None, deadline: float = 600) -> tuple[Sending, PlannedList]:
        planned = PlannedList(clock, list(answers), rate)
        made = Sending(
            planned, Deadline(deadline, clock.monotonic), clock.monotonic, clock.sleep, chance=random.Random(1)
        )
        return made, planned

    return make


def send(made: Sending) -> Answer:
    """Send a request as a push does."""
    for times in count(1):
        made.await_turn("carts at crm")
        try:
            return made.send("add", ONE)
        except TryLaterError as error:
            if not made.wait_for(error, times):
                raise
    raise AssertionError


def test_a_wait_that_was_asked_for_is_kept(sending):
    made, planned = sending(TryLaterError("429", retry_after=timedelta(seconds=17)))
    assert send(made).state == "success"
    assert planned.at == [0.0, 17.0]


def test_waits_that_nobody_asked_for_grow(clock, sending):
    made, planned = sending(*(TryLaterError("503") for _ in range(8)))
    send(made)
    assert len(planned.at) == 9
    assert all(1 <= wait <= 60 for wait in clock.slept)
    assert sum(clock.slept[4:]) > sum(clock.slept[:4])


def test_nobody_waits_beyond_the_deadline(clock, sending):
    made, planned = sending(TryLaterError("429", retry_after=timedelta(hours=1)), deadline=60)
    with pytest.raises(TryLaterError):
        send(made)
    assert (len(planned.at), clock.slept) == (1, [])


@pytest.mark.parametrize("error", [UnsureError("reset"), RefusedError("quota")])
def test_what_may_have_taken_effect_or_was_refused_is_not_sent_again(sending, error):
    made, planned = sending(error)
    with pytest.raises(type(error)):
        made.send("add", ONE)
    assert len(planned.at) == 1


def test_no_more_leave_in_a_minute_than_the_destination_takes(sending):
    made, planned = sending(rate=60)
    for _ in range(200):
        send(made)
    within = [sum(start <= at < start + 60 for at in planned.at) for start in planned.at]
    assert max(within) <= 60 + 6
    assert all(later >= earlier for earlier, later in pairwise(planned.at))
    assert planned.at[-1] == pytest.approx(200 - 6, abs=2)


def test_a_destination_that_is_down_is_left_alone(sending):
    made, _ = sending(*(UnsureError("no answer") for _ in range(5)))
    for _ in range(5):
        made.await_turn("carts at crm")
        with pytest.raises(UnsureError):
            made.send("add", ONE)
    with pytest.raises(DestinationError, match="5 requests in a row were not answered"):
        made.await_turn("carts at crm")


def test_an_answer_in_between_counts(sending):
    made, _ = sending(*(UnsureError("no answer") for _ in range(4)))
    for _ in range(4):
        with pytest.raises(UnsureError):
            made.send("add", ONE)
    made.send("add", ONE)
    made.await_turn("carts at crm")


def test_no_request_leaves_after_the_deadline(clock, sending):
    made, _ = sending(deadline=1800)
    made.await_turn("carts at crm")
    clock.seconds = 1801
    with pytest.raises(DestinationError, match=r"not done within 30 minutes \(push.deadline\)"):
        made.await_turn("carts at crm")


def test_who_is_too_busy_to_say_has_not_said(sending):
    made, _ = sending()
    with pytest.raises(UnsureError):
        made.ask("r1")


def test_lists_of_a_destination_share_its_rate_and_asking_is_counted_apart(clock):
    rates = Rates.of(PlannedList(clock, [], 60).limits, clock.monotonic, clock.sleep)
    deadline = Deadline(600, clock.monotonic)
    lists = [PlannedList(clock, [], 60) for _ in range(2)]
    made = [Sending(each, deadline, clock.monotonic, clock.sleep, rates=rates) for each in lists]
    for number in range(40):
        made[number % 2].await_turn("carts at crm")
        made[number % 2].send("add", ONE)
    assert clock.seconds == pytest.approx(34)  # a tenth of 60 at once, then one a second
    for number in range(40):
        with pytest.raises(UnsureError):
            made[number % 2].ask("r1")
    assert clock.seconds == pytest.approx(68)
