"""What every question of the catalogue must do; a new line there is tested here without a word more.

That both engines answer it alike: bigquery/test_two_engines.py. That it is documented: test_docs.py.
"""

from __future__ import annotations

import csv
import io
import json
import shlex
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields, is_dataclass
from functools import cache
from itertools import combinations, takewhile
from pathlib import Path
from typing import Any, get_type_hints

import click
import pytest
from click.testing import CliRunner
from click.testing import Result as Done

from commands import microconv
from every_question import ASKED, EVERY_QUESTION, FORMS, VARIANT
from microconv import wording
from microconv.analyses.saving import result_table
from microconv.catalogue import QUESTIONS, by_command, name_of, queries_of, question_class, questions_of
from microconv.cli import cli, output
from microconv.cli.output import shown
from microconv.config.load import load_config
from microconv.errors import SourceError, UsageError
from microconv.project import Project
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.question import Option, Question
from microconv.result import Result
from microconv.staging import batch_queries
from microconv.taxonomy import load_taxonomy
from microconv.wording import Heading
from projects import write_config
from staged_rows import DAY, SECOND, Row, at, occurrence, session, shard, staged

STEPS = ("view_item", "add_to_cart", "begin_checkout", "purchase")
CHANNELS = ("Direct", "Email", "Paid Search")
TABLES = ("mc_shards", "mc_events", "mc_sessions", "mc_micro_conversions")

AMOUNTS = (wording.count, wording.share, wording.decimal, wording.cents, wording.elapsed)

each_name = pytest.mark.parametrize("name", QUESTIONS)
each_command = pytest.mark.parametrize("command", by_command())
each_question = pytest.mark.parametrize("key", EVERY_QUESTION)


def rows_of_three_days(
    channels: Sequence[str] = CHANNELS, pages: Sequence[str] = ("0", "1"), **of_sessions: str
) -> dict[str, list[Row]]:
    """Nine actors who come on three days and take from none to all of the steps, two to a page; most then waver."""
    rows: dict[str, list[Row]] = {name: [] for name in TABLES}
    rows["mc_shards"] = [shard(number, events=30, carried_columns=VARIANT.name) for number in (1, 2, 3)]
    for actor in range(1, 10):
        for visit in range(3):
            start, key, channel = visit * DAY + actor * 100 * SECOND, actor * 10 + visit, channels[(actor + visit) % 3]
            facts = {
                "user_id": f"u{actor}" if actor % 2 else None,
                "source": channel.lower(),
                "medium": "any",
                "is_engaged": True,
                "page_views": 2,
                **of_sessions,
            }
            days = {"session_date": at(start).date(), "last_event_date": at(start).date()}
            rows["mc_sessions"].append(session(start, key, channel, actor=actor, **days, **facts))
            for place, step in enumerate(STEPS[: (actor + visit) % 5]):
                value = 9.5 if step == "purchase" else None
                taken = occurrence(
                    start + place * 60 * SECOND,
                    step,
                    client=actor,
                    session_key=key,
                    page=f"/{pages[place // 2]}",
                    value=value,
                )
                rows["mc_micro_conversions"].append(taken)
                same = {name: taken[name] for name in ("property", "event_date", "event_at", "event_order")}
                address = f"https://shop.example/{pages[place // 2]}"
                viewed = {"event_name": "page_view", "client_key": actor, "session_key": key, "page_location": address}
                viewed[VARIANT.name] = ("old", "new")[actor % 2]
                rows["mc_events"].append(same | viewed)
            if (actor + visit) % 5 > 1:
                late = start + 9 * 60 * SECOND
                rows["mc_micro_conversions"].append(
                    occurrence(late, "remove_from_cart", client=actor, session_key=key, page="/0")
                )
    return rows


def opened(folder: Path, **rows: list[Row]) -> Project:
    config = write_config(folder, extra=ASKED)
    staged(folder / "microconv.duckdb", carried=(VARIANT,), **rows).close()
    return Project(load_config(config, {}))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with opened(tmp_path_factory.mktemp("catalogue"), **rows_of_three_days()) as project:
        yield project


@pytest.fixture(scope="module")
def empty_project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with opened(tmp_path_factory.mktemp("empty")) as project:
        yield project


@pytest.fixture(scope="module")
def answers(project: Project) -> Any:
    return cache(lambda key: project.answer(EVERY_QUESTION[key]))


# A line of the catalogue


