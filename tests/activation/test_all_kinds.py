"""What holds for every kind of destination of ours: what is loaded when, what a missing package, credential or secret
leads to, and what a million people cost in requests."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pushed_shop import Shop

from microconv import catalogue
from microconv.activation.destinations.base import Destination
from microconv.config.destination_settings import DestinationConfig
from microconv.errors import UsageError

ROOT = Path(__file__).parents[2]
NOWHERE = "http://127.0.0.1:9"
SECRET = {"env": "A_SECRET"}
OF_TOOL = {"kind": "webhook", "token": SECRET, "url": f"{NOWHERE}/"}
KINDS: dict[str, dict[str, Any]] = {
    "files": {"kind": "file", "format": "csv"},
    "warehouse": {"kind": "table"},
    "hook": {"kind": "webhook", "url": f"{NOWHERE}/", "secret": SECRET},
    "klaviyo": {**OF_TOOL, "payload": "klaviyo"},
    "hubspot": {**OF_TOOL, "payload": "hubspot"},
    "braze": {**OF_TOOL, "payload": "braze"},
    "mailchimp": {**OF_TOOL, "payload": "mailchimp", "list": "7"},
    "google_ads": {"kind": "google_ads", "customer_id": "1234567890", "accepts_customer_match_terms": True},
    "ga4": {"kind": "ga4", "ga4_property": "123456789", "stream": "G-TESTS12345"},
    "ga4_unconfirmed": {
        "kind": "ga4",
        "ga4_property": "123456789",
        "stream": "G-TESTS12345",
        "via": "measurement_protocol",
        "api_secret": SECRET,
    },
    "meta": {"kind": "meta", "ad_account": "act_1234567890", "access_token": SECRET, "endpoint": NOWHERE},
}
PACKAGES = {"google-ads": ("google.ads.datamanager_v1",), "ga4": ("google.ads.datamanager_v1",)}
"""What is imported of an extra before the first request; one that brings nothing is not here."""
WITHOUT_A_KEY = ("files", "warehouse")
WITH_GOOGLE = ("google_ads", "ga4")
IDENTITY = '["email", "phone", "user_id"]'
VENDORS = ("google.ads", "google.analytics", "google.auth", "grpc", "requests", "urllib3")


def made(name: str) -> Destination:
    return catalogue.destination(DestinationConfig(name=name, **KINDS[name]), ROOT / "microconv.toml")


def of_kinds(*names: str) -> str:
    return "\n".join(entry_of(name, KINDS[name]) for name in names)


def entry_of(name: str, entry: dict[str, Any]) -> str:
    """An entry of [[destinations]]."""

    def value(of: object) -> str:
        if isinstance(of, dict):
            return "{ " + ", ".join(f"{key} = {value(each)}" for key, each in of.items()) + " }"
        return json.dumps(of)

    keys = (f"{key} = {value(each)}" for key, each in {"name": name, **entry}.items())
    return "\n".join(("[[destinations]]", *keys))


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A shop with a destination of each kind; this machine has no credentials and no secrets."""
    for name in ("A_SECRET", "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "no-gcloud"))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    shop = Shop(tmp_path / "shop")
    path = shop.folder / "microconv.toml"
    text = path.read_text().replace('identity = ["email", "phone"]', 'identity = ["email", "phone", "user_id"]')
    path.write_text(f"{text}\n{of_kinds(*(name for name in KINDS if name != 'files'))}\n")
    return shop


def findings(shop: Shop) -> dict[str, list[str]]:
    """Messages and remedies of errors that the doctor finds, by destination."""
    done = shop.run("doctor", "--format", "json")
    assert done.code == 1
    checks = [each for each in done.document["checks"] if each["check"] == "destinations"]
    told: dict[str, list[str]] = {each["message"].partition(" (")[0]: [] for each in checks}
    for each in checks:
        if each["severity"] == "error":
            told[each["message"].partition(" (")[0]].append(f"{each['message']} {each['remedy']}")
    return told


def test_every_kind_is_among_those_that_are_tested() -> None:
    assert {each["kind"] for each in KINDS.values()} == set(catalogue.DESTINATIONS)


def test_every_extra_is_one_that_can_be_installed() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    needed = {extra for name in KINDS if (extra := made(name).extra) is not None}
    assert needed <= set(extras)
    assert {extra for extra in needed if extras[extra]} == set(PACKAGES)


# What is loaded when

LOAD = f"""
import json, os, sys
os.environ["A_SECRET"] = "x"
from microconv.project import Project
from pathlib import Path
project = Project.load(Path(sys.argv[1]))
for entry in project.config.destinations:
    destination = project.destination(entry.name)
    destination.accepts
    destination.list_place("carts")
    if entry.kind not in ("table", "file"):
        destination.audience_list("carts", "p1").limits
print(json.dumps(sorted(name for name in sys.modules if name.startswith({VENDORS!r}))))
"""


def test_nothing_of_a_vendor_is_imported_before_it_is_used(shop: Shop) -> None:
    config = shop.folder / "microconv.toml"
    text = config.read_text().replace('destinations = ["crm"]', "")
    config.write_text(re.sub(r'\[\[destinations\]\]\nname = "crm"[^[]*', "", text))
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(config)], check=True, capture_output=True, text=True, timeout=120
    )
    assert json.loads(done.stdout) == []


