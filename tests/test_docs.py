"""The documentation is true: commands, options, links, exit codes, columns, JSON and files in it are the real ones.

Run as a script, it writes the tables of docs/staging.md, docs/memberships.md, docs/propensity.md, docs/analyses.md and
docs/audit.md anew.
"""

from __future__ import annotations

import ast
import json
import re
import shlex
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import pytest
from markdown_it import MarkdownIt

from asking import answer
from every_question import CONFIG, EVERY_QUESTION, TAXONOMY, VARIANT
from microconv.analyses.attribution.credits import AttributionCredit, AttributionResult, Untouched
from microconv.analyses.funnels.counts import FunnelResult, FunnelStep
from microconv.audit.audit_tables import TABLES as AUDIT_TABLES
from microconv.audit.checks import AREAS, Check
from microconv.audit.tracking_audit import all_checks
from microconv.catalogue import DESTINATIONS, QUESTIONS
from microconv.cli import INTERRUPTED, cli
from microconv.config.load import load_config
from microconv.doctor import CHECKS
from microconv.engines.tables import Table
from microconv.errors import MicroconvError
from microconv.queries import templates
from microconv.segments.membership_tables import TABLES as MEMBERSHIP_TABLES
from microconv.segments.propensity_tables import TABLES as PROPENSITY_TABLES
from microconv.staging import SyncResult
from microconv.staging.mc_tables import TABLES
from microconv.taxonomy import load_taxonomy
from staged_rows import IN_MEMORY, staged

ROOT = Path(__file__).parent.parent
STAGING = ROOT / "docs" / "staging.md"
MEMBERSHIPS = ROOT / "docs" / "memberships.md"
PROPENSITY = ROOT / "docs" / "propensity.md"
ANALYSES = ROOT / "docs" / "analyses.md"
AUDIT = ROOT / "docs" / "audit.md"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# Every command has the first two, every question the others; the README and docs/analyses.md say it once.
OPTIONS_OF_QUESTIONS = {"--format csv", "--chart", "--save"}
COMMON_OPTIONS = {"--format", "--help", "--chart", "--save"}
SHELLS = ("", "sh", "bash", "console")


@dataclass(frozen=True)
class Fence:
    """A fenced block of a page: its language ("" when it has none) and its text."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@cache
def tokens(page: Path) -> tuple[Any, ...]:
    return tuple(MarkdownIt("gfm-like", {"linkify": False}).parse(page.read_text(encoding="utf-8")))


def fences(*languages: str) -> list[Fence]:
    return [
        Fence(page, token.map[0] + 1, token.info, token.content)
        for page in PAGES
        for token in tokens(page)
        if token.type == "fence" and token.info in languages
    ]


def sections() -> Iterator[str]:
    """Yield the text below each heading of each page."""
    for page in PAGES:
        lines = page.read_text(encoding="utf-8").splitlines()
        starts = [token.map[0] for token in tokens(page) if token.type == "heading_open"]
        for start, end in pairwise([*starts, len(lines)]):
            yield "\n".join(lines[start:end])


def commands(
    group: click.Group = cli, path: tuple[str, ...] = ("microconv",)
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, group
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


def named(path: tuple[str, ...]) -> re.Pattern[str]:
    """Match a command as one types it: options of the root may stand after `microconv`."""
    return re.compile(path[0] + r"(?: --?[a-z-]+ \S+)*" + "".join(f" {re.escape(word)}" for word in path[1:]) + r"\b")


# Commands


@pytest.mark.parametrize("path", [path for path, _ in commands()], ids=" ".join)
def test_command_is_documented(path):
    assert any(named(path).search(section) for section in sections())


@pytest.mark.parametrize(
    ("path", "option"),
    [
        (path, option)
        for path, command in commands()
        for option in command.params
        if isinstance(option, click.Option) and not COMMON_OPTIONS & set(option.opts)
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else value.opts[-1],
)
def test_option_is_documented_beside_its_command(path, option):
    flag = re.compile(re.escape(max(option.opts, key=len)) + r"(?![\w-])")

    assert any(named(path).search(section) and flag.search(section) for section in sections())


def shown_command_lines() -> Iterator[tuple[str, str]]:
    for fence in fences(*SHELLS):
        for line in fence.text.replace("\\\n", " ").splitlines():
            for part in re.split(r"&&|\|\|?|;|>>?|2>", re.sub(r"\s# .*", "", line)):
                found = re.match(r"\s*\$?\s*(microconv(?: .*)?)$", part)
                if found:
                    yield str(fence), found[1].strip()
    for path, command in commands():
        for line in re.findall(r"^ +(microconv .*)$", command.help or "", re.MULTILINE):
            yield f"help of {' '.join(path)}", line


@pytest.mark.parametrize(("where", "line"), list(dict.fromkeys(shown_command_lines())))
def test_shown_command_line_parses(where, line):
    command, arguments = cli, shlex.split(line)[1:]
    parent: click.Context | None = None
    while True:
        try:
            context = command.make_context(command.name, arguments, parent=parent)
        except click.exceptions.Exit:  # --help and --version end here
            return
        except click.UsageError as error:
            pytest.fail(f"{where}: {line}: {error.format_message()}")
        rest = [*context._protected_args, *context.args]
        if not isinstance(command, click.Group) or (command.invoke_without_command and not rest):
            return
        _, found, arguments = command.resolve_command(context, rest)
        assert found is not None
        command, parent = found, context


# Links


def slug(heading: str) -> str:
    """Make the anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    page_tokens = tokens(page)
    return {
        slug(page_tokens[place + 1].content) for place, token in enumerate(page_tokens) if token.type == "heading_open"
    }


