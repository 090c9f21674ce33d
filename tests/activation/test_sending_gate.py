"""What must hold before anything is sent: from events to a destination, with guardrails and questions of ethics."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest
from pushed_shop import TODAY, Shop, emails

import ga4

SPEED = """
[[external_metrics]]
name = "speed"
path = "speed.csv"

[[guardrails]]
name = "speed"
external = "page_speed"
at_most = 2.5
"""
FORBIDDEN = "Nothing is sent but removals of people who refused."


def configure(shop: Shop, more: str, *, of_segment: str = 'guardrails = ["speed"]', of_push: str = "") -> None:
    shop.of_segment, shop.of_push = of_segment, of_push
    shop.configure()
    file = shop.folder / "microconv.toml"
    file.write_text(f"{file.read_text()}\n{more}")


def measure(shop: Shop, value: float, *, days_ago: int = 1) -> None:
    """Let the page have been that fast or slow for two weeks, and stage it."""
    days = [TODAY - timedelta(days=days_ago + number) for number in range(14)]
    rows = [f"{day},page_speed,{value + place % 2 / 10}" for place, day in enumerate(days)]
    (shop.folder / "speed.csv").write_text("\n".join(("day,name,value", *rows, "")))
    assert shop.run("sync").code == 0


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    made = Shop(tmp_path, size=4)
    configure(made, SPEED)
    return made


def kept(shop: Shop) -> list[tuple[str, ...]]:
    """What is written down of guardrails that were looked at."""
    with duckdb.connect(shop.folder / "microconv.duckdb", read_only=True) as opened:
        columns = "kind, name, destination, guardrail, state, decision"
        return opened.execute(f"SELECT {columns} FROM mc_guardrail_checks ORDER BY checked_at, destination").fetchall()


def bounced_shop(folder: Path, bounced: int) -> Shop:
    """A shop with ten visits on each of eight days, of which some bounce, staged from its events."""
    shop = Shop(folder)
    shutil.rmtree(shop.folder / "exports")
    (shop.folder / "exports").mkdir()
    for ago in range(1, 9):
        day, events = TODAY - timedelta(days=ago), []
        for visit in range(10):
            who = {"client": f"{visit}.{visit}", "session": 100 * ago + visit, "user_id": f"u{visit + 1}"}
            events.append(ga4.event(f"{day} 10:00:{visit:02d}", "page_view", **who))
            if visit >= bounced:
                events.append(ga4.event(f"{day} 10:01:{visit:02d}", "page_view", **who))
            if visit < 4:
                events.append(ga4.event(f"{day} 10:00:{visit + 20:02d}", "add_to_cart", **who))
        ga4.write_parquet(shop.folder / "exports" / f"{ga4.shard_name(day)}.parquet", events)
    more = '[[guardrails]]\nname = "bounce"\nmetric = "bounce_rate"\nat_most = 0.3\n'
    configure(shop, more, of_segment='guardrails = ["bounce"]')
    assert shop.run("sync").code == 0
    return shop


def test_breached_guardrail_stops_a_push_from_events_to_the_destination(tmp_path: Path):
    shop = bounced_shop(tmp_path, 6)

    for arguments in (("push", "--dry-run"), ("push",)):
        done = shop.run(*arguments)
        assert done.code == 1, done
        assert "guardrail bounce is breached: bounce rate 60.0% (95% interval" in done.stderr
        assert FORBIDDEN in done.stderr
        assert "--allow-guardrail bounce" in done.stderr
        assert (shop.requests, shop.listed) == ([], set())

    done = shop.run("push", "--allow-guardrail", "bounce")

    assert done.code == 0, done
    assert "let through by --allow-guardrail" in done.stderr
    assert shop.listed == emails(1, 2, 3, 4)
    assert kept(shop) == [
        ("segment", "carts", "crm", "bounce", "breached", "stopped"),
        ("segment", "carts", "crm", "bounce", "breached", "allowed"),
    ]


def test_guardrail_that_holds_lets_the_same_push_through(tmp_path: Path):
    shop = bounced_shop(tmp_path, 1)

    dry = shop.run("push", "--dry-run")
    assert dry.code == 0, dry
    assert "guardrail bounce holds: bounce rate 10.0%" in dry.stdout
    done = shop.run("push")

    assert (done.code, done.stderr.count("bounce")) == (0, 0)
    assert shop.listed == emails(1, 2, 3, 4)
    assert kept(shop) == [("segment", "carts", "crm", "bounce", "ok", "passed")]


def test_guardrail_that_was_never_measured_stops_a_push_and_says_so(shop: Shop):
    done = shop.run("push")

    assert done.code == 1
    assert "guardrail speed (page_speed, at most 2.50) cannot be measured: no value of page_speed" in done.stderr
    assert shop.requests == []
    assert shop.run("push", "--allow-guardrail", "speed").code == 0
    assert shop.listed == emails(1, 2, 3, 4)


def test_guardrail_that_was_measured_long_ago_stops_a_push_and_says_so(shop: Shop):
    measure(shop, 1.0, days_ago=9)

    done = shop.run("push")

    assert done.code == 1
    assert "9 days ago; max_age is 7 days" in done.stderr
    assert shop.requests == []


def test_guardrail_near_its_bound_is_a_warning_and_stops_nothing(shop: Shop):
    measure(shop, 2.45)

    done = shop.run("push")

    assert done.code == 0
    assert "guardrail speed is near its bound" in done.stderr
    assert shop.listed == emails(1, 2, 3, 4)


def test_whoever_refused_or_was_erased_is_taken_off_although_a_guardrail_is_breached(shop: Shop):
    measure(shop, 1.0)
    assert shop.run("push").code == 0
    measure(shop, 4.0)
    shop.agree([1, 2, 3], denied=[4])

    done = shop.run("push")

    assert done.code == 1
    assert "1 identifier of people who refused were taken off all the same" in done.stderr
    assert shop.listed == emails(1, 2, 3)
    assert shop.run("erase", "u3").code == 0
    assert shop.listed == emails(1, 2)


def test_whoever_left_stays_on_the_list_of_a_breached_guardrail_until_the_list_is_retired(shop: Shop):
    measure(shop, 1.0)
    assert shop.run("push").code == 0
    measure(shop, 4.0)
    shop.know([1, 2])

    assert shop.run("push").code == 1
    assert shop.listed == emails(1, 2, 3, 4)
    file = shop.folder / "microconv.toml"
    file.write_text(file.read_text().replace('destinations = ["crm"]', "destinations = []"))
    assert shop.run("push", "retire", "carts", "--from", "crm").code == 0
    assert shop.listed == set()


def test_other_segments_go_on_where_one_is_stopped(shop: Shop):
    measure(shop, 4.0)
    file = shop.folder / "microconv.toml"
    more = '[[segments]]\nname = "all_carts"\nrule = { did = "add_to_cart", within = "14d" }\ndestinations = ["crm"]\n'
    file.write_text(f"{file.read_text()}\n{more}")

    done = shop.run("push", "--format", "json")

    assert done.code == 1
    assert [each["outcome"] for each in done.document["lists"]] == ["stopped", "sent"]


def test_guardrails_of_all_pushes_stop_every_list(shop: Shop):
    configure(shop, SPEED, of_segment="", of_push='guardrails = ["speed"]')

    assert shop.run("push").code == 1
    assert shop.requests == []


def test_resume_is_stopped_as_a_push_is(shop: Shop):
    measure(shop, 1.0)
    shop.run("push", fault="lost", at=1)
    requests = shop.requests
    measure(shop, 4.0)

    done = shop.run("push", "ledger", "resume")

    assert done.code == 1
    assert "guardrail speed is breached" in done.stderr
    assert shop.requests == requests
    assert shop.run("push", "ledger", "resume", "--allow-guardrail", "speed").code == 0


@pytest.mark.parametrize("command", [("push",), ("export", "carts", "--to", "files")], ids=" ".join)
def test_guardrail_that_there_is_not_cannot_be_let_through(shop: Shop, command: tuple[str, ...]):
    done = shop.run(*command, "--allow-guardrail", "sped")

    assert done.code == 2
    assert "speed" in done.stderr
    assert shop.requests == []


def test_breached_guardrail_stops_an_export_whole(shop: Shop):
    measure(shop, 4.0)

    done = shop.run("export", "carts", "--to", "files")

    assert done.code == 1
    assert "guardrail speed is breached: page_speed 4.05" in done.stderr
    assert "Nothing was written; the last export is as it was." in done.stderr
    assert not list(shop.folder.glob("**/carts*"))
    done = shop.run("export", "carts", "--to", "files", "--allow-guardrail", "speed")
    assert done.code == 0, done
    assert list(shop.folder.glob("**/carts*"))
    assert [row[4:] for row in kept(shop)] == [("breached", "stopped"), ("breached", "allowed")]


def test_dry_export_says_what_the_guardrails_are_and_keeps_nothing(shop: Shop):
    measure(shop, 1.0)

    done = shop.run("export", "carts", "--to", "files", "--dry-run")

    assert done.code == 0, done
    assert "guardrail speed holds: page_speed 1.05" in done.stdout
    with duckdb.connect(shop.folder / "microconv.duckdb", read_only=True) as opened:
        names = opened.execute("SELECT table_name FROM information_schema.tables").fetchall()
    assert ("mc_guardrail_checks",) not in names


def test_engine_that_cannot_answer_is_no_pass(shop: Shop):
    measure(shop, 1.0)
    with duckdb.connect(shop.folder / "microconv.duckdb") as opened:
        opened.execute("DROP TABLE mc_external_metrics")

    done = shop.run("push")

    assert done.code == 1
    assert "guardrail speed (page_speed, at most 2.50) cannot be measured: it could not be asked" in done.stderr
    assert shop.requests == []


# Ethics

ANSWERS = """
[ethics]
require = ["pressure", "consent"]
review_after = "100d"
"""


def answered(shop: Shop, **answers: str) -> None:
    of_segment = "".join(f"[segments.ethics.{name}]\n{keys}\n" for name, keys in answers.items())
    configure(shop, ANSWERS, of_segment=of_segment)


def answer(word: str, *, days_ago: int = 3, more: str = "") -> str:
    return f'answer = "{word}"\nby = "Anna"\non = {TODAY - timedelta(days=days_ago)}\n{more}'


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({}, "pressure and consent not answered"),
        ({"pressure": answer("no")}, "consent not answered"),
        ({"pressure": answer("yes"), "consent": answer("yes")}, "pressure answered badly"),
        ({"pressure": answer("no", days_ago=101), "consent": answer("yes")}, "pressure answered too long ago"),
    ],
    ids=["none", "one", "bad", "old"],
)
def test_open_question_stops_what_is_sent(tmp_path: Path, answers: dict[str, str], said: str):
    shop = Shop(tmp_path)
    answered(shop, **answers)

    for command in (("push",), ("push", "--dry-run"), ("export", "carts", "--to", "files")):
        done = shop.run(*command)
        assert done.code == 1, done
        assert f"of the checklist of ethics, {said}" in done.stderr
    assert (shop.requests, list(shop.folder.glob("**/carts*"))) == ([], [])
    checked = shop.run("ethics", "--check")
    assert checked.code == 1


@pytest.mark.parametrize(
    "answers",
    [
        {"pressure": answer("no"), "consent": answer("yes")},
        {"pressure": answer("yes", more='accepted = "the sale does end on Sunday"'), "consent": answer("yes")},
    ],
    ids=["good", "accepted"],
)
def test_answered_questions_let_a_push_through(tmp_path: Path, answers: dict[str, str]):
    shop = Shop(tmp_path)
    answered(shop, **answers)

    assert shop.run("push").code == 0
    assert shop.listed == emails(1, 2, 3, 4)


def test_open_question_is_a_warning_where_the_configuration_says_so(tmp_path: Path):
    shop = Shop(tmp_path)
    configure(shop, f"{ANSWERS}stop = false\n", of_segment="")

    done = shop.run("push")

    assert done.code == 0
    assert "of the checklist of ethics, pressure and consent not answered" in done.stderr


def test_whoever_refused_is_taken_off_although_a_question_is_open(tmp_path: Path):
    shop = Shop(tmp_path)
    assert shop.run("push").code == 0
    answered(shop)
    shop.agree([1, 2, 3], denied=[4])

    assert shop.run("push").code == 1
    assert shop.listed == emails(1, 2, 3)


def test_answer_to_a_question_that_there_is_not_is_a_mistake(tmp_path: Path):
    shop = Shop(tmp_path)
    answered(shop, presure=answer("no"))

    for command in (("push",), ("ethics",)):
        done = shop.run(*command)
        assert done.code == 2
        assert "'presure' is not a question of the checklist" in done.stderr
        assert "pressure" in done.stderr


def test_checklist_shows_answers_of_all_and_those_of_a_segment_before_them(tmp_path: Path):
    shop = Shop(tmp_path)
    configure(
        shop,
        f"{ANSWERS}[ethics.answers.consent]\n{answer('no')}\n",
        of_segment=f"[segments.ethics.consent]\n{answer('yes')}\n",
    )

    document = shop.run("ethics", "--format", "json").document

    found = {(row["subject"], row["question"]): (row["state"], row["answer"]) for row in document["answers"]}
    assert found["segment carts", "consent"] == ("ok", "yes")
    assert found["segment buyers", "consent"] == ("bad", "no")
    assert found["segment buyers", "pressure"] == ("unanswered", "")
    assert found["segment buyers", "minors"] == ("not required", "")
    assert document["questions"][0]["id"] == "pressure"
    assert "A bad answer is yes." in shop.run("ethics").stdout
