"""The shape of the code: arrows point one way, modules stay small, every ignore says why."""

from __future__ import annotations

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from microconv import templates

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "microconv"
MODULES = sorted(PACKAGE.rglob("*.py"))
OWN_CODE = sorted(path for folder in ("src", "tests", "benchmarks") for path in (ROOT / folder).rglob("*.py"))
LONGEST_MODULE = 500


def unit_of(path: Path) -> str:
    """Name what the table of the architecture lists: a top-level module or folder; "" is the package itself."""
    first = path.relative_to(PACKAGE).parts[0]
    return "" if first == "__init__.py" else first.removesuffix(".py")


UNITS = {unit_of(path) for path in MODULES} - {""}


def documented_arrows() -> dict[str, set[str]]:
    """Read the table of docs/architecture.md: what each module may import."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\|([^|]*)\|$", text.partition("## Modules")[2], re.MULTILINE)
    return {unit: set(re.findall(r"`(\w+)`", allowed)) for unit, allowed in rows}


def imported_units(path: Path) -> set[str]:
    """Name the units a module imports, also inside functions and for type checking."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            dotted = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}, line {node.lineno}: imports name the whole path"
            # `from microconv import templates` imports a module, `from microconv import __version__` does not.
            dotted = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        found |= {name.split(".")[1] for name in dotted if name.startswith("microconv.")}
    return found & UNITS


def test_every_module_is_in_the_table_of_the_architecture():
    assert set(documented_arrows()) == UNITS


def test_documented_arrows_point_one_way():
    try:
        TopologicalSorter(documented_arrows()).prepare()
    except CycleError as error:
        pytest.fail(f"docs/architecture.md lets modules import each other in a circle: {' <- '.join(error.args[1])}")


def test_no_import_goes_against_the_arrows():
    arrows = documented_arrows() | {"": {"project"}}  # `from microconv import Project`, loaded when it is asked for
    against = [
        f"{path.relative_to(ROOT)} imports {imported}"
        for path in MODULES
        for imported in sorted(imported_units(path) - arrows.get(unit_of(path), set()) - {unit_of(path)})
    ]

    assert not against, "not among the arrows of docs/architecture.md:\n" + "\n".join(against)


def test_every_documented_arrow_is_used():
    used: dict[str, set[str]] = {}
    for path in MODULES:
        used.setdefault(unit_of(path), set()).update(imported_units(path) - {unit_of(path)})
    unused = [
        f"{unit} -> {other}" for unit, allowed in documented_arrows().items() for other in sorted(allowed - used[unit])
    ]

    assert not unused, "docs/architecture.md allows what nothing needs:\n" + "\n".join(unused)


def test_nothing_imports_the_command_line():
    importers = [path.name for path in MODULES if unit_of(path) != "cli" and "cli" in imported_units(path)]

    assert not importers, importers


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

    assert set(templates.names()) <= texts


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