@each_name
def test_question_knows_its_name_and_describes_its_options(name: str):
    kind = question_class(name)

    assert issubclass(kind, Question)
    assert name_of(kind.model_construct()) == name
    assert set(kind.options) <= set(kind.model_fields)
    assert set(kind.configured) <= set(kind.model_fields)
    assert kind.__doc__
    assert QUESTIONS[name].answers.endswith(".")


def test_unknown_question_names_those_that_there_are():
    with pytest.raises(UsageError, match="There is no question 'funel'") as caught:
        question_class("funel")
    assert "funnel_breakdown" in caught.value.hint


@each_name
def test_configuration_asks_it_by_itself(name: str):
    assert f"{name}-1" in EVERY_QUESTION


def test_configuration_asks_about_every_funnel_segment_and_experiment_it_has(project: Project):
    about = {question.about for _, question in questions_of(project.config, project.taxonomy)}

    named = [
        *(f"funnel {each.name}" for each in project.config.funnels),
        *(f"segment {each.name}" for each in project.config.segments),
        *(f"experiment {each.name}" for each in project.config.experiments),
    ]
    assert set(named) <= about


# A question and its answer


@each_question
def test_question_survives_being_kept_as_json(key: str):
    question = EVERY_QUESTION[key]

    assert type(question).model_validate_json(question.model_dump_json()) == question


@each_question
def test_answer_is_rows_a_sentence_and_what_it_rests_on(key: str, answers: Any):
    result: Result = answers(key)

    assert result.rows
    assert all(type(row) is result.row_type for row in result.rows)
    assert result.sentence.endswith((".", "!"))
    assert result.assumptions
    assert all(each.endswith(".") for each in result.assumptions)
    assert len(set(result.assumptions)) == len(result.assumptions)


@each_question
def test_columns_are_labelled_and_of_types_that_can_be_kept(key: str, answers: Any):
    row_type = answers(key).row_type

    assert is_dataclass(row_type)
    headings = [each.metadata.get("heading") for each in fields(row_type)]
    assert all(isinstance(each, Heading) and each.label for each in headings)
    assert len({each.label for each in headings}) == len(headings)
    assert set(get_type_hints(row_type)) >= {each.name for each in fields(row_type)}


@each_question
def test_answer_is_the_same_twice(key: str, project: Project, answers: Any):
    assert project.answer(EVERY_QUESTION[key]) == answers(key)


@each_question
def test_json_csv_and_frame_say_the_same(key: str, answers: Any):
    result = answers(key)
    document = json.loads(json.dumps(result.document(), allow_nan=False))
    names = [each.name for each in fields(result.row_type)]
    lines = list(csv.reader(io.StringIO(result.csv())))

    assert {"sentence", "assumptions"} <= set(document)
    assert lines[0] == names
    assert lines[1:] == [["" if value is None else str(value) for value in asdict(row).values()] for row in result.rows]
    assert list(result.to_pandas().columns) == names
    assert len(result.to_pandas()) == len(result.rows)


@each_question
def test_people_read_tables_with_a_cell_for_each_heading_and_labelled_bars(key: str, answers: Any):
    parts = shown(answers(key))
    sheets = [part for part in parts if not isinstance(part, str)]

    # What holds for all rows, such as too few days, is told once, in the sentence.
    assert sheets or len({row.says for row in answers(key).rows}) == 1
    for sheet in sheets:
        assert sheet.title
        assert all(len(row) == len(sheet.headings) for row in sheet.cells())
    assert answers(key).sentence in parts
    assert all(bar.label and bar.note for bar in answers(key).bars())


@each_question
def test_nothing_staged_is_zeros_and_a_sentence(key: str, empty_project: Project):
    result = empty_project.answer(EVERY_QUESTION[key])

    assert json.dumps(result.document(), allow_nan=False)
    assert result.sentence.endswith(".")
    assert result.assumptions
    assert shown(result)
    amounts = [each.name for each in fields(result.row_type) if each.metadata["heading"].write in AMOUNTS]
    assert not any(getattr(row, name) for row in result.rows for name in amounts)


@each_name
def test_no_database_says_to_sync(name: str, tmp_path: Path):
    with (
        Project(load_config(write_config(tmp_path, extra=ASKED), {})) as project,
        pytest.raises(SourceError) as raised,
    ):
        project.answer(EVERY_QUESTION[f"{name}-1"])
    assert "sync" in raised.value.hint
    assert not (tmp_path / "microconv.duckdb").exists()


