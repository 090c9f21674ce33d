"""Audience files byte by byte, as each platform wants them: whole, and as changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pyarrow.parquet as pq
import pytest
from segment_builder import Segment, snapshot

from microconv.activation.audience.normalise import sha256_hex
from microconv.activation.destinations.audience_formats import FORMATS
from microconv.activation.destinations.file import FileDestination, FileSettings, FormatName
from microconv.activation.push.audience_list import Identifier
from microconv.activation.push.identifiers import Address

E, P, U = sha256_hex("anna@shop.example"), sha256_hex("491701234567"), "u1"
PLUS, HASHED_ID = sha256_hex("+491701234567"), sha256_hex("u1")
FIRST, LAST = sha256_hex("anna"), sha256_hex("berg")
DE, ZIP = sha256_hex("de"), sha256_hex("04103")

WHOLE = {
    "google_ads": f"Email,Phone,First Name,Last Name,Country,Zip\n{E},{PLUS},{FIRST},{LAST},DE,04103\n",
    "meta": f"email,phone,fn,ln,zip,country\n{E},{P},{FIRST},{LAST},{ZIP},{DE}\n",
    "tiktok": f"Email_SHA256,Phone_SHA256\n{E},{P}\n",
    "microsoft_ads": f"Email\n{E}\n",
    "pinterest": f"{E}\n",
    "linkedin": f"email,firstname,lastname,jobtitle,employeecompany,country,googleaid\n{E},,,,,,\n",
    "ga4_users": "user_id,microconv_ready_to_buy\nu1,true\n",
    "csv": f"email_sha256,phone_sha256,external_id_sha256\n{E},{PLUS},{HASHED_ID}\n",
}
IDENTITY = ("email", "phone", "user_id")


def anna(segment: Segment) -> Segment:
    person = {"email": " Anna@Shop.example", "phone": "0170 1234567", "first_name": "Anna", "last_name": "Berg"}
    return segment.with_user("u1", "granted", **person, country="DE", postal_code="4103")


def destination(folder: Path, name: str) -> FileDestination:
    settings: dict[str, Any] = {"name": "there", "format": name, "path": folder}
    return FileDestination(FileSettings(**settings))


def exported(segment: Segment, name: str) -> dict[str, bytes]:
    there = destination(segment.folder, name)
    identity = tuple(kind for kind in IDENTITY if kind in there.accepts.identity)
    anna(segment).export_to(there, identity=identity)
    held = snapshot(segment.folder)
    files = json.loads(held.pop(f"ready-to-buy.{name}.manifest.json"))["files"]
    assert sorted(held) == sorted(file["name"] for file in files)
    held.pop(f"ready-to-buy.{name}.rejects.csv")
    return held


def test_settings_know_every_format() -> None:
    assert set(get_args(FormatName)) == set(FORMATS)
    assert all(name == audience_format.accepts.name for name, audience_format in FORMATS.items())


@pytest.mark.parametrize("name", WHOLE)
def test_whole_audience_is_written_exactly_so(segment: Segment, name: str) -> None:
    (content,) = exported(segment, name).values()
    assert content.decode() == WHOLE[name]


def test_one_file_for_each_kind_where_the_platform_wants_that(segment: Segment) -> None:
    assert exported(segment, "snap") == {
        "ready-to-buy.snap.email.csv": f"{E}\n".encode(),
        "ready-to-buy.snap.phone.csv": f"{P}\n".encode(),
    }


def test_kind_that_nobody_has_any_more_leaves_no_file(segment: Segment) -> None:
    there = destination(segment.folder, "snap")
    anna(segment).export_to(there, identity=("email", "phone"))
    anna(segment).export_to(there, identity=("email",), run_id="run/2")
    assert "ready-to-buy.snap.phone.csv" not in snapshot(segment.folder)


def test_parquet_holds_texts(segment: Segment) -> None:
    anna(segment).with_user("u2", "granted", email="ben@shop.example").export_to(
        destination(segment.folder, "parquet"), identity=("email", "phone")
    )
    (path,) = segment.folder.glob("*.parquet")
    rows = sorted(pq.read_table(path).to_pylist(), key=lambda row: row["phone_sha256"] or "")
    assert [(row["email_sha256"], row["phone_sha256"], row["external_id_sha256"]) for row in rows] == [
        (sha256_hex("ben@shop.example"), None, None),
        (E, PLUS, None),
    ]


CHANGES = {
    "google_ads": {
        "add.csv": f"Email,Phone,First Name,Last Name,Country,Zip\n{E},,,,,\n,{PLUS},,,,\n,,{FIRST},{LAST},DE,04103\n",
        "remove.csv": f"Email,Phone,First Name,Last Name,Country,Zip\n{E},,,,,\n",
    },
    "tiktok": {"add.0001.csv": f"Email_SHA256,Phone_SHA256\n{E},\n,{PLUS}\n"},
    "pinterest": {"add.csv": f"{E}\n", "remove.csv": f"{E}\n"},
    "snap": {"add.email.csv": f"{E}\n", "add.phone.csv": f"{PLUS}\n", "remove.email.csv": f"{E}\n"},
    "ga4_users": {
        "add.0001.csv": "user_id,microconv_ready_to_buy\nu1,true\n",
        "remove.0001.csv": "user_id,microconv_ready_to_buy\nu1,false\n",
    },
    "jsonl": {"add.jsonl": f'{{"email_sha256":"{E}","phone_sha256":null,"external_id_sha256":null}}\n'},
}


@pytest.mark.parametrize("name", CHANGES)
def test_changes_are_written_exactly_so(tmp_path: Path, name: str) -> None:
    there = destination(tmp_path, name)
    audience = there.audience_list("ready-to-buy", "p1")
    everything = [
        Identifier("email", E),
        Identifier("phone", PLUS),
        Identifier("user_id", U),
        Identifier("address", Address(FIRST, LAST, "DE", "04103").identifier),
    ]
    carried = [each for each in everything if there.audience_format.carries(each.kind)]
    if name == "jsonl":
        carried = carried[:1]
    audience.send("add", carried)
    audience.send("remove", carried[:1])
    audience.finish()
    folder = tmp_path / f"ready-to-buy.{name}.pushes" / "p1"
    held = {path.name: path.read_text() for path in folder.iterdir() if path.name != "manifest.json"}
    assert {file: held[file] for file in CHANGES[name]} == CHANGES[name]
    assert {file.partition(".")[0] for file in held} == {"add", "remove"}


@pytest.mark.parametrize("name", [name for name, each in FORMATS.items() if each.suffix == "csv"])
def test_no_cell_starts_a_formula(segment: Segment, name: str) -> None:
    people = segment
    for number, start in enumerate("=+-@\t\r"):
        text = f"{start}1+1"
        people = people.with_user(
            text,
            "granted",
            email=f"{text}@shop.example",
            phone=f"+49170123456{number}",
            first_name=text,
            last_name=text,
        )
    there = destination(segment.folder, name)
    identity = tuple(kind for kind in IDENTITY if kind in there.accepts.identity)
    people.export_to(there, identity=identity, allow_shrink=True)
    cells = [
        cell.strip('"')
        for path in segment.folder.iterdir()
        if path.suffix == ".csv"
        for line in path.read_text().splitlines()
        for cell in line.split(",")
    ]
    assert cells
    assert not [cell for cell in cells if cell[:1] in "=+-@\t\r" and cell]


def test_list_below_the_minimum_of_its_platform_is_warned_about(segment: Segment) -> None:
    minimums = {
        "google_ads": 100,
        "meta": 100,
        "tiktok": 1_000,
        "microsoft_ads": 300,
        "pinterest": 100,
        "linkedin": 300,
    }
    for name, minimum in (minimums | {"snap": 1_000}).items():
        plan = anna(segment).plan(destination(segment.folder, name))
        assert f"1 people are fewer than the {minimum:,} matched users that {name} needs" in plan.warnings[-1]


@pytest.mark.parametrize("name", FORMATS)
def test_nobody_without_consent_is_in_any_file(segment: Segment, name: str) -> None:
    phones = {"granted": "+491701234567", "denied": "+491701234568", "unasked": "+491701234569"}
    people = segment
    for user, phone in phones.items():
        answers = () if user == "unasked" else (user,)
        people = people.with_user(f"user-{user}", *answers, email=f"{user}@shop.example", phone=phone)
    there = destination(segment.folder, name)
    identity = tuple(kind for kind in IDENTITY if kind in there.accepts.identity)
    assert people.export_to(there, identity=identity).written == 1

    def held(user: str) -> bool:
        texts = (f"{user}@shop.example", phones[user], phones[user][1:], f"user-{user}")
        content = "".join(
            str(pq.read_table(path).to_pylist()) if path.suffix == ".parquet" else path.read_text()
            for path in segment.folder.iterdir()
        )
        return any(text in content for raw in texts for text in (raw, sha256_hex(raw)))

    assert [user for user in phones if held(user)] == ["granted"]
