"""Asking platforms what became of requests, perhaps until there is an answer to all."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from microconv import wording
from microconv.activation.push.audience_list import FINAL
from microconv.activation.push.list_push import ListPush
from microconv.activation.push.push_ledger import LedgerBatch
from microconv.activation.push.sending import Deadline

_SHORTEST_PAUSE, _LONGEST_PAUSE = 2.0, 60.0


def polled(
    pushes: Sequence[ListPush],
    deadline: Deadline,
    sleep: Callable[[float], None],
    *,
    wait: bool,
    on_wait: Callable[[int], None],
) -> tuple[tuple[LedgerBatch, ...], str]:
    """Ask what became of the requests of some lists or conversions.

    Args:
        pushes: Those that are asked about.
        deadline: When asking ends.
        sleep: Waits for seconds.
        wait: Ask again, with longer and longer pauses, until there is an answer to all.
        on_wait: Is told how many requests are without an answer, before each pause.

    Returns:
        The requests as they are now, and in a sentence how many have an answer.
    """
    asked: dict[str, LedgerBatch] = {}
    pause = _SHORTEST_PAUSE
    while True:
        for push in pushes:
            asked |= {each.batch_id: each for each in push.poll() if each.state in ("accepted", *FINAL)}
        waiting = sum(each.state == "accepted" for each in asked.values())
        if not waiting or not wait or deadline.is_before(pause):
            break
        on_wait(waiting)
        sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
    said = (
        f"{wording.count(len(asked) - waiting)} of {wording.plural(len(asked), 'request')} have an answer; "
        f"{wording.count(waiting)} are still being worked on."
    )
    return tuple(asked.values()), said
