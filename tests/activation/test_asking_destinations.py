"""What destinations say when they are asked: by the doctor, by `push status --ask`, in a dry run, in an erasure."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from pushed_shop import Shop, emails

from microconv.config.load import load_config
from microconv.doctor import CHECKS


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path, of_destination="tells = true\nbatch = 3")


def found_by_the_doctor(shop: Shop, fault: str = "", code: int = 0) -> list[tuple[str, str, str]]:
    done = shop.run("doctor", "--format", "json", fault=fault)
    assert done.code == code, done
    return [
        (each["severity"], each["message"], each["remedy"])
        for each in done.document["checks"]
        if each["check"] == "destinations"
    ]


def validated(shop: Shop) -> list[tuple[str, int]]:
    with sqlite3.connect(shop.folder / "validated.sqlite") as database:
        return list(database.execute("SELECT operation, identifiers FROM requests ORDER BY id"))


# The doctor


def test_the_doctor_tells_what_each_destination_finds_of_its_segments(shop: Shop):
    assert "destinations" in [check.name for check in CHECKS]
    assert found_by_the_doctor(shop) == [
        ("ok", "crm (ledger): lists of carts.", ""),
        ("warning", "crm (ledger): the list is small.", "Let it grow."),
        ("ok", "files (file): nothing is missing for a push that can be looked up from here.", ""),
    ]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("credentials", [("error", "crm (ledger): There is no answer to credentials.", "Try again later.")]),
        (
            "examine",
            [
                ("ok", "crm (ledger): lists of carts.", ""),
                ("error", "crm (ledger): There is no answer to examine.", "Try again later."),
            ],
        ),
        (
            "examine_breaks",
            [
                ("ok", "crm (ledger): lists of carts.", ""),
                (
                    "error",
                    "crm (ledger): The check itself failed (KeyError).",
                    "This is a bug: please report it to the author of this kind of destination.",
                ),
            ],
        ),
    ],
)
def test_a_destination_that_fails_is_an_error_and_the_others_are_examined_still(
    shop: Shop, fault: str, said: list[tuple[str, str, str]]
):
    found = found_by_the_doctor(shop, fault, code=1)
    assert found[:-1] == said
    assert found[-1][:2] == ("ok", "files (file): nothing is missing for a push that can be looked up from here.")


def test_the_doctor_tells_that_a_folder_cannot_be_written_to(shop: Shop):
    text = (shop.folder / "microconv.toml").read_text()
    (shop.folder / "taken").touch()
    (shop.folder / "microconv.toml").write_text(
        text.replace('format = "csv"', 'format = "csv"\npath = "taken/audiences"')
    )
    *_, (severity, message, remedy) = found_by_the_doctor(shop, code=1)
    assert severity == "error"
    assert message.startswith("files (file): nothing can be written to ")
    assert "taken a folder" in remedy


def test_the_doctor_tells_of_a_missing_secret_and_asks_nobody(shop: Shop):
    hook = '[[destinations]]\nname = "hook"\nkind = "webhook"\nurl = "https://hooks.shop.example/"\n'
    with (shop.folder / "microconv.toml").open("a") as file:
        file.write(hook + 'secret = { env = "HOOK_SECRET" }\n')
    assert load_config(shop.folder / "microconv.toml", {}).destinations[-1].name == "hook"
    *_, (severity, message, remedy) = found_by_the_doctor(shop, code=1)
    assert (severity, message.split(":")[0]) == ("error", "hook (webhook)")
    assert "HOOK_SECRET" in message + remedy


# Status


def status(shop: Shop, *options: str, fault: str = "") -> dict[str, Any]:
    done = shop.run("push", "status", *options, "--format", "json", fault=fault)
    assert done.code == 0, done
    (row,) = done.document["lists"]
    return dict(row)


def test_status_asks_destinations_only_when_it_is_told_to(shop: Shop):
    shop.run("push")
    assert "there" not in status(shop, fault="facts_breaks")
    row = status(shop, "--ask")
    assert (row["listed"], row["there"], row["members"], row["match_rate"]) == (4, "open", 4, 0.5)
    assert row["note"] == "too small to serve; a name\\x1b[2J"
    shown = shop.run("push", "status", "--ask").stdout
    assert "50.0%" in shown
    assert "\x1b[2J" not in shown


def test_a_destination_that_does_not_answer_or_does_not_tell_leaves_what_we_know(shop: Shop):
    shop.run("push")
    row = status(shop, "--ask", fault="facts")
    assert (row["listed"], row["there"], row["members"]) == (4, None, None)
    assert row["note"] == "could not be asked: There is no answer to facts"
    shop.of_destination = "tells = false"
    shop.configure()
    row = status(shop, "--ask")
    assert (row["listed"], row["there"], row["members"], row["note"]) == (4, None, None, "")


def test_a_closed_list_is_said_to_be_closed(shop: Shop):
    shop.agree([1])
    shop.run("push")
    assert status(shop, "--ask")["there"] == "closed"


# Dry run


def test_a_dry_run_has_the_first_request_of_each_operation_checked_and_changes_nothing(shop: Shop):
    dry = shop.run("push", "--dry-run", "--format", "json").document
    assert validated(shop) == [("add", 3)]
    assert dry["lists"][0]["notes"] == [
        "carts at crm: it would take the first request to add (3 identifiers), by its own check."
    ]
    assert not shop.list.exists()
    assert shop.run("push", "--format", "json").document["plan"] == dry["plan"]
    assert validated(shop) == [("add", 3)], "a push asks for no check"
    assert shop.listed == emails(1, 2, 3, 4)
    shop.know([1, 2], u5="new@shop.example")
    (shop.folder / "validated.sqlite").unlink()
    shop.run("push", "--dry-run", "--format", "json")
    assert validated(shop) == [("remove", 2)]
    assert shop.listed == emails(1, 2, 3, 4)


@pytest.mark.parametrize(
    ("fault", "code", "outcome", "said"),
    [
        (
            "refuse",
            4,
            "would be refused",
            "would refuse the first request to add (3 identifiers), by its own check: terms",
        ),
        ("refuse_rows", 0, "would be sent", "would refuse 1 of the first request to add (3 identifiers)"),
        ("refuse_some", 0, "would be sent", "would refuse some of the first request to add (3 identifiers)"),
        ("later", 0, "would be sent", "did not check the first request to add (3 identifiers): too many requests"),
    ],
)
def test_what_a_destination_would_refuse_is_told_in_a_dry_run(
    shop: Shop, fault: str, code: int, outcome: str, said: str
):
    done = shop.run("push", "--dry-run", "--format", "json", fault=fault)
    assert done.code == code, done
    (carts,) = done.document["lists"]
    assert carts["outcome"] == outcome
    assert f"carts at crm: it {said}" in done.stderr
    assert not any(each in done.stdout + done.stderr for each in emails(1, 2, 3, 4))
    assert not shop.list.exists()


def test_a_guard_stops_a_dry_run_before_anything_is_checked(shop: Shop):
    shop.of_segment = "push = { max_size = 3 }"
    shop.configure()
    assert shop.run("push", "--dry-run").code == 1
    assert not (shop.folder / "validated.sqlite").exists()


# Erasure


def test_an_erasure_has_platforms_delete_what_they_keep_of_the_person(shop: Shop):
    shop.run("push")
    done = shop.run("erase", "u2", "--format", "json")
    assert done.code == 0, done
    assert {"place": "users at crm", "found": 1, "state": "removed"} in done.document["parts"]
    assert (shop.folder / "forgotten").read_text() == "u2"


def test_an_erasure_that_a_platform_does_not_take_is_not_finished(shop: Shop):
    shop.run("push")
    done = shop.run("erase", "u2", "--format", "json", fault="forget")
    assert done.code == 1, done
    assert done.document["is_finished"] is False
    states = [part["state"] for part in done.document["parts"] if part["place"] == "what crm keeps"]
    assert states == ["not deleted: There is no answer to forget"]
    assert shop.listed == emails(1, 3, 4)
    assert shop.run("erase", "u2").code == 0
    assert (shop.folder / "forgotten").read_text() == "u2"
