"""microconv beside other tools on the same rows: the answers are compared, then what they cost in the same rounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import environment
from benchmarks.measure import Reading, in_turn, run_in, run_step
from benchmarks.suites import Figure, Row, Setting, row
from benchmarks.synthetic import FUNNELS, WINDOWS_DAYS

THREADS = 2
FUNNEL_DAYS = 7
HALF_LIFE_DAYS = 7

Run = Callable[[], Reading]


@dataclass(frozen=True)
class Contest:
    """The rows that all read, and the environment of the other tools."""

    folder: Path
    rounds: int
    python: Path

    def funnel(self, name: str) -> Run:
        return partial(run_step, "funnel", **self._database, name=name)

    def rules(self) -> Run:
        return partial(run_step, "rules", **self._database)

    def markov_and_shapley(self) -> Run:
        return partial(run_step, "markov_and_shapley", folder=self.folder)

    def other(self, step: str, **arguments: object) -> Run:
        given = {"folder": self.folder, **arguments}
        return partial(run_in, self.python, "benchmarks.others", step, given, {"POLARS_MAX_THREADS": str(THREADS)})

    def chdb(self, name: str, mode: str = "") -> Run:
        return self.other("chdb_funnel", steps=FUNNELS[name], window_days=FUNNEL_DAYS, threads=THREADS, mode=mode)

    def between(self, ours: Run, theirs: Run) -> Sequence[Reading]:
        """Take turns; return our median and theirs."""
        return tuple(in_turn({"ours": ours, "theirs": theirs}, self.rounds).values())

    @property
    def _database(self) -> Mapping[str, Path]:
        return {"config": self.folder / "synthetic.toml", "database": self.folder / "synthetic.duckdb"}


def beside(setting: Setting) -> Iterator[Row]:
    """Funnel, rule models, Markov and Shapley, each against the tool that people would take for it."""
    folder = setting.input.folder / "beside"
    folder.mkdir()
    events = setting.sizes[-1]
    run_step("make_up", folder=folder, events=events)
    yield Row("beside", f"made-up rows of {events:,} events")
    others = environment.make()
    contest = Contest(folder, setting.rounds, others.python)
    for tool, compare in COMPARISONS.items():
        if tool in others.missing:
            yield Row("beside", f"no {tool}: {others.missing[tool]}")
        else:
            yield from compare(contest)


def _chdb(contest: Contest) -> Iterator[Row]:
    ours, theirs = contest.between(contest.funnel("plain"), contest.chdb("plain"))
    apart = max(abs(a - b) for a, b in zip(ours.facts["reached"], theirs.facts["reached"], strict=True))
    yield _row("chdb windowFunnel, 5 steps", theirs)
    yield _row("funnel, 5 steps", ours, Figure(ours.cpu / theirs.cpu, "x chdb", 1.5))
    yield _check("counts", Figure(apart, "actors apart", 0))
    for name, mode in (("two_at_once", "default"), ("repeated", "default"), ("repeated", "strict_increase")):
        exact, theirs = contest.funnel(name)(), contest.chdb(name, mode.removeprefix("default"))()
        off = theirs.facts["reached"][-1] / exact.facts["reached"][-1] - 1
        yield _check(f"chdb, funnel {name}, {mode}", Figure(100 * off, "% off"))


def _polars(contest: Contest) -> Iterator[Row]:
    polars = contest.other("polars_rules", windows_days=WINDOWS_DAYS, half_life_days=HALF_LIFE_DAYS, threads=THREADS)
    ours, theirs = contest.between(contest.rules(), polars)
    yield _row("polars, 6 rules, 3 windows", theirs)
    yield _row("rule models", ours, _faster(ours.cpu, theirs, 2))
    for what in ("credit", "value"):
        apart = _apart(_by_name(ours, what), _by_name(theirs, what))
        yield _check(what, Figure(apart, "relative", 1e-6))


def _by_name(reading: Reading, what: str) -> dict[str, float]:
    return {f"{each['model']} {each['window']} {each['touchpoint']}": each[what] for each in reading.facts["credits"]}


def _channel_attribution(contest: Contest) -> Iterator[Row]:
    ours, theirs = contest.between(contest.markov_and_shapley(), contest.other("channel_attribution"))
    cpu = ours.parts["reading paths"] + ours.parts["markov"]
    yield _row("ChannelAttribution, Markov", theirs)
    yield Row("beside", "Markov", cpu, figure=_faster(cpu, theirs, 4))
    apart = _apart(ours.facts["removal_effects"], theirs.facts["removal_effects"])
    yield _check("its chain, solved", Figure(apart, "relative", 1e-6))
    apart = _apart(ours.facts["conversions"], theirs.facts["conversions"])
    yield _check("its credits, simulated", Figure(100 * apart, "% off"))


def _mam(contest: Contest) -> Iterator[Row]:
    ours, theirs = contest.between(contest.markov_and_shapley(), contest.other("mam"))
    yield _row("marketing-attribution-models", theirs)
    yield _row("Markov and Shapley", ours, _faster(ours.cpu, theirs, 4))
    for part, cpu in ours.parts.items():
        yield Row("beside", f"  of it {part}", cpu, figure=Figure(theirs.parts[part] / cpu, "x faster"))
    # Not of Shapley: its game lets credit turn negative, ours does not.
    apart = _apart(ours.facts["removal_effects"], theirs.facts["removal_effects"])
    yield _check("removal_effects", Figure(apart, "relative", 1e-6))


COMPARISONS = {"chdb": _chdb, "polars": _polars, "ChannelAttribution": _channel_attribution, "mam": _mam}


def _row(name: str, reading: Reading, figure: Figure | None = None) -> Row:
    return row("beside", name, reading, figure)


def _check(name: str, figure: Figure) -> Row:
    return Row("beside", f"  {name}", figure=figure)


def _faster(cpu: float, theirs: Reading, goal: float) -> Figure:
    return Figure(theirs.cpu / cpu, "x faster", goal, at_least=True)


def _apart(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> float:
    """Return the largest difference, as a share of the largest figure; what only one of them names counts as 0."""
    names = ours.keys() | theirs.keys()
    return max(abs(ours.get(name, 0) - theirs.get(name, 0)) for name in names) / max(theirs.values())
