"""Training and scoring in one project: each holds the run lock, and looks at the data as they are."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime

from microconv.analyses.propensity.model_card import PropensityResult, card
from microconv.analyses.propensity.scoring import ScoresResult, recent_rate, score
from microconv.analyses.propensity.training import DEFAULT_WINDOW, train
from microconv.config.values import Duration
from microconv.engines.base import Engine
from microconv.errors import FindingsError
from microconv.taxonomy import Taxonomy

Progress = Callable[[int, int, str], None]


def _untold(_done: int, _total: int, _step: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class PropensityModels:
    """The models of one project.

    Attributes:
        running: Holds the run lock, and gives the engine and the id of the run.
        taxonomy: The taxonomy that the tables were staged with.
        latest: Gives the moment of the latest staged event.
        clock: Gives the current time.
    """

    running: Callable[[], AbstractContextManager[tuple[Engine, str]]]
    taxonomy: Taxonomy
    latest: Callable[[], datetime]
    clock: Callable[[], datetime] = lambda: datetime.now(tz=UTC)

    def train(
        self, goal: str | None = None, window: Duration | str = DEFAULT_WINDOW, *, on_progress: Progress = _untold
    ) -> PropensityResult:
        """Train a model of a goal, and return its card; see `microconv.analyses.propensity.training.train`.

        A model that is refused is kept as one, and `refusal` says so.

        Raises:
            UsageError: The window is not a length of time.
            TaxonomyError: The taxonomy has no such goal.
            FindingsError: There are too few data.
            LockedError: Another run holds the lock.
        """
        asked = window if isinstance(window, Duration) else Duration.parse(window)
        now = self.clock()
        as_of = min(self.latest(), now)
        with self.running() as (engine, run_id):
            model = train(
                engine,
                self.taxonomy,
                goal=goal,
                window=asked,
                as_of=as_of,
                model_id=run_id,
                now=now,
                on_progress=on_progress,
            )
            return card(model, None, recent_rate(engine, model, as_of))

    def score(self, goal: str | None = None, *, on_progress: Progress = _untold) -> ScoresResult:
        """Score actors by the model of a goal trained last; see `microconv.analyses.propensity.scoring.score`.

        Raises:
            TaxonomyError: The taxonomy has no such goal.
            SourceError: No model was trained.
            FindingsError: The model was refused, or the data drifted.
            LockedError: Another run holds the lock.
        """
        as_of = min(self.latest(), self.clock())
        with self.running() as (engine, _):
            return score(engine, self.taxonomy, goal=goal, as_of=as_of, on_progress=on_progress)


def refusal(result: PropensityResult) -> FindingsError | None:
    """Return the error that a refused model is told as; None for an accepted one."""
    if result.status == "refused":
        return FindingsError(
            result.sentence,
            hint="It scores nobody. Stage more days, or ask for another --goal or --window.",
        )
    return None