@each_question
def test_kept_rows_are_those_of_the_answer(key: str, project: Project, answers: Any):
    question, result = EVERY_QUESTION[key], answers(key)
    table = result_table(name_of(question), result.row_type)
    first, second = (project.save(question, result) for _ in range(2))
    columns = [each.name for each in fields(result.row_type)]
    kept = [row for row in kept_rows(project, table.name) if row["result_id"] == second]

    assert first != second
    assert [row["row_number"] for row in kept] == list(range(1, len(result.rows) + 1))
    assert [tuple(row[column] for column in columns) for row in kept] == [
        tuple(getattr(row, column) for column in columns) for row in result.rows
    ]
    assert {row["question"] for row in kept} == {question.model_dump_json()}
    assert all(json.loads(row["assumptions"]) == list(result.assumptions) for row in kept)


def kept_rows(project: Project, table: str) -> list[Row]:
    return project.engine.query(Query(table, f"SELECT r.* FROM `{table}` AS r ORDER BY r.row_number", {})).to_pylist()


@each_name
def test_its_sql_can_be_seen(name: str, project: Project):
    question = EVERY_QUESTION[f"{name}-1"]
    known = {query.name for _, query in queries_of(project.config, project.taxonomy)}

    asked = {query.name for query in question.queries(project.context)}
    assert asked
    assert asked <= known


OF_TABLES = """
[attribution]
spend_table = "spend"
[identity]
table = "identities"
[consent]
table = "consents"
[[external_events]]
name = "crm"
table = "crm"
"""


def test_every_template_is_asked_by_something(tmp_path: Path):
    with Project(load_config(write_config(tmp_path, extra=ASKED + OF_TABLES), {})) as project:
        known = {query.name for _, query in queries_of(project.config, project.taxonomy)}
        # Thresholds are in other presets than that of shops.
        saas = load_taxonomy(preset="saas", file=None)
        known |= {query.name for _, query in batch_queries.examples(project.config, saas)}

    assert set(templates.names()) == known


# The same from Python


@pytest.mark.parametrize(("name", "given"), FORMS)
def test_python_asks_by_name(name: str, given: dict[str, Any], project: Project):
    question = question_class(name).asked(project.config, given)

    assert project.ask(name, **given) == project.answer(question)


def test_python_asks_a_question_that_there_is(project: Project):
    with pytest.raises(UsageError, match="There is no question 'uplift'"):
        project.ask("uplift")


FUNNEL = "purchase_journey"
METHODS = {
    "coverage": (Project.coverage, {"since": "2024-03-02"}),
    "funnel": (Project.funnel, {"name": FUNNEL, "since": "2024-03-02", "segment": "cart_abandoners"}),
    "funnel_breakdown": (Project.funnel_breakdown, {"name": FUNNEL, "by": "channel_group", "top": 2}),
    "funnel_trend": (Project.funnel_trend, {"name": FUNNEL, "grain": "week"}),
    "funnel_times": (Project.funnel_times, {"name": FUNNEL, "pairs": [(1, 3)]}),
    "funnel_drop_off": (Project.funnel_drop_off, {"name": FUNNEL, "most_next": 2}),
    "funnel_comparison": (Project.compare_funnel, {"name": FUNNEL, "against": "2024-03-02..2024-03-03"}),
    "path_sequences": (Project.paths, {"to": "purchase", "length": 2}),
    "discover": (Project.discover, {"min_share": 0.2}),
    "attribution": (Project.attribution, {"models": ["linear"], "windows": ["1d"]}),
    "attribution_comparison": (Project.compare_attribution, {"models": ["first", "last"]}),
    "channels": (Project.channels, {"until": "2024-03-02"}),
}


@pytest.mark.parametrize("name", METHODS)
def test_named_method_asks_the_question_with_what_it_is_given(name: str, project: Project):
    method, given = METHODS[name]

    assert method(project, **given) == project.ask(name, **given)
    assert project.ask(name, **given) != project.answer(EVERY_QUESTION[f"{name}-1"])


def test_configuration_is_named_by_a_path_or_a_text(project: Project):
    file = project.config.file

    assert Project.load(str(file)).config == Project.load(file).config == project.config


# The commands that are made of it


def first_of(command: str) -> type[Question]:
    """The question that a command asks where no option picks another."""
    return question_class(next(iter(by_command()[command])))


