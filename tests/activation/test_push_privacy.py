"""No identifier, raw or hashed, is in what a push prints, logs, keeps or raises; `mc_sent` alone has what was sent."""

from __future__ import annotations

import hashlib
from pathlib import Path

import duckdb
import pytest
from pushed_shop import Shop

from commands import Done

PEOPLE = {
    "u1": ("Maria.Nasty@shop.example", "+18005550123", "Nastyname", "Verylast", "US", "94016"),
    "u2": ("jo.hidden@shop.example", "+4915112345678", "Johidden", "Secretson", "DE", "10115"),
    "u3": ("not-an-address-of-kim", "+1 5550100", "Kimraw", "Mistyped", "US", "9=1"),
    "u4": ("denied.person@shop.example", "+18005550177", "Deniedname", "Refuser", "US", "10001"),
}
RAW = [value for row in PEOPLE.values() for value in row if len(value) > 5]
FORMS = [*RAW, *(form for value in RAW for form in (value.lower(), value.replace(" ", "")))]
SOUGHT = sorted({*FORMS, *(hashlib.sha256(form.encode()).hexdigest() for form in FORMS)})
FAULTS = ("", "lost", "refuse", "later", "deny", "slow")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    made = Shop(tmp_path)
    rows = [",".join((user, *values)) for user, values in PEOPLE.items()]
    header = "user_id,email,phone,first_name,last_name,country,postal_code"
    (made.folder / "identity.csv").write_text("\n".join((header, *rows, "")))
    made.agree([1, 2, 3], denied=[4])
    return made


def said(done: Done) -> str:
    return done.stdout + done.stderr


def found(text: str) -> list[str]:
    return [each for each in SOUGHT if each in text]


def test_what_is_sought_is_what_is_sent(shop: Shop):
    assert shop.run("push").code == 0
    assert {*shop.listed} & {*SOUGHT}


@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_printed_or_logged_names_anybody(shop: Shop, fault: str):
    commands = (
        ("--log-format", "json", "push", "--dry-run", "--format", "json"),
        ("--log-format", "json", "push", "--format", "json"),
        ("push", "--full"),
        ("push", "status"),
        ("push", "poll", "--format", "json"),
        ("push", "ledger", "show", "--format", "csv"),
        ("push", "ledger", "verify"),
        ("push", "ledger", "resume", "--format", "json"),
        ("push", "--help"),
    )
    for command in commands:
        done = shop.run(*command, fault=fault)
        assert done.code in (0, 1, 4), done
        assert found(said(done)) == [], command


def test_the_ledger_and_all_other_tables_but_one_name_nobody(shop: Shop):
    shop.run("push", fault="refuse")
    shop.run("push")
    with duckdb.connect(str(shop.folder / "microconv.duckdb")) as database:
        tables = [row[0] for row in database.execute("SELECT table_name FROM duckdb_tables()").fetchall()]
        texts = {name: str(database.execute(f"SELECT {name}::VARCHAR FROM {name}").fetchall()) for name in tables}
    holding = [name for name, text in texts.items() if found(text)]
    assert holding == ["mc_sent"]


@pytest.mark.parametrize("wrong", ["identity.csv", "consent.csv"])
def test_errors_about_tables_of_people_name_nobody(shop: Shop, wrong: str):
    path = shop.folder / wrong
    # Without its header, the first line is a person.
    path.write_text("\n".join(f"{user},{','.join(row)}" for user, row in PEOPLE.items()))
    done = shop.run("push")
    assert done.code == 2, done
    assert found(said(done)) == []
    path.write_bytes(b"user_id,email,ad_user_data,ad_personalization,changed_at\nu1,\xff\xfeMaria.Nasty@shop.example")
    assert found(said(shop.run("push"))) == []


def test_a_crash_prints_nobody(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    def broken(*_: object) -> None:
        raise RuntimeError(f"{PEOPLE}")

    monkeypatch.setattr("ledger_destination.KeptList.send", broken)
    done = shop.run("push")
    assert "does not know (RuntimeError)" in done.stderr
    assert found(said(done)) == []
    monkeypatch.undo()
    assert shop.run("push").code == 0