def links() -> list[tuple[Path, str]]:
    return [
        (page, str(child.attrs["href"]))
        for page in PAGES
        for token in tokens(page)
        for child in token.children or ()
        if child.type == "link_open"
    ]


def test_every_relative_link_leads_somewhere():
    broken = []
    for page, link in links():
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(f"{page.relative_to(ROOT)}: {link}")

    assert not broken, "\n".join(broken)


def test_every_page_is_in_the_index():
    listed = {link.partition("#")[0] for page, link in links() if page.name == "index.md"}

    assert {page.name for page in (ROOT / "docs").glob("*.md")} - {"index.md"} <= listed


def test_pages_that_code_and_settings_name_exist():
    files = [path for folder in ("src", "sql") for path in (ROOT / folder).rglob("*")]
    texts = {
        path: path.read_text(encoding="utf-8")
        for path in (*files, ROOT / "config.example.toml")
        if path.suffix in {".py", ".sql", ".toml"}
    }
    missing = [
        f"{path.relative_to(ROOT)} names {page}"
        for path, text in texts.items()
        for page in re.findall(r"\bdocs/\w+\.md\b", text)
        if not (ROOT / page).is_file()
    ]

    assert not missing, "\n".join(missing)


def test_files_of_ours_that_the_documentation_names_exist():
    named = re.compile(r"\b(?:src|sql|tests|benchmarks)/[\w./-]+\.(?:py|sql|txt|toml|md)\b")
    examples = {"sql/analyses/hours.sql", "src/microconv/analyses/hours.py"}
    missing = [
        f"{page.relative_to(ROOT)} names {path}"
        for page in PAGES
        for path in named.findall(page.read_text(encoding="utf-8"))
        if path not in examples and not (ROOT / path).exists()
    ]

    assert not missing, "\n".join(missing)


@pytest.mark.parametrize("check", [check.name for check in CHECKS])
def test_check_of_the_doctor_is_explained(check):
    assert re.search(rf"^\| {check} \|", (ROOT / "docs" / "operations.md").read_text(encoding="utf-8"), re.MULTILINE)


# Exit codes


def exit_codes() -> set[int]:
    def family(error: type[MicroconvError]) -> Iterator[type[MicroconvError]]:
        yield error
        for child in error.__subclasses__():
            yield from family(child)

    return {0, INTERRUPTED} | {error.exit_code for error in family(MicroconvError)}


