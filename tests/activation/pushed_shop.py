"""A staged shop whose users put something in the cart, and a list that its segments are pushed to."""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import importlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from click.testing import CliRunner
from ledger_destination import KeptList, listed, requests

import ga4
from commands import Done, microconv
from microconv import catalogue
from microconv.cli import cli
from microconv.project import Project
from projects import write_config

TODAY = datetime.now(tz=UTC).date()
HERE = Path(__file__).parent
SECTIONS = """
[[segments]]
name = "carts"
rule = {{ did = "add_to_cart", within = "14d" }}
identity = ["email", "phone"]
destinations = ["crm"]
{of_segment}

[[segments]]
name = "buyers"
rule = {{ did = "purchase", within = "14d" }}

[[destinations]]
name = "crm"
kind = "ledger"
path = "{path}"
{of_destination}

[[destinations]]
name = "files"
format = "csv"

[identity]
file = "identity.csv"

[consent]
file = "consent.csv"

[push]
{of_push}
"""


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def emails(*numbers: int) -> set[str]:
    """What is sent of these users."""
    return {sha(f"user{number}@shop.example") for number in numbers}


def write_site(folder: Path) -> None:
    """Lay down what an installer leaves of the package with our destination."""
    metadata = folder / "ledger-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: ledger\nVersion: 1.0\n")
    points = f"[{catalogue.DESTINATION_GROUP}]\nledger = ledger_destination:LedgerDestination\n"
    (metadata / "entry_points.txt").write_text(points)


@contextlib.contextmanager
def installed(site: Path) -> Iterator[None]:
    """Let this process find the package."""
    sys.path.insert(0, str(site))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(site))


@cache
def _staged(size: int, days_ago: int) -> Path:
    """Stage a shop once; its folder is copied by each test."""
    folder = Path(tempfile.mkdtemp(prefix="microconv-shop-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    write_site(folder / "site")
    (folder / "exports").mkdir()
    day = TODAY - timedelta(days=days_ago)
    events = [
        ga4.event(f"{day} 10:00:{number:02d}", "add_to_cart", client=f"{number}.{number}", session=number)
        | {"user_id": f"u{number}"}
        for number in range(1, size + 1)
    ]
    ga4.write_parquet(folder / "exports" / f"{ga4.shard_name(day)}.parquet", events)
    with Project.load(write_config(folder)) as project:
        project.sync()
    return folder


@dataclass
class Shop:
    """A project in a folder, with users u1, u2, … who have user1@shop.example and so on."""

    folder: Path
    size: int = 4
    of_segment: str = ""
    of_destination: str = ""
    of_push: str = ""
    days_ago: int = 1

    def __post_init__(self) -> None:
        made = _staged(self.size, self.days_ago)
        shutil.copytree(made, self.folder, dirs_exist_ok=True)
        self.know(range(1, self.size + 1))
        self.agree(range(1, self.size + 1))
        self.configure()

    @property
    def list(self) -> Path:
        return self.folder / "crm.sqlite"

    def configure(self) -> None:
        keys = {name: getattr(self, name) for name in ("of_segment", "of_destination", "of_push")}
        write_config(self.folder, extra=SECTIONS.format(path=self.list, **keys))

    def know(self, numbers: Sequence[int], **others: str) -> None:
        """Write the identity table: these users, and others with an address of their own."""
        rows = {f"u{number}": f"user{number}@shop.example" for number in numbers} | others
        lines = [f"{user},{email}" for user, email in rows.items()]
        (self.folder / "identity.csv").write_text("\n".join(("user_id,email", *lines, "")))

    def agree(self, granted: Sequence[int], denied: Sequence[int] = ()) -> None:
        """Write the consent table."""
        answers = [(number, "granted") for number in granted] + [(number, "denied") for number in denied]
        rows = [f"u{number},{answer},{answer},2026-01-01" for number, answer in answers]
        columns = "user_id,ad_user_data,ad_personalization,changed_at"
        (self.folder / "consent.csv").write_text("\n".join((columns, *rows, "")))

    def environment(self, fault: str = "", at: int = 1) -> dict[str, str]:
        path = os.pathsep.join((str(self.folder / "site"), str(HERE), os.environ.get("PYTHONPATH", "")))
        return {"PYTHONPATH": path, "LIST_FAULT": fault, "LIST_AT": str(at)}

    def run(self, *arguments: str, fault: str = "", at: int = 1) -> Done:
        """Run a command in this process, during which a fault happens at one request."""
        orders = {"LIST_FAULT": fault, "LIST_AT": str(at)}
        KeptList.asked = 0
        with installed(self.folder / "site"), contextlib.chdir(self.folder):
            done = CliRunner().invoke(cli, arguments, env=orders, prog_name="microconv")
        return Done(done.exit_code, done.stdout, done.stderr)

    def run_alone(self, *arguments: str, fault: str = "", at: int = 1) -> Done:
        """Run the installed command in a process of its own."""
        return microconv(self.folder, *arguments, env=self.environment(fault, at))

    @property
    def listed(self) -> set[str]:
        return listed(self.list, "carts")

    @property
    def requests(self) -> list[tuple[str, int]]:
        return requests(self.list)
