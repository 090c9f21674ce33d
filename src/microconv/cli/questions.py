"""The commands that answer questions, made from the catalogue: options, help, tables, charts, CSV, kept results."""

from __future__ import annotations

import re
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from inspect import getdoc
from typing import Any, Literal, Union, get_args, get_origin

import click
from pydantic.fields import FieldInfo

from microconv import catalogue
from microconv.cli import output
from microconv.cli.context import CommandContext
from microconv.cli.moment import moment
from microconv.errors import UsageError
from microconv.question import Option, Question

_OF_EVERY_QUESTION = ("output_format", "with_chart", "is_saved")


@dataclass(frozen=True)
class _Asker:
    """One question of a command: the option that picks it, with the value it must have (None: any)."""

    name: str
    kind: type[Question]
    picker: str | None
    value: str | None

    @property
    def fields(self) -> dict[str, FieldInfo]:
        """The fields that the command line asks for."""
        options = self.kind.options
        return {
            name: field for name, field in self.kind.model_fields.items() if not options.get(name, Option()).is_hidden
        }

    def option(self, field: str) -> Option:
        """How a field is asked for."""
        return self.kind.options.get(field, Option())

    def flag(self, field: str) -> str:
        """The option of a field, such as `--step-window`."""
        return self.option(field).name or f"--{field.strip('_').replace('_', '-')}"

    def takes(self, flag: str) -> bool:
        """Whether an option is one of its own."""
        return any(self.flag(field) == flag for field in self.fields)


def command(name: str) -> click.Command:
    """Make the command of that name in the catalogue, such as `lift`, or `experiment read` for a group."""
    askers = [_asker(question, line) for question, line in catalogue.by_command()[name].items()]
    first = askers[0]

    def run(context: CommandContext, /, *, output_format: str, with_chart: bool, is_saved: bool, **given: Any) -> None:  # noqa: ANN401 - as Click gives them
        output.check_chart(output_format, with_chart=with_chart)
        asker = _picked(askers, given)
        with context.project() as project:
            question = asker.kind.asked(project.config, _fields(asker, askers, given))
            result = project.answer(question)
            output.answer(result, output_format, with_chart=with_chart)
            if is_saved:
                saved = project.save(question, result)
                table = f"mc_result_{asker.name}"
                output.Log(context.log_format).info(f"Saved as {saved} in {table}.", result_id=saved, table=table)
        if (stop := question.stop(result)) is not None:
            raise stop

    examples = "\n".join(f"  microconv {example}" for example in first.kind.examples)
    return click.Command(
        name.rpartition(" ")[2],
        params=[*_parameters(askers), *_answer_options()],
        callback=click.pass_obj(run),
        help=f"{_described(first.kind)}\n\n\b\nExamples:\n{examples}",
        short_help=catalogue.QUESTIONS[first.name].answers,
    )


def _asker(name: str, line: catalogue.Line) -> _Asker:
    picker, _, value = line.command.partition(" --")[2].partition(" ")
    return _Asker(name, catalogue.question_class(name), f"--{picker}" if picker else None, value or None)


def _described(kind: type[Question]) -> str:
    """Return what the docstring of a class says before it lists attributes."""
    return re.split(r"\n\n(?:Attributes|Examples):", getdoc(kind) or "")[0]


# Options


def _parameters(askers: Iterable[_Asker]) -> list[click.Parameter]:
    """Return the options of all questions of a command, each once."""
    askers = list(askers)
    made: dict[str, click.Parameter] = {}
    for asker in askers:
        for field, info in asker.fields.items():
            made.setdefault(asker.flag(field), _parameter(asker, field, info, _with_which(asker.flag(field), askers)))
    for asker in askers:
        if asker.picker and asker.picker not in made:
            made[asker.picker] = _picker([each for each in askers if each.picker == asker.picker])
    return list(made.values())


def _picker(askers: list[_Asker]) -> click.Option:
    """Make the option that picks a question without being one of its fields: a flag, or a choice of values."""
    names = [askers[0].picker or "", _destination(askers[0].picker)]
    answers = {asker.value: catalogue.QUESTIONS[asker.name].answers for asker in askers}
    if None in answers:
        return click.Option(names, is_flag=True, help=answers[None])
    choices = [value for value in answers if value]
    told = "; ".join(f"{value}: {answers[value].removesuffix('.')}" for value in choices)
    return click.Option(names, type=click.Choice(choices), help=f"What is asked. {told}.  [default: {choices[0]}]")


def _with_which(flag: str, askers: list[_Asker]) -> str:
    """Say which of the questions of a command take an option; nothing where all do, or where it picks one of them."""
    takers = [asker for asker in askers if asker.takes(flag)]
    if len(takers) == len(askers) or any(asker.picker == flag for asker in askers):
        return ""
    if all(asker.picker for asker in takers):
        return f" Only with {_picks(takers)}."
    others = [asker for asker in askers if asker not in takers]
    return f" Not with {_picks(others)}." if all(asker.picker for asker in others) else ""


