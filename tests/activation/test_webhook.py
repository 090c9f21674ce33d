"""A webhook: what is posted, how it is signed, and what each answer means."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from segment_builder import Segment
from webhook_server import SECRET, AudienceService, serving

from loopback import Told
from microconv import catalogue
from microconv.activation.audience.normalise import sha256_hex
from microconv.activation.destinations.payloads import Payload, payload, payload_in
from microconv.activation.destinations.webhook import WebhookDestination, WebhookList, WebhookSettings
from microconv.activation.push.audience_list import Identifier, RefusedError, TryLaterError, UnsureError
from microconv.clients.outgoing import Reply
from microconv.config.destination_settings import DestinationConfig
from microconv.config.load import load_config
from microconv.errors import ConfigError, UsageError

ANNA, BEN, CARL = (Identifier("email", sha256_hex(f"{name}@shop.example")) for name in ("anna", "ben", "carl"))


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    monkeypatch.setenv("TOOL_KEY", "key-of-the-tool")


@pytest.fixture
def service() -> AudienceService:
    return AudienceService()


@pytest.fixture
def address(service: AudienceService) -> Iterator[str]:
    with serving(service) as address:
        yield address


def webhook(address: str | None, **keys: Any) -> WebhookDestination:
    defaults: dict[str, Any] = {"secret": {"env": "HOOK_SECRET"}, "timeout": "5s"}
    settings = WebhookSettings.model_validate({"name": "crm", "url": address, **defaults, **keys})
    return WebhookDestination(settings)


def list_at(address: str | None, push_id: str = "p1", **keys: Any) -> WebhookList:
    return webhook(address, **keys).audience_list("cart-leavers", push_id)


# What is posted


def test_identifiers_are_posted_signed_and_named(service: AudienceService, address: str) -> None:
    service.scripted = [lambda _: Told(200, {})]
    answer = list_at(address).send("remove", [ANNA, BEN])
    ((headers, document),) = service.requests
    assert document == {
        "version": 1,
        "request_id": headers["idempotency-key"],
        "push_id": "p1",
        "segment": "cart-leavers",
        "operation": "remove",
        "identifiers": [
            {"kind": "email", "value": each.value, "reason": "unknown", "consent": {"state": "unknown"}}
            for each in (ANNA, BEN)
        ],
    }
    assert (answer.state, answer.request_id) == ("success", headers["idempotency-key"])
    assert headers["content-type"] == "application/json"


def test_request_of_another_secret_is_refused_by_its_receiver(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", "another")
    with pytest.raises(RefusedError, match="HTTP 401: it does not accept our key or signature") as caught:
        list_at(address).send("add", [ANNA])
    assert caught.value.rows == ()


def test_name_of_a_request_is_the_same_for_the_same_and_another_in_another_push() -> None:
    names = [
        list_at("http://127.0.0.1:9", push_id)._signing.request_id(push_id, operation, identifiers)
        for push_id, operation, identifiers in [
            ("p1", "add", [ANNA]),
            ("p1", "add", [ANNA]),
            ("p2", "add", [ANNA]),
            ("p1", "remove", [ANNA]),
            ("p1", "add", [BEN]),
        ]
    ]
    assert names[0] == names[1]
    assert len(set(names)) == 4
    assert sha256_hex(f"p1\nadd\nemail\n{ANNA.value}")[:32] not in names


# What an answer means


def answered(service: AudienceService, address: str, told: Told, **keys: Any) -> Any:
    service.scripted = [lambda _: told]
    return list_at(address, **keys).send("add", [ANNA, BEN, CARL])


@pytest.mark.parametrize(
    ("told", "state", "rejected"),
    [
        (Told(200), "success", None),
        (Told(204), "success", None),
        (Told(200, {"rejected": 0}), "success", None),
        (Told(200, {"rejected": 2}), "partial", 2),
        (Told(200, {"rejected": 7}), "failed", 3),
        (Told(200, {"rejected": True}), "success", None),
        (Told(202), "unknown", None),
        (Told(202, {}, {"Location": "https://elsewhere.example/status/1"}), "unknown", None),
        (Told(202, {}, {"Location": "//elsewhere.example/status/1"}), "unknown", None),
        (Told(202, {"status_url": 5}), "unknown", None),
    ],
)
def test_good_answers(service: AudienceService, address: str, told: Told, state: str, rejected: int | None) -> None:
    answer = answered(service, address, told)
    assert (answer.state, answer.rejected) == (state, rejected)


@pytest.mark.parametrize("form", ["header", "whole", "document"])
def test_what_was_accepted_is_asked_later(service: AudienceService, address: str, form: str) -> None:
    place = "/status/r1"
    whole = address.removesuffix("/audiences") + place
    told = {
        "header": Told(202, {}, {"Location": place}),
        "whole": Told(202, {}, {"Location": whole}),
        "document": Told(202, {"status_url": place}),
    }[form]
    answer = answered(service, address, told)
    assert (answer.state, answer.request_id) == ("accepted", place)
    later = list_at(address, "p2")
    assert later.ask(place).state == "unknown"
    for document, state, rejected in [
        ({"state": "accepted"}, "accepted", None),
        ({"state": "partial", "rejected": 1}, "partial", 1),
        ({"state": "failed"}, "failed", None),
        ({"state": "success"}, "success", None),
        ({"state": "success", "rejected": 1}, "partial", 1),
        ({"state": "unknown"}, "unknown", None),
    ]:
        service.became["r1"] = document
        asked = later.ask(place)
        assert (asked.state, asked.rejected) == (state, rejected)
    service.became["r1"] = {"state": "whatever"}
    with pytest.raises(UnsureError):
        later.ask(place)
    assert later.ask("https://elsewhere.example/").state == "unknown"


@pytest.mark.parametrize(
    ("told", "wait"),
    [
        (Told(429, headers={"Retry-After": "7"}), timedelta(seconds=7)),
        (Told(429), None),
        (Told(503, headers={"Retry-After": "soon"}), None),
        (Told(503, headers={"Retry-After": "99999999999"}), timedelta(days=1)),
    ],
)
def test_busy_server_is_tried_later(service: AudienceService, address: str, told: Told, wait: timedelta | None) -> None:
    with pytest.raises(TryLaterError) as caught:
        answered(service, address, told)
    assert caught.value.retry_after == wait


def test_wait_until_a_moment_is_understood() -> None:
    reply = Reply(503, {"retry-after": "Sun, 01 Mar 2026 08:01:00 GMT"}, None)
    assert reply.retry_after(datetime(2026, 3, 1, 8, 0, tzinfo=UTC)) == timedelta(minutes=1)
    assert reply.retry_after(datetime(2026, 3, 1, 9, 0, tzinfo=UTC)) == timedelta(0)


@pytest.mark.parametrize(
    ("told", "rows"),
    [
        (Told(422, {"errors": [{"pointer": "/identifiers/1/value"}]}), (1,)),
        (Told(422, {"errors": [{"source": {"pointer": "#/identifiers/2"}}, {"pointer": "/identifiers/0"}]}), (0, 2)),
        (Told(400, {"errors": [{"pointer": "/identifiers/3"}]}), None),  # there is no such row
        (Told(400, {"errors": [{"pointer": "/segment"}]}), None),
        (Told(400, [[[[[[[[[[[{"pointer": "/identifiers/1"}]]]]]]]]]]]), None),
        (Told(413), None),
        (Told(403), ()),
        (Told(410), ()),
        (Told(302, headers={"Location": "https://elsewhere.example/"}), ()),
    ],
)
def test_refusals_name_their_rows(
    service: AudienceService, address: str, told: Told, rows: tuple[int, ...] | None
) -> None:
    with pytest.raises(RefusedError) as caught:
        answered(service, address, told)
    assert caught.value.rows == rows
    assert len(service.requests) == 1


@pytest.mark.parametrize("told", [Told(hangs_up=True), Told(500), Told(502), Told(408), Told(409), Told(425)])
def test_whether_it_took_effect_is_unsure(service: AudienceService, address: str, told: Told) -> None:
    with pytest.raises(UnsureError):
        answered(service, address, told)
    assert len(service.requests) == 1


def test_server_that_is_silent_is_unsure_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(UnsureError, match="no answer within 1 s"):
        list_at(f"http://127.0.0.1:{silent.getsockname()[1]}/", timeout="1s").send("add", [ANNA])


def test_answer_cut_off_is_unsure() -> None:
    def cut(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=cut, args=(server,))
        thread.start()
        with pytest.raises(UnsureError):
            list_at(f"http://127.0.0.1:{server.getsockname()[1]}/").send("add", [ANNA])
        thread.join()


def test_nothing_was_sent_where_there_is_no_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(TryLaterError, match="there was no connection"):
        list_at(f"http://127.0.0.1:{port}/").send("add", [ANNA])


def test_text_of_an_answer_and_what_was_sent_are_shown_nowhere(
    service: AudienceService, address: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    clear = Identifier("email", "anna.raw@shop.example")
    told = Told(422, {"errors": [{"pointer": "/identifiers/0", "detail": "anna.raw@shop.example"}]}, {"X": "anna.raw"})
    service.scripted = [
        lambda _: told,
        lambda _: Told(500, "anna.raw"),
        lambda _: Told(202, {"status_url": "anna.raw"}),
    ]
    audience = list_at(address, in_clear=["email"])
    said = [repr(audience), repr(webhook(address)), repr(webhook(address).settings)]
    with caplog.at_level(logging.DEBUG):
        for _ in range(2):
            with pytest.raises((RefusedError, UnsureError)) as caught:
                audience.send("add", [clear])
            said += [str(caught.value), repr(caught.value), repr(caught.value.__cause__)]
        said.append(repr(audience.send("add", [clear])))
    shown = "".join([*said, caplog.text, *capfd.readouterr()])
    assert "HTTP 422" in shown
    assert "anna.raw" not in shown
    assert SECRET not in shown


def test_what_the_payload_does_not_carry_is_refused_by_its_place(address: str) -> None:
    with pytest.raises(RefusedError) as caught:
        list_at(address).send("add", [ANNA, Identifier("address", "a\tb\tDE\t1")])
    assert caught.value.rows == (1,)


# Settings


def problem(tmp_path: Path, lines: str) -> str:
    path = tmp_path / "microconv.toml"
    start = '[project]\ntimezone = "UTC"\n\n[[sources]]\nproperty = "1"\npath = "e_*.parquet"\n\n'
    path.write_text(f'{start}[[destinations]]\nname = "crm"\nkind = "webhook"\n{lines}')
    with pytest.raises(ConfigError) as caught:
        load_config(path, {}, catalogue.destination_settings)
    return caught.value.message


GOOD = 'url = "https://hooks.example.com/x"\nsecret = { env = "HOOK_SECRET" }\n'


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('url = "https://h.example/"\nsecret = "hunter2-in-clear"\n', "secret holds a secret in clear"),
        (GOOD + 'token = "hunter2-in-clear"\n', "token holds a secret in clear"),
        ('url = "https://h.example/"\nsecret = { env = "A", file = "b" }\n', 'needs either env = "NAME" or file'),
        ('url = "https://h.example/"\nsecret = { env = "hunter2 in-clear" }\n', "is not the name of an environment"),
        ('url = "https://h.example/"\nsecret = {}\n', 'needs either env = "NAME" or file'),
        ('secret = { env = "A" }\n', "url is required: where to post to"),
        ('url = "https://h.example/"\n', "secret is required: it signs each request"),
        ('url = "https://me:hunter2-in-clear@h.example/"\nsecret = { env = "A" }\n', "a user or a password in clear"),
        (
            'url = "https://h.example/?api_key=hunter2-in-clear"\nsecret = { env = "A" }\n',
            "looks like a secret in clear",
        ),
        ('url = "http://h.example/"\nsecret = { env = "A" }\n', "must begin with https://"),
        ('url = "http://127.0.0.1.evil.example/"\nsecret = { env = "A" }\n', "must begin with https://"),
        ('url = "ftp://h.example/"\nsecret = { env = "A" }\n', "is not an address such as"),
        ('url = "https://h.example:port/"\nsecret = { env = "A" }\n', "is not an address such as"),
        ('payload = "klaviyo"\n', 'token is required with payload = "klaviyo"'),
        ('payload = "braze"\ntoken = { env = "A" }\n', "url is required"),
        (
            'payload = "mailchimp"\nurl = "https://us1.api.mailchimp.com/3.0/lists/1"\ntoken = { env = "A" }\n',
            "list is req",
        ),
        (GOOD + 'payload = "hubspot"\npayload_file = "x.json"\n', "cannot be given beside payload"),
        (
            'payload = "hubspot"\ntoken = { env = "A" }\nmost_identifiers = 101\n',
            "most_identifiers = 101 is more than hubspot takes at once (100)",
        ),
        (GOOD + "most_identifiers = 0\n", "most_identifiers = 0 must be at least 1"),
    ],
)
def test_mistakes_are_told_and_no_secret_is_shown(tmp_path: Path, lines: str, said: str) -> None:
    message = problem(tmp_path, lines)
    assert said in message
    assert "hunter2" not in message


def test_missing_secret_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOOK_SECRET")
    with pytest.raises(
        ConfigError, match="secret of the destination crm is missing: the environment variable HOOK_SECRET"
    ):
        list_at("https://hooks.example.com/")


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        (b"s3cret\n", 0o600, None),
        (b"s3cret\n", 0o400, None),
        (b"s3cret\n", 0o640, "others than its owner may use"),
        (b"s3cret\n", 0o604, "others than its owner may use"),
        (b"\n", 0o600, "is empty"),
        ("geheimniß".encode(), 0o600, "characters that cannot be in a header"),
        (b"two\nlines", 0o600, "characters that cannot be in a header"),
        (b"x" * 100_000, 0o600, "is too large"),
    ],
)
def test_secret_in_a_file(tmp_path: Path, content: bytes, mode: int, said: str | None) -> None:
    path = tmp_path / "hook"
    path.write_bytes(content)
    path.chmod(mode)
    if said is None:
        assert list_at("https://hooks.example.com/", secret={"file": str(path)})._signing.headers(b"")
        return
    with pytest.raises(ConfigError, match=said) as caught:
        list_at("https://hooks.example.com/", secret={"file": str(path)})
    assert caught.value.exit_code == 2
    assert "s3cret" not in str(caught.value).replace(str(path), "")


def test_file_of_a_secret_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        list_at("https://hooks.example.com/", secret={"file": str(tmp_path / "none")})


def test_webhook_takes_no_exports(segment: Segment) -> None:
    with pytest.raises(UsageError, match=r"The destination crm \(webhook\) takes no exports") as caught:
        segment.with_users(1).export_to(webhook("https://hooks.example.com/"))
    assert "microconv push" in caught.value.hint


def test_kind_is_in_the_catalogue(tmp_path: Path) -> None:
    entry = DestinationConfig(
        name="crm", kind="webhook", url="https://hooks.example.com/", secret={"env": "HOOK_SECRET"}
    )
    assert isinstance(catalogue.destination(entry, tmp_path / "microconv.toml"), WebhookDestination)


# Payloads

TOOLS = {
    "klaviyo": {},
    "hubspot": {},
    "mailchimp": {"list": "seg 7"},
    "braze": {},
}


@pytest.mark.parametrize("name", TOOLS)
def test_payload_of_a_tool_is_what_it_documents(service: AudienceService, address: str, name: Any) -> None:
    service._is_signed = lambda *_: True  # type: ignore[method-assign]  # the tools know no signature of ours
    service.scripted = [lambda _: Told(200, {"data": {"id": "job-1"}})] * 2
    keys = {"payload": name, "secret": None, "token": {"env": "TOOL_KEY"}, **TOOLS[name]}
    audience = list_at(address, **keys)
    clear = Identifier("email", "anna@shop.example")
    for operation in ("add", "remove"):
        audience.send(operation, [clear])  # type: ignore[arg-type]  # both are operations
    (headers, added), (_, removed) = service.requests
    assert "key-of-the-tool" in headers["authorization"] or name == "mailchimp"
    assert json.dumps(added).count("anna@shop.example") == 1
    assert json.dumps(removed).count("anna@shop.example") == 1
    assert added != removed
    wanted = {
        "klaviyo": {"microconv_cart_leavers": True},
        "hubspot": {"microconv_cart_leavers": "true"},
        "mailchimp": {"members_to_add": ["anna@shop.example"]},
        "braze": {"_update_existing_only": True, "microconv_cart_leavers": True},
    }[name]
    assert json.dumps(wanted)[1:-1] in json.dumps(added)
    assert payload(name).source.startswith("https://")
    assert "email" in webhook(address, **keys).accepts.in_clear


def test_key_of_mailchimp_is_a_password(address: str) -> None:
    keys = {"payload": "mailchimp", "secret": None, "token": {"env": "TOOL_KEY"}, "list": "7"}
    assert list_at(address, **keys)._own_headers("")["Authorization"] == "Basic bWljcm9jb252OmtleS1vZi10aGUtdG9vbA=="


def test_job_of_klaviyo_is_asked_later(service: AudienceService, address: str) -> None:
    service._is_signed = lambda *_: True  # type: ignore[method-assign]  # the tools know no signature of ours
    keys = {"payload": "klaviyo", "secret": None, "token": {"env": "TOOL_KEY"}}
    audience = list_at(address, **keys)
    service.scripted = [lambda _: Told(202, {"data": {"id": "job-1"}})]
    answer = audience.send("add", [Identifier("email", "anna@shop.example")])
    assert (answer.state, answer.request_id) == ("accepted", "/api/profile-bulk-import-jobs/job-1")
    for status, failed, state in [
        ("processing", 0, "accepted"),
        ("complete", 0, "success"),
        ("complete", 2, "partial"),
    ]:
        told = Told(200, {"data": {"attributes": {"status": status, "failed_count": failed}}})
        service.get = lambda _, told=told: told  # type: ignore[method-assign, misc]  # one answer
        assert audience.ask(str(answer.request_id)).state == state


OWN = {
    "add": {"body": {"who": [{"$each": {"email": "{{value}}"}}], "in": "{{segment}}"}},
    "remove": {"body": {"who": [{"$each": {"email": "{{value}}"}}], "out": "{{segment}}"}},
}


def test_payload_of_ones_own(service: AudienceService, address: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(OWN))
    service.scripted = [lambda _: Told(200)]
    list_at(address, payload_file=str(path)).send("add", [ANNA])
    assert service.requests[0][1] == {"who": [ANNA.value], "in": "cart-leavers"}


def test_values_are_never_read_as_places(service: AudienceService, address: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(OWN))
    service.scripted = [lambda _: Told(200)]
    evil = Identifier("email", '{{segment}}", "x": "')
    list_at(address, payload_file=str(path)).send("add", [evil])
    assert service.requests[0][1]["who"] == [evil.value]


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"add": OWN["add"]}, "remove: Field required"),
        (OWN | {"add": {"body": {}}}, r"add.body needs one list that holds"),
        (OWN | {"add": {"body": {"who": [{"$each": {"email": "{{token}}"}}]}}}, "names token, which nothing fills"),
        (OWN | {"add": {"body": {"who": [{"$each": {"fax": "{{value}}"}}]}}}, "has an element for each of"),
        (OWN | {"add": {"body": {"who": [{"$each": {"phone": "{{value}}"}}]}}}, "what can be added must be removable"),
        (OWN | {"headers": {"X": "{{value}}"}}, "headers name value, which nothing fills"),
        (
            OWN | {"add": {"body": {"since": "{{since}}", "who": [{"$each": {"email": "{{value}}"}}]}}},
            "add names since, which nothing fills",
        ),
        (OWN | {"examine": ["/lists/{{segment}}"]}, "examine names segment, which nothing fills"),
        (OWN | {"code": "print()"}, "code: Extra inputs are not permitted"),
    ],
)
def test_payload_that_cannot_be_used_is_told(tmp_path: Path, document: Any, said: str) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(document))
    with pytest.raises(ConfigError, match=said):
        payload_in(path)


def test_payload_that_is_not_json_is_told(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text("{")
    with pytest.raises(ConfigError, match="is not a payload"):
        payload_in(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        payload_in(tmp_path / "none.json")


def test_identifiers_in_clear_are_normalised_and_consented(segment: Segment) -> None:
    destination = webhook("https://hooks.example.com/", in_clear=["email", "user_id"])
    people = (
        segment.with_user("u1", "granted", email=" Anna@Shop.example ", phone="+49 170 1234567")
        .with_user("u2", "denied", email="ben@shop.example")
        .with_user("=1+1", "granted", email="carl@shop.example")
    )
    plan = people.plan(destination, identity=("email", "phone", "user_id"))
    rows = [(row.email, row.phone, row.external_id) for row in plan.audience.rows]
    assert sorted(rows) == [
        ("anna@shop.example", sha256_hex("+491701234567"), "u1"),
        ("carl@shop.example", "", ""),
    ]
    assert plan.audience.values_left_out == {"unsafe_user_id": 1}
    assert "shop.example" not in repr(plan)


def test_shapes_of_ours_are_payloads() -> None:
    assert all(isinstance(payload(name), Payload) for name in ("microconv", *TOOLS))  # type: ignore[arg-type]  # names
