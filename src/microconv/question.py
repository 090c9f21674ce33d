"""The contract of everything that can be asked of the staged tables.

A question is a frozen section whose fields are the options of its command, the JSON that is kept with a saved result,
and the rows of its documentation. `catalogue.py` lists the questions; the rest is derived from there.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from pydantic import ValidationError

from microconv.config.occurrences import Section
from microconv.config.problems import explain
from microconv.config.sections import Config, Period
from microconv.engines.base import Engine
from microconv.errors import EngineError, FindingsError, MicroconvError, UsageError
from microconv.queries import templates
from microconv.queries.templates import Query, Value
from microconv.result import Result
from microconv.staging import properties
from microconv.staging.properties import Property
from microconv.taxonomy import Taxonomy

if TYPE_CHECKING:
    import pyarrow as pa


SectionT = TypeVar("SectionT", bound=Section)


@dataclass(frozen=True)
class Option:
    """How a field of a question is asked for on the command line, where its name and type do not say it.

    Attributes:
        name: The option (`--model`), where it is not the field's name.
        metavar: What stands for the value in the help text.
        parse: Reads the text into what the field takes; UsageError says what is wrong with it.
        is_argument: Whether it is given by its place.
        is_hidden: Whether only configuration and Python give it.
    """

    name: str | None = None
    metavar: str | None = None
    parse: Callable[[str], Any] | None = None
    is_argument: bool = False
    is_hidden: bool = False


HIDDEN = Option(is_hidden=True)
"""A field that the command line does not ask for."""


@dataclass(frozen=True)
class _LookedUp:
    """A query that has run."""

    query: Query
    table: pa.Table

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        return self.table.to_pylist()  # type: ignore[no-any-return]  # ships no types


@dataclass(frozen=True)
class Context:
    """What a question is asked within.

    Without an engine only the SQL is wanted: look-ups find nothing, and queries hold an example of what they depend on.
    """

    config: Config
    taxonomy: Taxonomy
    open_engine: Callable[[], Engine] | None = None
    _found: list[_LookedUp] = field(default_factory=list)

    @property
    def engine(self) -> Engine:
        """The engine, opened when it is needed: a mistake in a question is told without."""
        if self.open_engine is None:
            raise UsageError("Only the SQL of this question was asked for.", hint="Ask with an engine.")
        return self.open_engine()

    def look_up(self, query: Query) -> list[dict[str, Any]]:
        """Return the rows of a small query that other queries depend on; it runs once."""
        return self._once(query).rows

    def tables_of(self, question: Question) -> tuple[pa.Table, ...]:
        """Return the tables of another question that this one builds on; each of its queries runs once."""
        return tuple(self._once(each).table for each in question.queries(self))

    def _once(self, query: Query) -> _LookedUp:
        found = next((each for each in self._found if each.query == query), None)
        if found is None:
            found = _LookedUp(query, _nothing() if self.open_engine is None else self.engine.query(query))
            self._found.append(found)
        return found

    @property
    def looked_up(self) -> tuple[Query, ...]:
        """The queries that others depended on."""
        return tuple(each.query for each in self._found)

    @cached_property
    def latest_event_at(self) -> datetime | None:
        """When the latest staged event happened (UTC); None when nothing is staged, an example without an engine."""
        import pyarrow as pa

        found = self._once(templates.query("operations/latest_event")).table
        if not found.num_rows:
            return templates.EXAMPLE_MOMENT
        # To make a moment of a zone, pyarrow loads pandas, which takes longer than many a question.
        moment: datetime | None = found.column("latest_event_at")[0].cast(pa.timestamp("us")).as_py()
        return None if moment is None else moment.replace(tzinfo=UTC)


class Question(Section):
    """One thing that can be asked of the staged tables."""

    options: ClassVar[Mapping[str, Option]] = {}
    """How its fields are asked for, where their names and types do not say it."""
    configured: ClassVar[tuple[str, ...]] = ()
    """Fields whose default is what the configuration says."""
    examples: ClassVar[tuple[str, ...]] = ()
    """Command lines that ask it, without `microconv`."""
    in_report: ClassVar[bool] = True
    """Whether the report answers those that the configuration asks by itself."""

    @classmethod
    def of(cls, config: Config, taxonomy: Taxonomy) -> Iterator[Self]:  # noqa: ARG003 - others look at them
        """Yield the questions that a configuration asks by itself: by default one, with nothing given."""
        yield cls()

    @classmethod
    def asked(cls, config: Config, given: Mapping[str, Any]) -> Self:  # noqa: ARG003 - others lay it over a section
        """Return the question with these fields, laid over what the configuration says.

        Raises:
            UsageError: It cannot be asked so; the message names the field.
        """
        return section_of(cls, given)

    @property
    def about(self) -> str | None:
        """The part of the configuration that it is for (`funnel checkout`), if any."""
        return None

    def stop(self, result: Result) -> FindingsError | None:  # noqa: ARG002 - few stop anything
        """Return what must stop a pipeline that asked, if anything: raised once the result is shown."""
        return None

    def failure(self, query: Query, error: EngineError) -> MicroconvError:  # noqa: ARG002 - few know more
        """Return the error that a failed query is told as: one that names the key, where a key is the cause."""
        return error

    def properties(self) -> Collection[Property]:
        """Return the properties of occurrences that it reads."""
        return ()

    @abstractmethod
    def queries(self, context: Context) -> tuple[Query, ...]:
        """Return the queries whose rows are the answer."""

    @abstractmethod
    def result(self, tables: Sequence[pa.Table], context: Context) -> Result:
        """Make the answer of the rows of its queries, one table each."""


def ask(question: Question, context: Context) -> Result:
    """Run the queries of a question, and return its answer.

    Raises:
        TaxonomyError: It names a micro-conversion that the taxonomy does not have.
        UsageError: It cannot be asked so.
        ConfigError: It reads a property that is not carried.
        SourceError: A property that it reads is not staged yet.
        EngineError: The engine failed.
    """
    context.taxonomy.check_names(question.named())
    queries = question.queries(context)
    lacking = properties.check(context.engine, question.properties(), context.config, context.taxonomy)
    result = question.result([_rows(question, each, context.engine) for each in queries], context)
    if lacking:
        return replace(result, assumptions=(*result.assumptions, *lacking))  # type: ignore[type-var]  # a dataclass
    return result


def _nothing() -> pa.Table:
    import pyarrow as pa

    return pa.table({})


def _rows(question: Question, query: Query, engine: Engine) -> pa.Table:
    try:
        return engine.query(query)
    except EngineError as error:
        raise question.failure(query, error) from error


def days(period: Period) -> dict[str, Value]:
    """Return the parameters `first_date` and `last_date` of a template that looks at some days."""
    return {"first_date": period.since, "last_date": period.until}


def section_of(kind: type[SectionT], document: Mapping[str, Any]) -> SectionT:
    """Make a section; UsageError names what is wrong with it."""
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        problems = explain(error.errors(), model=kind, text="", document=document, overrides=())
        raise UsageError(
            f"That cannot be asked: {'; '.join(problems)}.", hint="See the command's --help, and docs/analyses.md."
        ) from None


def overlay(section: Section, given: Mapping[str, Any], *, exclusive: Collection[str] = ()) -> dict[str, Any]:
    """Return the keys of a section of the configuration with others laid over them.

    `exclusive` names keys of which only one may stay: one that is given drops the others.
    """
    kept = section.model_dump(exclude_unset=True)
    if any(key in given for key in exclusive):
        kept = {key: value for key, value in kept.items() if key not in exclusive}
    return {**kept, **given}


def day_of(text: str) -> date:
    """Read a day as options take it; UsageError when it is not one."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is not a day.", hint="Write days as in 2024-02-29.") from None