# Without the package of an extra


@pytest.mark.parametrize("name", [name for name in KINDS if made(name).extra in PACKAGES and name in WITH_GOOGLE])
def test_missing_package_is_told_with_the_command_that_installs_it(
    shop: Shop, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = made(name).extra
    assert extra is not None
    for package in PACKAGES[extra]:
        monkeypatch.setitem(sys.modules, package, None)
    command = f'pip install "microconv[{extra}]"'
    for options in ((), ("--dry-run",)):
        done = shop.run("push", "carts", "--to", name, *options)
        done.assert_failed(2, "needs a package that is not installed", command)
    told = findings(shop)
    assert any(command in each for each in told[name])
    # The others are looked at still, and those that need nothing are well.
    assert told.keys() == {*KINDS, "crm"}
    assert [told[each] for each in (*WITHOUT_A_KEY, "crm")] == [[], [], []]
    # What needs no package works.
    assert shop.run("push", "carts", "--to", "files").code == 0
    assert shop.run("push", "status").code == 0


# Without credentials or secrets


@pytest.mark.parametrize("name", [name for name in KINDS if name not in WITHOUT_A_KEY])
def test_missing_credentials_are_exit_code_2_and_named(shop: Shop, name: str) -> None:
    missing = "credentials" if name in WITH_GOOGLE else "A_SECRET"
    for options in ((), ("--dry-run",)):
        done = shop.run("push", "carts", "--to", name, *options)
        done.assert_failed(2, missing)
        assert "connection" not in done.stderr, "nothing is sent without them"


def test_the_doctor_names_all_credentials_that_are_missing(shop: Shop) -> None:
    told = findings(shop)
    assert {name for name, errors in told.items() if errors} == KINDS.keys() - set(WITHOUT_A_KEY)
    for name, errors in told.items():
        assert all(("credentials" if name in WITH_GOOGLE else "A_SECRET") in each for each in errors)


@pytest.mark.parametrize("name", WITH_GOOGLE)
@pytest.mark.parametrize("content", [None, "{}", "not JSON"], ids=["absent", "empty", "broken"])
def test_a_key_file_that_is_none_is_named(shop: Shop, name: str, content: str | None) -> None:
    path = shop.folder / "microconv.toml"
    path.write_text(path.read_text().replace(f'name = "{name}"', f'name = "{name}"\ncredentials_file = "key.json"'))
    if content is not None:
        (shop.folder / "key.json").write_text(content)
        (shop.folder / "key.json").chmod(0o600)
    shop.run("push", "carts", "--to", name).assert_failed(2, "key.json")


# One list, one segment


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("google_ads", 'lists = { carts = "77", buyers = "77" }'),
        ("meta", 'audiences = { carts = "77", buyers = "77" }'),
        ("hubspot", 'property = "in_a_segment"'),
        ("mailchimp", ""),
    ],
)
def test_two_segments_on_one_list_are_refused_before_anything_is_asked(
    shop: Shop, name: str, keys: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_SECRET", "x")
    path = shop.folder / "microconv.toml"
    text = path.read_text().replace(f'name = "{name}"', f'name = "{name}"\n{keys}')
    path.write_text(
        text.replace('name = "buyers"', f'name = "buyers"\nidentity = ["email"]\ndestinations = ["{name}"]')
    )
    done = shop.run("push", "carts", "--to", name)
    done.assert_failed(2, f"The segments carts and buyers would share a list at {name}")


Keys = dict[str, Any]


@pytest.mark.parametrize(
    ("name", "keys", "others"),
    [
        ("google_ads", {"lists": {"carts": "77"}}, {"lists": {"carts": "77"}}),
        ("google_ads", {"lists": {"carts": "77"}}, {"lists": {"buyers": "77"}}),
        ("meta", {"audiences": {"carts": "77"}}, {"audiences": {"carts": "77"}, "ad_account": "act_9876543210"}),
        ("ga4", {}, {}),
        ("ga4", {"user_properties": {"carts": "left"}}, {"user_properties": {"buyers": "left"}}),
        ("ga4", {}, {"stream": "G-TESTS67890", "via": "measurement_protocol", "api_secret": SECRET}),
        ("hook", {}, {}),
        ("klaviyo", {}, {"url": f"{NOWHERE}/other"}),
        ("hubspot", {"property": "in_it"}, {"property": "in_it"}),
        ("mailchimp", {}, {"token": {"env": "OTHER"}}),
    ],
)
def test_two_destinations_with_one_list_are_refused_before_anything_is_asked(
    tmp_path: Path, name: str, keys: Keys, others: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(type(made(name)), "check_ready", lambda self: asked.append(self.settings.name))
    segment = "buyers" if "buyers" in str(others) else "carts"
    shop = two_of(tmp_path, name, keys, others, segment)
    said = f"The segment carts at here and the segment {segment} at other would share a list"
    for command in (
        ("push", "carts", "--to"),
        ("push", "retire", "carts", "--from"),
        ("push", "sweep", "carts", "--from"),
    ):
        shop.run(*command, "here").assert_failed(2, said)
    assert asked == []


@pytest.mark.parametrize(
    ("name", "keys", "others"),
    [
        ("google_ads", {}, {}),
        ("google_ads", {"lists": {"carts": "77"}}, {"lists": {"carts": "78"}}),
        ("google_ads", {"lists": {"carts": "77"}}, {"lists": {"carts": "77"}, "customer_id": "9876543210"}),
        ("meta", {}, {}),
        ("meta", {"audiences": {"carts": "77"}}, {}),
        ("ga4", {}, {"stream": "1:1234567890:android:321abc456def7890"}),
        ("ga4", {}, {"ga4_property": "987654321"}),
        ("hook", {}, {"url": f"{NOWHERE}/other"}),
        ("hubspot", {}, {"property": "in_it"}),
        ("hubspot", {}, {"token": {"env": "OTHER"}}),
        ("mailchimp", {}, {"list": "8"}),
        ("mailchimp", {}, {"url": f"{NOWHERE}/other"}),
        ("warehouse", {}, {}),
    ],
)
def test_two_destinations_of_one_kind_have_lists_of_their_own(
    tmp_path: Path, name: str, keys: Keys, others: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(self: Destination) -> None:
        raise UsageError(f"asked {self.settings.name}", hint="Stop.")

    monkeypatch.setattr(type(made(name)), "check_ready", asked)
    monkeypatch.setenv("A_SECRET", "x")
    done = two_of(tmp_path, name, keys, others, "carts").run("push", "carts", "--to", "here")
    done.assert_failed(2, "asked here")


def two_of(folder: Path, name: str, keys: Keys, others: Keys, segment: str) -> Shop:
    """A shop with two destinations of a kind, here and other, each with keys of its own; a segment goes to other."""
    shop = Shop(folder / "shop")
    path = shop.folder / "microconv.toml"
    text = path.read_text().replace('destinations = ["crm"]', "destinations = []")
    text = text.replace('identity = ["email", "phone"]\ndestinations = []', f"identity = {IDENTITY}\ndestinations = []")
    if segment == "carts":
        text = text.replace("destinations = []", 'destinations = ["other"]')
    else:
        text = text.replace(
            f'name = "{segment}"', f'name = "{segment}"\nidentity = {IDENTITY}\ndestinations = ["other"]'
        )
    two = {"here": {**KINDS[name], **keys}, "other": {**KINDS[name], **others}}
    path.write_text("\n".join((text, *(entry_of(one, each) for one, each in two.items()), "")))
    return shop


# What a million costs


def test_the_table_of_requests_says_what_the_code_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", "x")
    text = (ROOT / "docs" / "destinations.md").read_text().partition("## What a push costs")[2]
    rows = re.findall(r"^\| `(\w+)`[^|]* \| ([\d,]+)[^|]* \| ([\d,]+)[^|]* \| ([^|]+) \|$", text, re.MULTILINE)
    told = {name: (_number(most), _number(requests), minute) for name, most, requests, minute in rows}
    asked = [name for name in KINDS if name not in WITHOUT_A_KEY]
    assert told.keys() == set(asked)
    for name in asked:
        limits = made(name).audience_list("carts", "p1").limits
        most = 1 if name == "ga4_unconfirmed" else limits.most_identifiers
        rate = limits.requests_per_minute
        assert told[name] == (most, -(-1_000_000 // most), "any number" if rate is None else f"{rate:,}"), name


def _number(text: str) -> int:
    return int(text.replace(",", ""))