def examples_of(command: str) -> list[list[str]]:
    """The command lines that its help shows, without the configuration and without how the answer is written."""
    found = []
    for example in first_of(command).examples:
        words = shlex.split(example)
        words = words[words.index(command.split(maxsplit=1)[0]) :]
        if "--format" in words:
            place = words.index("--format")
            words = [*words[:place], *words[place + 2 :]]
        found.append([word for word in words if word not in ("--chart", "--save")])
    return found


def plain(command: str) -> list[str]:
    """The words before any option: the command, with a name where it takes one."""
    return list(takewhile(lambda word: not word.startswith("-"), examples_of(command)[0]))


def command_of(name: str) -> str:
    """The command that asks a question; of a group it is two words."""
    return next(command for command, named in by_command().items() if name in named)


def picked(name: str) -> list[str]:
    """The option that picks a question, if any, with a value where it takes one: as an example gives it."""
    command = command_of(name)
    option = QUESTIONS[name].command.removeprefix(command).split()
    if len(option) != 1:
        return option
    example = next(words for words in examples_of(command) if option[0] in words)
    following = example[example.index(option[0]) + 1 :][:1]
    return [option[0], *(word for word in following if not word.startswith("-"))]


def lines() -> list[tuple[str, ...]]:
    """Every question by its command, every example of the help texts, and what these lack."""
    named = [[*plain(command_of(name)), *picked(name)] for name in QUESTIONS]
    examples = [words for command in by_command() for words in examples_of(command)]
    others = [
        ["funnel", "purchase_journey", "--against", "2024-03-02..2024-03-03"],
        ["funnel", "--steps", "search,view_item", "--entry", "open"],
        ["funnel", "anyhow"],
        ["paths", "--to", "purchase"],
    ]
    return list(dict.fromkeys(tuple(words) for words in (*named, *examples, *others)))


def invoke(project: Project, *words: str) -> Done:
    project.close()  # a command opens the database by itself
    return CliRunner().invoke(cli, ["--config", str(project.config.file), *words])


@pytest.fixture(scope="module")
def answered() -> dict[Any, Result]:
    return {}


