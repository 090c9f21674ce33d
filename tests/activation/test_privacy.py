"""What must hold for every input: nobody leaves without consent, everybody is accounted for, nothing raw is seen."""

from __future__ import annotations

import hashlib
import logging
import re
import tempfile
import traceback
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from segment_builder import NOW, SEVERAL_KINDS, Segment, assert_nothing_raw, file_of, nasty, read_rows

from microconv.activation.audience.normalise import google_email
from microconv.activation.audience.people import ConsentRecord, Person
from microconv.activation.audience.people_tables import read_people
from microconv.activation.audience.reasons import Reason
from microconv.activation.destinations.audience_formats import FORMATS
from microconv.errors import FindingsError, MicroconvError
from microconv.segments.members import Member

USERS = ["u1", "u2", "u3", "u4"]
# Few values, so that people share them; some are invalid, and the Gmail ones are one person to Google.
EMAILS = [None, "a@example.com", "A@Example.com", "b@example.com", "x.y@gmail.com", "xy+1@gmail.com", "nonsense"]
PHONES = [None, "+18005550100", "8005550100", "12", "call"]
PEOPLE = st.builds(
    Person,
    user_id=st.sampled_from(USERS),
    email=st.sampled_from(EMAILS),
    phone=st.sampled_from(PHONES),
    first_name=st.sampled_from([None, "Ann", "-"]),
    last_name=st.sampled_from([None, "Lee"]),
    country=st.sampled_from([None, "US", "=X"]),
    postal_code=st.sampled_from([None, "94016", "@1"]),
)
CONSENTS = st.builds(
    ConsentRecord,
    user_id=st.sampled_from(USERS),
    ad_user_data=st.sampled_from(["granted", "granted", "granted", "denied", None]),
    ad_personalization=st.sampled_from(["granted", "TRUE", "yes", "denied"]),
    changed_at=st.sampled_from(["2026-01-01", "2026-01-02T00:00:00+00:00", "2026-01-03 00:00:00 UTC", "never"]),
)
MEMBERS = st.builds(Member, actor_key=st.integers(0, 2**60), user_id=st.sampled_from([None, *USERS, "stranger"]))


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@settings(max_examples=150, deadline=None)
@example(
    members=[Member(1, "u3")],
    people=[Person("u3", phone="+18005550100"), Person("u4", phone="800 555 0100")],
    consents=[
        ConsentRecord("u3", "granted", "granted", "2026-01-01"),
        ConsentRecord("u4", "denied", "denied", "never"),
    ],
    audience_format="csv",
    identity=("phone", "email"),
)
@given(
    members=st.lists(MEMBERS, max_size=8),
    people=st.lists(PEOPLE, max_size=6),
    consents=st.lists(CONSENTS, max_size=6),
    audience_format=st.sampled_from(SEVERAL_KINDS),
    identity=st.sampled_from([("email",), ("phone", "email"), ("email", "phone", "user_id")]),
)
def test_user_without_consent_is_never_exported_and_counts_reconcile(
    members: list[Member],
    people: list[Person],
    consents: list[ConsentRecord],
    audience_format: str,
    identity: tuple[str, ...],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        segment = Segment(Path(folder), tuple(members), tuple(people), tuple(consents))
        result = segment.export(format=audience_format, identity=identity, allow_shrink=True)
        rows = read_rows(file_of(result))
        rejects = read_rows(Path(folder) / f"ready-to-buy.{audience_format}.rejects.csv")

    assert result.members == len(members) == result.written + sum(result.excluded.values())
    assert len(rows) == result.written
    assert len(rejects) == sum(result.excluded.values())

    # The rule said once more, from the rows and without the product's code.
    def granted(user_id: str) -> bool:
        own = [consent for consent in consents if consent.user_id == user_id]
        if not own or any(consent.changed_at == "never" for consent in own):
            return False
        last = max((consent.changed_at or "")[:10] for consent in own)
        return all(
            consent.ad_user_data == "granted" and consent.ad_personalization != "denied"
            for consent in own
            if (consent.changed_at or "").startswith(last)
        )

    consenting_members = {member.user_id for member in members if member.user_id and granted(member.user_id)}
    denied = {consent.user_id for consent in consents if not granted(consent.user_id)}

    def hashes(users: set[str]) -> set[str]:
        emails = {person.email for person in people if person.user_id in users and person.email}
        phones = {person.phone for person in people if person.user_id in users and person.phone}
        hashed = {sha(email.lower()) for email in emails}
        hashed |= {
            sha("xy@gmail.com") for email in emails if email.endswith("gmail.com") and audience_format == "google_ads"
        }
        number = "18005550100" if audience_format == "meta" else "+18005550100"
        hashed |= {sha(number) for phone in phones if phone.replace(" ", "").endswith("8005550100")}
        return hashed | {sha(user) for user in users}

    keys = ("Email", "Phone", "email", "phone", "email_sha256", "phone_sha256", "external_id_sha256")
    sent = {row[key] for row in rows for key in keys if row.get(key)}
    assert sent <= hashes(consenting_members)
    assert not sent & hashes(denied)
    for row in rows:
        assert any(row.get(key) for key in keys)
    assert len({tuple(row.get(key) for key in keys) for row in rows}) == len(rows)


def test_identifier_shared_with_a_user_who_denied_is_not_sent(segment: Segment) -> None:
    people = segment.with_user("u1", "granted", email="a.b@gmail.com", phone="+18005550100")
    people = people.with_user("u2", "denied", email="AB+shop@gmail.com")
    both = people.export(format="google_ads", identity=("email", "phone"))
    assert [(row["Email"], row["Phone"]) for row in read_rows(file_of(both))] == [("", sha("+18005550100"))]
    with pytest.raises(FindingsError, match="consent_denied 1, shared_with_denied 1"):
        people.export(format="google_ads", segment="by_email", identity=("email",))


def test_consent_is_asked_again_at_every_export(segment: Segment) -> None:
    people = segment.with_users(4)
    people.export()
    withdrawn = ConsentRecord("u0", "denied", "denied", "2026-02-01")
    result = replace(people, consents=(*people.consents, withdrawn)).export(now=NOW + timedelta(days=1))
    assert sha("user0@example.com") not in file_of(result).read_text()
    assert result.excluded == {"consent_denied": 1}


@pytest.mark.parametrize("audience_format", SEVERAL_KINDS)
def test_nothing_raw_is_in_any_file_result_or_log(
    segment: Segment, audience_format: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    people = nasty(segment)
    with caplog.at_level(logging.DEBUG):
        result = people.export(format=audience_format, identity=("email", "phone"))
    assert result.written == 1
    for path in segment.folder.iterdir():
        assert_nothing_raw(path.read_text(encoding="utf-8"))
    captured = capfd.readouterr()
    assert_nothing_raw("".join([repr(result), str(result.document()), caplog.text, captured.out, captured.err]))


@pytest.mark.parametrize(
    "options",
    [
        {"format": "myspace"},
        {"segment": "Not A Name"},
        {"identity": ("user_id",), "format": "google_ads"},
        {"folder": Path("/proc/microconv")},
        {"max_delete_pct": 0},
    ],
)
def test_nothing_raw_is_in_any_error_or_its_traceback(segment: Segment, options: dict[str, Any]) -> None:
    segment.with_users(9).export(identity=("email", "phone"))
    with pytest.raises(MicroconvError) as caught:
        nasty(segment).export(**{"identity": ("email", "phone")} | options)
    assert_nothing_raw("".join(traceback.format_exception(caught.value)))


@pytest.mark.parametrize(
    "content",
    [
        "user-secret-77,Maria.Nasty@example.com\n",
        "user_id,email\nuser-secret-77,Maria.Nasty@example.com,extra\n",
        'user_id,email\nuser-secret-77,"Maria.Nasty@example.com\n',
        "user_id,email\nuser-secret-77,Maria.Nasty@example.com\xff\n",
    ],
)
def test_nothing_raw_is_in_the_error_about_a_broken_identity_file(tmp_path: Path, content: str) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(MicroconvError) as caught:
        tuple(read_people(path))
    assert_nothing_raw("".join(traceback.format_exception(caught.value)))


def test_people_consents_and_members_do_not_show_themselves() -> None:
    assert_nothing_raw(repr(Person("user-secret-77", "Maria.Nasty@example.com", "+18005550100", "Nastyname")))
    assert_nothing_raw(repr(ConsentRecord("user-secret-77", "granted", "granted", "2026-01-01")))
    assert_nothing_raw(repr(Member(1, "user-secret-77")))


def test_gmail_forms_are_one_person_to_google(segment: Segment) -> None:
    assert google_email("x.y@gmail.com") == google_email("xy+1@gmail.com")
    people = segment.with_user("u1", "granted", email="x.y@gmail.com").with_user(
        "u2", "granted", email="xy+1@gmail.com"
    )
    assert people.export(format="google_ads").excluded == {"duplicate_identifier": 1}
    assert people.export(format="csv").excluded == {}


def test_documentation_names_every_reason_format_and_column() -> None:
    docs = Path(__file__).parents[2] / "docs"
    text = (docs / "audiences.md").read_text(encoding="utf-8")
    codes = {reason.value for reason in Reason}
    assert codes == set(re.findall(r"^\| `([a-z_]+)` \| (?:member|value)", text, flags=re.MULTILINE))
    text = (docs / "destinations.md").read_text(encoding="utf-8")
    for name, audience_format in FORMATS.items():
        assert f"`{name}`" in text
        assert f"`{','.join(header for header, _ in audience_format.columns)}`" in text
        assert f"`{audience_format.accepts.normalisation.version}`" in text