@pytest.mark.parametrize("page", ["README.md", "docs/operations.md"])
def test_table_of_exit_codes_has_every_code_and_no_other(page):
    table = (ROOT / page).read_text(encoding="utf-8").partition("## Exit codes")[2].partition("\n## ")[0]

    assert [int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)] == sorted(exit_codes())


def test_help_names_every_exit_code():
    said = (cli.help or "").partition("Exit codes:")[2]

    assert {int(code) for code in re.findall(r"\d+", said)} == exit_codes()


# Data


@pytest.mark.parametrize("name", templates.names())
def test_header_of_template_declares_grain_and_params(name):
    header = templates.load(name)  # raises where the header lacks a part

    assert header.description.endswith(".")


@pytest.mark.parametrize("fence", fences("toml"), ids=str)
def test_toml_block_can_be_used(fence, tmp_path):
    document = tomllib.loads(fence.text)
    file = tmp_path / "block.toml"
    file.write_text(fence.text, encoding="utf-8")
    if "project" in document:
        assert load_config(file, {}).file == file
    elif "micro_conversions" in document:
        if "version" not in document:  # an excerpt
            file.write_text(f'version = "1.0"\n{fence.text}', encoding="utf-8")
        assert load_taxonomy(preset="ecommerce", file=file).entries


@pytest.mark.parametrize("fence", fences("python"), ids=str)
def test_python_block_compiles_and_imports_what_exists(fence):
    for node in ast.parse(fence.text).body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            exec(compile(ast.Module([node], []), str(fence), "exec"), {})


def keys(kind: type) -> set[str]:
    return {field.name for field in fields(kind)}


CONTRACTS = {
    "sync": ((), keys(SyncResult) - {"warnings"}),
    "funnel": ((), keys(FunnelResult)),
    "funnel, a step": (("steps", 0), keys(FunnelStep)),
    "attribution": ((), keys(AttributionResult)),
    "attribution, a credit": (("results", 0), keys(AttributionCredit)),
    "attribution, untouched": (("untouched", 0), keys(Untouched)),
}


@pytest.mark.parametrize("contract", CONTRACTS)
def test_json_of_the_readme_has_the_keys_of_the_real_document(contract):
    path, expected = CONTRACTS[contract]
    command = contract.partition(",")[0]
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(rf"`microconv {command}[^`]*--format json`.*?```json\n(.*?)```", text, re.DOTALL)
    assert found, f"the README shows no JSON of microconv {command}"
    document = json.loads(found[1])
    for step in path:
        document = document[step]

    assert set(document) == expected


# The staged tables


def table_section(table: Table) -> str:
    rows = [f"| `{column.name}` | {column.type} | {column.description} |" for column in table.columns]
    return "\n".join(
        [
            f"## {table.name}",
            "",
            table.description,
            f"Grain: {', '.join(f'`{name}`' for name in table.grain)}.",
            "",
            "| column | type | meaning |",
            "| --- | --- | --- |",
            *rows,
            "",
        ]
    )


def with_tables(page: str, tables: Iterable[Table] = TABLES.values()) -> str:
    """Return the page with its sections on tables as the product has them; they are its last part."""
    introduction = page.partition("\n## mc_")[0].rstrip()
    return "\n\n".join([introduction, *map(table_section, tables)]).replace("\n\n\n", "\n\n")


@pytest.mark.parametrize(
    ("path", "tables"),
    [(STAGING, TABLES), (MEMBERSHIPS, MEMBERSHIP_TABLES), (PROPENSITY, PROPENSITY_TABLES)],
    ids=["staged", "memberships", "propensity"],
)
def test_documented_tables_are_the_real_ones(path, tables):
    page = path.read_text(encoding="utf-8")

    assert page == with_tables(page, tables.values()), "run `.venv/bin/python tests/test_docs.py`"