@pytest.fixture
def asked_once(answered: dict[Any, Result], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the engine answer a command line once, in the first form that is tested; the others write the same answer."""
    asked = Project.answer

    def answer(project: Project, question: Question) -> Result:
        key = (project.config.file, name_of(question), question.model_dump_json())
        if key not in answered:
            answered[key] = asked(project, question)
        return answered[key]

    monkeypatch.setattr(Project, "answer", answer)


@pytest.mark.usefixtures("asked_once")
@pytest.mark.parametrize("look", [("--format", "json"), ("--format", "csv"), ("--chart",)], ids=" ".join)
@pytest.mark.parametrize("line", lines(), ids=" ".join)
@pytest.mark.parametrize("is_empty", [False, True], ids=["filled", "empty"])
def test_command_line_has_an_answer_of_every_form(
    line: tuple[str, ...], look: tuple[str, ...], is_empty: bool, project: Project, empty_project: Project
):
    done = invoke(empty_project if is_empty else project, *line, *look)

    assert (done.exit_code, done.stderr) == (0, "")
    assert "nan" not in done.stdout.lower().replace("financ", "")
    if "json" in look:
        document = json.loads(done.stdout)
        assert document["sentence"]
        assert document["assumptions"]


@pytest.mark.usefixtures("asked_once")
@pytest.mark.parametrize("columns", [60, 80])
@pytest.mark.parametrize("line", lines(), ids=" ".join)
def test_narrow_terminal_shows_every_word_and_number_whole(
    line: tuple[str, ...], columns: int, project: Project, monkeypatch: pytest.MonkeyPatch
):
    wide = invoke(project, *line, "--chart").stdout
    monkeypatch.setattr(output, "is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))
    narrow = invoke(project, *line, "--chart").stdout

    # What is pasted into a configuration is not broken.
    assert all(len(row) <= columns for row in narrow.splitlines() if not row.startswith("steps = "))
    drawn = set("─█▉▊▋▌▍▎▏")
    assert {word for word in wide.split() if not drawn & set(word)} - set(narrow.split()) == set()


# What anybody may write into a link to a shop: orders to a terminal, marks that turn text, formulas, line breaks.
HOSTILE = ("=1+1\r\x1b[31mred\x1b[0m", "\u202eliame\x9b2J\x07", "+cmd|' /C calc'!A0\n@b;\"c\"")
HOSTILE_PAGES = ("\x1b]0;title\x07,\r\u2066x", "-2+3\u200bcmd\x85y")
HOSTILE_LINES = (
    *lines(),
    ("attribution", "--touchpoint", "source_medium"),
    ("attribution", "--touchpoint", "campaign"),
    ("attribution", "--touchpoint", "landing_page", "--compare"),
    ("funnel", "purchase_journey", "--by", "page@first"),
    ("paths", "--nodes", "page"),
    ("paths", "--nodes", "page", "--show", "transitions"),
    ("paths", "--from", "view_item", "--nodes", "page", "--show", "links"),
)


@pytest.fixture(scope="module")
def hostile_project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    facts = {"source": HOSTILE[0], "medium": HOSTILE[1], "campaign": HOSTILE[2], "landing_page": f"/{HOSTILE_PAGES[0]}"}
    with opened(tmp_path_factory.mktemp("hostile"), **rows_of_three_days(HOSTILE, HOSTILE_PAGES, **facts)) as project:
        yield project


def obeyed(text: str) -> set[str]:
    """The characters that a terminal would obey, or nobody would see, but for line breaks and joiners."""
    kinds = ("Cc", "Cf", "Cs", "Zl", "Zp")
    return {letter for letter in text if unicodedata.category(letter) in kinds} - {"\n", "\u200c", "\u200d"}


@pytest.mark.usefixtures("asked_once")
def test_hostile_names_reach_the_answers(hostile_project: Project):
    shown_somewhere = "".join(invoke(hostile_project, *line, "--format", "csv").stdout for line in HOSTILE_LINES)

    assert obeyed(shown_somewhere) >= {"\x1b", "\x9b", "\x07", "\u202e", "\u2066", "\x85", "\u200b"}


@pytest.mark.usefixtures("asked_once")
@pytest.mark.parametrize("line", HOSTILE_LINES, ids=ascii)
def test_names_from_the_data_order_no_terminal_about(line: tuple[str, ...], hostile_project: Project):
    drawn = invoke(hostile_project, *line, "--chart").stdout
    document = invoke(hostile_project, *line, "--format", "json").stdout

    assert drawn
    assert obeyed(drawn) == set()
    assert document.isascii()
    assert obeyed(document) == set()


@pytest.mark.usefixtures("asked_once")
@pytest.mark.parametrize("line", HOSTILE_LINES, ids=ascii)
def test_csv_of_names_from_the_data_is_read_as_it_was_written_and_holds_no_formula(
    line: tuple[str, ...], hostile_project: Project
):
    text = invoke(hostile_project, *line, "--format", "csv").stdout_bytes.decode()
    heading, *rows = csv.reader(io.StringIO(text, newline=""))

    assert all(len(row) == len(heading) for row in rows)
    for cell in (cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))):
        assert float(cell) < 0


@pytest.mark.parametrize(
    "line",
    [
        ("funnel", "\x1b[31m\u202ename"),
        ("funnel", "purchase_journey", "--by", "\x9b2J"),
        ("funnel", "purchase_journey", "--against", "\r\x1b[2J"),
        ("paths", "--to", "page:/\x1b]0;title\x07"),
        ("segment", "\x07" * 5_000),
        ("channels", "--since", "\x1b[2J"),
        ("channels", "--no\x1b[2J"),
        ("\x1b[2J",),
    ],
    ids=lambda line: ascii(line)[:50],
)
@pytest.mark.parametrize("log", ["text", "json"])
def test_error_about_a_hostile_name_orders_no_terminal_about_and_is_short(
    line: tuple[str, ...], log: str, hostile_project: Project
):
    done = microconv(hostile_project.config.file.parent, "--log-format", log, *line)

    assert (done.code, done.stdout) == (2, "")
    assert obeyed(done.stderr) == set()
    assert len(done.stderr) < 3_000


@each_question
def test_json_keeps_text_exactly_and_csv_but_for_an_apostrophe(key: str, hostile_project: Project):
    result = hostile_project.answer(EVERY_QUESTION[key])
    written = [each for row in csv.reader(io.StringIO(result.csv(), newline="")) for each in row]
    kept = ["" if value is None else str(value) for row in result.rows for value in asdict(row).values()]
    strings = {value for row in result.rows for value in asdict(row).values() if isinstance(value, str)}

    assert [each.removeprefix("'") for each in written[-len(kept) :]] == kept
    assert strings <= set(strings_in(json.loads(json.dumps(result.document()))))


def strings_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in [*value, *value.values()] if isinstance(value, dict) else value:
            yield from strings_in(each)


@each_name
def test_command_keeps_what_it_shows(name: str, project: Project):
    words = [*plain(command_of(name)), *picked(name)]
    done = invoke(project, *words, "--format", "csv", "--save")

    saved, table = done.stderr.split("Saved as ")[1].rstrip(".\n").split(" in ")
    shown_rows = list(csv.DictReader(io.StringIO(done.stdout)))
    kept = [row for row in kept_rows(project, table) if row["result_id"] == saved]
    assert (done.exit_code, table) == (0, f"mc_result_{name}")
    columns = shown_rows[0].keys()
    assert shown_rows == [{name: "" if row[name] is None else str(row[name]) for name in columns} for row in kept]
    question = question_class(name).model_validate_json(kept[0]["question"])
    assert project.answer(question).csv() == done.stdout.removesuffix("\n")


@each_command
def test_help_shows_examples_that_ask_every_question_of_the_command(command: str):
    help_text = CliRunner().invoke(cli, [*command.split(), "--help"]).stdout

    assert all(f"  microconv {example}\n" in help_text for example in first_of(command).examples)
    shown_words = {word for words in examples_of(command) for word in words}
    assert {*command.split(), *(picked(name)[0] for name in by_command()[command] if picked(name))} <= shown_words


def found(command: str) -> click.Command:
    """The command of that name, or of a group."""
    group: click.Command | None = cli
    for word in command.split():
        assert isinstance(group, click.Group)
        group = group.get_command(click.Context(group), word)
    assert group is not None
    return group


def options_of(command: str) -> dict[str, click.Option]:
    return {flag: each for each in found(command).params if isinstance(each, click.Option) for flag in each.opts}


def flags(name: str) -> dict[str, str]:
    """The options of a question, by field."""
    kind = question_class(name)
    known = {field: kind.options.get(field, Option()) for field in kind.model_fields}
    return {
        field: option.name or f"--{field.strip('_').replace('_', '-')}"
        for field, option in known.items()
        if not option.is_hidden and not option.is_argument
    }


@each_command
def test_options_of_a_command_are_the_fields_of_its_questions_each_with_a_help_text(command: str):
    options = options_of(command)
    asked = {flag for name in by_command()[command] for flag in flags(name).values()}
    pickers = {picked(name)[0] for name in by_command()[command] if picked(name)}

    assert set(options) == asked | pickers | {"--format", "--chart", "--save"}
    assert all(option.help for option in options.values())
    assert found(command).get_short_help_str(200) == next(iter(by_command()[command].values())).answers


@pytest.mark.parametrize(
    ("command", "first", "second"),
    [
        (command, first, second)
        for command, named in by_command().items()
        for first, second in combinations(named, 2)
        if picked(first) and picked(first)[0] != picked(second)[0]
    ],
)
def test_two_questions_at_once_are_refused(command: str, first: str, second: str, project: Project):
    done = invoke(project, *plain(command), *picked(first), *picked(second))

    assert (done.exit_code, done.stdout) == (UsageError.exit_code, "")
    assert f"{picked(first)[0]} and {picked(second)[0]} are different questions" in done.stderr


def value_of(command: str, flag: str) -> list[str]:
    """An option with some value that it takes."""
    option = options_of(command)[flag]
    if option.is_flag:
        return [flag]
    values = {click.types.IntRange: "3", click.types.FloatParamType: "0.5", click.DateTime: "2024-03-01"}
    kind = option.type
    return [flag, str(kind.choices[0]) if isinstance(kind, click.Choice) else values.get(type(kind), "1d")]


@pytest.mark.parametrize(
    ("command", "name", "flag"),
    [
        (command, name, flag)
        for command, named in by_command().items()
        for name in named
        for flag in sorted({flag for other in named for flag in flags(other).values()} - set(flags(name).values()))
        if not any(picked(other)[:1] == [flag] for other in named)
    ],
)
def test_option_of_another_question_is_refused_by_name(command: str, name: str, flag: str, project: Project):
    done = invoke(project, *plain(command), *picked(name), *value_of(command, flag))
    takers = [other for other in by_command()[command] if flag in flags(other).values()]

    assert (done.exit_code, done.stdout) == (UsageError.exit_code, "")
    assert f"{flag} goes with" in done.stderr
    assert all(picked(other)[0] in done.stderr for other in takers if picked(other))