def _picks(askers: Iterable[_Asker]) -> str:
    """Name what picks questions, such as `--show times or weeks`, `--by or --drop-off`."""
    values: dict[str, list[str]] = {}
    for asker in askers:
        values.setdefault(asker.picker or "no other", []).extend([asker.value] if asker.value else [])
    return _either(f"{picker} {_either(each)}" if each else picker for picker, each in values.items())


def _either(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def _destination(flag: str | None) -> str:
    return "pick_" + (flag or "").strip("-").replace("-", "_")


def _parameter(asker: _Asker, field: str, info: FieldInfo, with_which: str) -> click.Parameter:
    option, (kind, is_list) = asker.option(field), _kind(info)
    is_list = is_list and option.parse is None
    if option.is_argument:
        return click.Argument([_name(field)], required=False, metavar=option.metavar or f"[{field.upper()}]")
    help_text = (info.description or "").strip()
    help_text = f"{help_text[:1].upper()}{help_text[1:].removesuffix('.')}."
    flags = [asker.flag(field), _name(field)]
    if is_list:
        help_text = f"{help_text.removesuffix('.')}; repeatable."
    help_text += with_which
    if kind is bool:
        return click.Option(flags, is_flag=True, help=help_text)
    is_picker = asker.flag(field) == asker.picker  # without it another question is asked
    if (
        not info.is_required()
        and info.default not in (None, ())
        and field not in asker.kind.configured
        and not is_picker
    ):
        help_text += f"  [default: {_as_given(info.default)}]"
    metavar = option.metavar or {date: "DAY", datetime: "MOMENT"}.get(kind)
    return click.Option(flags, type=_type(kind, info, option), metavar=metavar, multiple=is_list, help=help_text)


def _as_given(default: object) -> str:
    """Write a default as it would be given; several with commas."""
    return ", ".join(map(str, default)) if isinstance(default, (tuple, list)) else str(default)


def _name(field: str) -> str:
    return f"field_{field}"


def _kind(info: FieldInfo) -> tuple[Any, bool]:
    """Return the type of one value of a field, and whether it takes several."""
    kinds = [info.annotation]
    if get_origin(info.annotation) in (Union, types.UnionType):
        kinds = [each for each in get_args(info.annotation) if each is not types.NoneType]
    kind = kinds[0]
    is_list = get_origin(kind) is tuple
    return (get_args(kind)[0] if is_list else kind), is_list


def _type(kind: Any, info: FieldInfo, option: Option) -> Any:  # noqa: ANN401 - a type as pydantic keeps it
    if option.parse is not None:
        return click.STRING
    if get_origin(kind) is Literal:
        return click.Choice([str(each) for each in get_args(kind)])
    if kind is int:
        bounds = {type(each).__name__: each for each in info.metadata}
        low, high = (getattr(bounds.get(name), name.lower(), None) for name in ("Ge", "Le"))
        return click.IntRange(low, high)
    return {float: click.FLOAT, date: click.DateTime(["%Y-%m-%d"])}.get(kind, click.STRING)


def _answer_options() -> list[click.Parameter]:
    return [
        click.Option(["--format", "output_format"], **output.ANSWER_FORMAT),
        click.Option(["--chart", "with_chart"], is_flag=True, help="Draw a bar chart below the tables."),
        click.Option(
            ["--save", "is_saved"], is_flag=True, help="Keep the rows and their assumptions in a table mc_result_…."
        ),
    ]


# What was given


def _is_given(value: object) -> bool:
    return value is not None and value is not False and value != ()  # 0 is given


def _picked(askers: list[_Asker], given: Mapping[str, Any]) -> _Asker:
    """Return the question that the options given ask.

    Raises:
        UsageError: They ask several.
    """

    def is_picked(asker: _Asker) -> bool:
        if asker.picker is None:
            return False
        for field in asker.fields:
            if asker.flag(field) == asker.picker:
                return _is_given(given.get(_name(field)))
        value = given.get(_destination(asker.picker))
        return value == asker.value if asker.value else _is_given(value)

    found = [asker for asker in askers if is_picked(asker)]
    if len(found) > 1:
        options = " and ".join(asker.picker or "" for asker in found)
        raise UsageError(f"{options} are different questions.", hint="Ask one, then the other.")
    return found[0] if found else askers[0]


def _fields(asker: _Asker, askers: list[_Asker], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that options were given for.

    Raises:
        UsageError: An option belongs to another question of the command.
    """
    own = asker.fields
    for other in askers:
        for field in other.fields:
            if field not in own and _is_given(given.get(_name(field))):
                takers = [each for each in askers if field in each.fields]
                raise UsageError(f"{other.flag(field)} goes with {_picks(takers)}.", hint="Leave it out.")
    return {
        field: _value(asker.option(field), info, given[_name(field)])
        for field, info in own.items()
        if _is_given(given.get(_name(field)))
    }


def _value(option: Option, info: FieldInfo, value: Any) -> Any:  # noqa: ANN401 - whatever the option takes
    kind, is_list = _kind(info)
    if option.parse is not None:
        return option.parse(value)
    if is_list:
        return list(value)
    if kind is date:
        return value.date()
    return moment(value) if kind is datetime else value
