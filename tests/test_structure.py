"""The shape of the code: imports go down, one name means one thing, modules stay readable, every ignore says why."""

from __future__ import annotations

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from microconv.audit.checks import checks
from microconv.queries import templates

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "microconv"
MODULES = sorted(PACKAGE.rglob("*.py"))
OWN_CODE = sorted(path for folder in ("src", "tests", "benchmarks") for path in (ROOT / folder).rglob("*.py"))
LONGEST_MODULE = 800

FAMILIES = sorted(folder.name for folder in (PACKAGE / "analyses").iterdir() if (folder / "__init__.py").is_file())


def dotted(path: Path) -> str:
    """Name a module below the package; "" is the package itself."""
    return path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", ".").removesuffix("__init__").rstrip(".")


def room_of(module: str) -> str:
    """Name the room of a module: a module or folder at the top of the package; `__main__` is a door to the commands."""
    return "cli" if module == "__main__" else module.partition(".")[0]


BY_NAME = {dotted(path): path for path in MODULES}
ROOMS = {room_of(module) for module in BY_NAME} - {""}


def imported(module: str) -> set[str]:
    """Name the modules that a module imports, also inside functions and for type checking."""
    found = set()
    for node in ast.walk(ast.parse(BY_NAME[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}, line {node.lineno}: imports name the whole path"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.startswith("microconv."):
                below = name.removeprefix("microconv.")
                found.add(below if below in BY_NAME else below.rpartition(".")[0])
    return found & set(BY_NAME) - {module, ""}


IMPORTS = {module: imported(module) for module in BY_NAME}


def documented_floors() -> dict[str, int]:
    """Read the table of docs/architecture.md: the floor of each room, from 0 up."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\w+) \| `(\w+)` \| [^|]+ \|$", text.partition("## The house")[2], re.MULTILINE)
    floors = list(dict.fromkeys(floor for floor, _ in rows))
    assert rows == sorted(rows, key=lambda row: floors.index(row[0])), "the rooms of a floor stand together"
    return {room: floors.index(floor) for floor, room in rows}


def test_every_room_is_in_the_table_of_the_architecture():
    assert set(documented_floors()) == ROOMS


def test_imports_go_down():
    floors = documented_floors()
    upward = [
        f"{module} imports {other}"
        for module, others in IMPORTS.items()
        for other in sorted(others)
        if module and room_of(other) != room_of(module) and floors[room_of(other)] >= floors[room_of(module)]
    ]

    assert not upward, "not below, by docs/architecture.md:\n" + "\n".join(upward)


def test_no_modules_import_each_other_in_a_circle():
    try:
        TopologicalSorter(IMPORTS).prepare()
    except CycleError as error:
        pytest.fail(f"modules import each other in a circle: {' <- '.join(error.args[1])}")


def test_families_of_analyses_know_nothing_of_each_other():
    strangers = [
        f"{module} imports {other}"
        for family in FAMILIES
        for module, others in IMPORTS.items()
        for other in sorted(others)
        if module.startswith(f"analyses.{family}")
        and other.startswith("analyses.")
        and other.split(".")[1] in set(FAMILIES) - {family}
    ]

    assert not strangers, "\n".join(strangers)


def test_no_two_public_classes_have_one_name():
    places: dict[str, list[str]] = {}
    for module, path in BY_NAME.items():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(module)
    doubled = {name: modules for name, modules in places.items() if len(modules) > 1}

    assert not doubled, doubled


def test_no_two_modules_have_one_name():
    """But those of the command line, which are named after what they show, and the contracts, which are all `base`."""
    places: dict[str, list[str]] = {}
    for module in BY_NAME:
        leaf = module.rpartition(".")[2]
        if module and room_of(module) != "cli" and leaf != "base":
            places.setdefault(leaf, []).append(module)
    doubled = {name: modules for name, modules in places.items() if len(modules) > 1}

    assert not doubled, doubled


def test_modules_are_short_enough_to_read():
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in OWN_CODE}
    long = [f"{path.relative_to(ROOT)}: {lines} lines" for path, lines in lengths.items() if lines > LONGEST_MODULE]

    assert not long, "\n".join(long)


def test_every_template_is_used():
    texts = {
        node.value
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }

    found_by_their_folder = {check.template for check in checks()}

    assert set(templates.names()) - found_by_their_folder <= texts


def test_every_macro_file_is_imported():
    sql = "\n".join(path.read_text(encoding="utf-8") for path in templates.root().rglob("*.sql"))
    macros = {path.relative_to(templates.root()).as_posix() for path in templates.root().rglob("_*.sql")}

    assert macros == set(re.findall(r"{%-? *(?:from|import|include) *['\"]([^'\"]+)", sql))


def test_every_ignore_names_its_rule_and_gives_a_reason():
    """The reason stands on the line, or above it where there is no room; lines that follow each other share it."""
    ignore = re.compile(r"#\s*(?:noqa|type:\s*ignore)\b")
    named = re.compile(
        r"# (?:noqa: [A-Z]+\d+(?:, [A-Z]+\d+)*(?P<of_lint> - \S)?|type: ignore\[[a-z, -]+\](?P<of_types>  # \S)?)"
    )
    bare = []
    for path in set(OWN_CODE) - {Path(__file__)}:
        explained = False
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            found = named.search(line)
            if ignore.search(line) and not (found and (explained or found["of_lint"] or found["of_types"])):
                bare.append(f"{path.relative_to(ROOT)}:{number}")
            explained = bool(ignore.search(line)) or line.lstrip().startswith("#")

    assert not bare, "\n".join(bare)