# The catalogue


def with_rows(page: str, header: str, rows: Iterable[str]) -> str:
    """Return the page with other rows in the table of this header, which is there once."""
    before, found, after = page.partition(f"{header}\n{re.sub('[^|]+', ' --- ', header)}\n")
    assert found, f"docs/analyses.md has no table {header}"
    rest = re.sub(r"\A(?:\|[^\n]*\n)*", "", after)
    return "".join((before, found, *(f"{row}\n" for row in rows), rest))


def with_questions(page: str) -> str:
    """Return the page with its tables of questions, and of the columns of their answers, as they are."""
    asked = (f"| `{name}` | `microconv {line.command}` | {line.answers} |" for name, line in QUESTIONS.items())
    with staged(IN_MEMORY, carried=(VARIANT,)) as engine:
        row_types = {name: answer(engine, EVERY_QUESTION[f"{name}-1"], TAXONOMY, CONFIG).row_type for name in QUESTIONS}
    kept = (
        f"| `mc_result_{name}` | {', '.join(f'`{each.name}`' for each in fields(row_type))} |"
        for name, row_type in row_types.items()
    )
    page = with_rows(page, "| name | command | answers |", asked)
    return with_rows(page, "| kept in | columns |", kept)


def test_documented_questions_and_columns_are_the_real_ones():
    page = ANALYSES.read_text(encoding="utf-8")

    assert page == with_questions(page), "run `.venv/bin/python tests/test_docs.py`"


@pytest.mark.parametrize("page", ["README.md", "docs/analyses.md"])
def test_options_that_every_question_has_are_documented(page):
    text = (ROOT / page).read_text(encoding="utf-8")

    assert all(f"`{option}" in text for option in OPTIONS_OF_QUESTIONS)


@pytest.mark.parametrize("kind", DESTINATIONS)
def test_every_kind_of_destination_is_documented(kind):
    page = (ROOT / "docs" / "destinations.md").read_text(encoding="utf-8")

    assert f"`{kind}`" in page or f'kind = "{kind}"' in page


# The checks of the audit


def check_row(check: Check) -> str:
    thresholds = "; ".join(f"`{each.name}` = {each.default:g}: {each.meaning}" for each in check.thresholds)
    return f"| `{check.name}` | {check.severity} | {check.meaning} | {thresholds or 'none'} |".replace("<", "\\<")


def with_checks(page: str) -> str:
    """Return the page with its tables of checks, by area, and of what audits keep, as they are; they end the page."""
    areas = [
        "\n".join(
            [
                f"### {heading}",
                "",
                "| check | severity | looks for | thresholds |",
                "| --- | --- | --- | --- |",
                *rows,
                "",
            ]
        )
        for area, heading in AREAS.items()
        if (rows := [check_row(each) for each in all_checks() if each.area == area])
    ]
    kept = [table_section(table) for table in AUDIT_TABLES.values()]
    return "\n\n".join([page.partition("\n### ")[0].rstrip(), *areas, *kept]).replace("\n\n\n", "\n\n")


def test_documented_checks_are_the_real_ones():
    page = AUDIT.read_text(encoding="utf-8")

    assert page == with_checks(page), "run `.venv/bin/python tests/test_docs.py`"


if __name__ == "__main__":
    AUDIT.write_text(with_checks(AUDIT.read_text(encoding="utf-8")), encoding="utf-8")
    STAGING.write_text(with_tables(STAGING.read_text(encoding="utf-8")), encoding="utf-8")
    MEMBERSHIPS.write_text(
        with_tables(MEMBERSHIPS.read_text(encoding="utf-8"), MEMBERSHIP_TABLES.values()), encoding="utf-8"
    )
    PROPENSITY.write_text(
        with_tables(PROPENSITY.read_text(encoding="utf-8"), PROPENSITY_TABLES.values()), encoding="utf-8"
    )
    ANALYSES.write_text(with_questions(ANALYSES.read_text(encoding="utf-8")), encoding="utf-8")
