"""The truths planted in the demo, recomputed from the written files: nothing here reads the generator's arrays."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from demo_files import channel, identity, read_csv, read_shard, sessions_by_client, sessions_of, set_of, shards
from microconv.demo import write_demo


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    return write_demo(tmp_path_factory.mktemp("demo"), events=40_000)


@pytest.fixture(scope="module")
def rows(demo):
    return [row for path in shards(demo) for row in read_shard(path)]


@pytest.fixture(scope="module")
def sessions(rows):
    return sessions_of(rows)


def test_clients_and_sessions_are_counted(demo, rows, sessions):
    assert demo.truths.clients == len({row.client for row in rows if row.client})
    assert demo.truths.sessions == len(sessions)
    for events in sessions.values():
        assert sum(row.name == "session_start" for row in set_of(events)) == 1


def test_known_path_is_walked_by_the_planted_number_of_clients(demo, sessions):
    walked = []
    for client, visits in sessions_by_client(sessions).items():
        channels = tuple(channel(events) for events in visits)
        buys = [any(row.name == "purchase" for row in events) for events in visits]
        if channels == ("Paid Search", "Email", "Direct") and buys == [False, False, True]:
            walked.append(client)
            days = [datetime.strptime(events[0].date, "%Y%m%d") for events in visits]
            assert {later - earlier for earlier, later in pairwise(days)} == {timedelta(days=2)}
    path = demo.truths.known_path
    assert len(walked) == path.clients >= 3
    assert (path.first, path.last, path.last_non_direct) == ("Paid Search", "Direct", "Email")
    assert path.touchpoints == ("Paid Search", "Email", "Direct")


def strata(rows, event):
    """Clients by device, and whether they did the event before any purchase: [clients, purchasers]."""
    device, did, bought = {}, {}, {}
    for row in rows:
        if row.client is None:
            continue
        device[row.client] = row.device
        if row.name == event:
            did[row.client] = min(row.at, did.get(row.client, row.at))
        if row.name == "purchase":
            bought[row.client] = min(row.at, bought.get(row.client, row.at))
    counts = defaultdict(lambda: [0, 0])
    for client, category in device.items():
        before = client in did and did[client] < bought.get(client, float("inf"))
        counts[category, before][0] += 1
        counts[category, before][1] += client in bought
    return counts


def rate(counts, did, device=None):
    chosen = [counts[key] for key in list(counts) if key[1] == did and device in (None, key[0])]
    return sum(bought for _, bought in chosen) / sum(clients for clients, _ in chosen)


@pytest.mark.parametrize("place", [0, 1])
def test_lift_strata_are_as_recorded(demo, rows, place):
    lift = demo.truths.lifts[place]
    counts = strata(rows, lift.event)
    recorded = {(stratum.device, stratum.did): [stratum.clients, stratum.purchasers] for stratum in lift.strata}
    assert recorded == {key: counts[key] for key in recorded}
    assert sum(clients for clients, _ in recorded.values()) == demo.truths.clients


def test_sizing_guide_has_the_planted_lift_on_every_device(demo, rows):
    lift = demo.truths.lifts[0]
    assert (lift.event, lift.is_causal, lift.factor) == ("sizing_guide_open", True, 2.5)
    counts = strata(rows, lift.event)
    for device in ("desktop", "mobile"):
        clients, bought = counts[device, True]
        assert abs(bought - 2.5 * rate(counts, False, device) * clients) <= 2
    assert 2 < rate(counts, True) / rate(counts, False) < 3


def test_video_only_seems_to_help(demo, rows):
    lift = demo.truths.lifts[1]
    assert (lift.event, lift.is_causal, lift.factor) == ("video_start", False, 1.0)
    counts = strata(rows, lift.event)
    assert rate(counts, True) / rate(counts, False) > 1.4, "over all devices it looks like a lift"
    for device in ("desktop", "mobile"):
        clients, bought = counts[device, True]
        assert abs(bought - rate(counts, False, device) * clients) <= 3, f"on {device} it is none"


def test_outage_takes_two_days_of_add_to_cart_and_nothing_else(demo, rows):
    truths = demo.truths
    assert truths.outage_event == "add_to_cart"
    first, second = truths.outage_dates
    assert second - first == timedelta(days=1)
    per_day = Counter((row.name, datetime.strptime(row.date, "%Y%m%d").date()) for row in rows)
    days = [day.date for day in truths.days]
    assert [day for day in days if not per_day["add_to_cart", day]] == [first, second]
    for day in (first, second):
        assert per_day["view_item", day] > 0
        assert per_day["begin_checkout", day] > 0


def test_transactions_are_repeated_and_unset_as_planted(demo, rows):
    purchases = [row for row in rows if row.name == "purchase"]
    ids = [row.ecommerce["transaction_id"] for row in purchases]
    times = Counter(ids)
    unset = times.pop("(not set)")
    truth = demo.truths.transactions
    assert truth.rows == len(purchases)
    assert truth.not_set == unset > 0
    assert truth.ids == len(times)
    assert truth.repeated == sum(times.values()) - len(times) > 0
    first = {}
    for row in sorted(purchases, key=lambda row: row.at):
        transaction = row.ecommerce["transaction_id"]
        if transaction != "(not set)" and transaction in first:
            earlier = first[transaction]
            assert row.client == earlier.client
            assert row.params != earlier.params
            assert 60 <= (row.at - earlier.at) / 1e6 < 400
        first.setdefault(transaction if transaction != "(not set)" else row.at, row)
    revenue = sum(row.ecommerce["purchase_revenue"] for row in first.values())
    assert truth.revenue == pytest.approx(revenue, abs=0.005)


def test_purchase_parameters_agree_with_the_ecommerce_record(rows):
    kinds = set()
    for row in rows:
        if row.name == "purchase":
            kinds.add(type(row.params["transaction_id"]))
            assert str(row.params["transaction_id"]) == row.ecommerce["transaction_id"]
            assert row.params["value"] == row.ecommerce["purchase_revenue"]
            assert row.params["currency"] == "EUR"
    assert kinds == {int, str}


def test_some_sessions_go_on_after_midnight(demo, sessions):
    crossing = [events for events in sessions.values() if len({row.date for row in events}) == 2]
    assert demo.truths.sessions_over_midnight == len(crossing) > 0
    assert all(len({row.date for row in events}) <= 2 for events in sessions.values())


def test_session_ids_collide_between_clients(demo, sessions):
    clients = defaultdict(set)
    for client, session_id in sessions:
        clients[session_id].add(client)
    assert demo.truths.shared_session_ids == sum(len(found) > 1 for found in clients.values()) > 0


def test_product_view_and_cart_share_a_microsecond(demo, sessions):
    tied = 0
    for events in sessions.values():
        views = {row.at: row for row in events if row.name == "view_item"}
        carts = {row.at: row for row in events if row.name == "add_to_cart" and row.at in views}
        tied += len(carts)
        assert all(views[at].order <= cart.order for at, cart in carts.items())
    assert demo.truths.tied_carts == tied > 0


def test_parameters_change_their_type(demo, rows):
    with_client = [row.params for row in rows if row.client]
    drift = Counter()
    for params in with_client:
        drift["session_engaged_text"] += isinstance(params["session_engaged"], str)
        drift["session_engaged_integer"] += isinstance(params["session_engaged"], int)
        drift["ga_session_id_text"] += isinstance(params["ga_session_id"], str)
        drift["value_integer"] += isinstance(params.get("value"), int)
        drift["value_double"] += isinstance(params.get("value"), float)
        assert str(params["session_engaged"]) in {"0", "1"}
    assert asdict(demo.truths.type_drift) == drift
    assert min(drift.values()) > 0


def test_channels_are_as_recorded_where_the_export_states_them(demo, sessions):
    truths = demo.truths
    first_stated = f"{truths.newer_columns_from:%Y%m%d}"
    stated = Counter(
        channel(events)
        for events in sessions.values()
        if first_stated <= events[0].date < f"{truths.intraday_date:%Y%m%d}"
    )
    assert truths.sessions_by_channel == dict(stated)
    assert {"Direct", "Referral", "AI Assistant", "Email", "Paid Search"} <= set(stated)


def test_older_sessions_show_their_source_on_the_landing_only(demo, sessions):
    arrivals = Counter()
    for events in sessions.values():
        sources = {(row.params["source"], row.params["medium"]) for row in events if "source" in row.params}
        assert len(sources) <= 1
        landing = next(row.params["page_location"] for row in events if row.name == "page_view")
        clicked = "gclid=" in landing
        wrong = clicked and "utm_source=newsletter" in landing
        arrivals["wrong"] += wrong
        arrivals["direct"] += not sources
        arrivals["assistant"] += sources == {("chatgpt.com", "referral")}
        arrivals["referral"] += sources == {("blog.example.org", "referral")}
        if wrong:
            assert sources == {("newsletter", "email")}
            assert channel(events) in {"Paid Search", None}
        assert all(row.at == events[0].at for row in events if "source" in row.params)
    truths = demo.truths
    assert arrivals == {
        "wrong": truths.wrong_utm_sessions,
        "direct": truths.direct_sessions,
        "assistant": truths.assistant_sessions,
        "referral": truths.referral_sessions,
    }
    assert min(arrivals.values()) > 0


def test_click_id_travels_beside_the_wrong_utm(rows):
    both = [row.collected for row in rows if row.collected and (row.collected.get("gclid") or "")]
    assert {(found["manual_source"], found["manual_medium"]) for found in both} == {
        ("google", "cpc"),
        ("newsletter", "email"),
    }


def test_people_sign_in_in_the_middle_of_a_session(demo, rows, sessions):
    truths = demo.truths
    users = defaultdict(set)
    for row in rows:
        if row.user:
            users[row.user].add(row.client)
    assert truths.signed_in_users == len(users)
    assert truths.users_on_two_devices == sum(len(clients) > 1 for clients in users.values()) > 0
    in_the_middle = 0
    for visits in sessions_by_client(sessions).values():
        known = [[row.user is not None for row in events] for events in visits]
        flat = [flag for visit in known for flag in visit]
        assert flat == sorted(flat), "nobody signs out"
        in_the_middle += sum(any(visit) and not all(visit) for visit in known)
    assert truths.login_sessions == in_the_middle > 0


def test_late_export_has_all_rows_of_its_day_and_about_three_percent_more(demo):
    truth = demo.truths.late_day
    (path,) = (demo.folder / "late").iterdir()
    assert path.name == truth.file == f"events_{truth.date:%Y%m%d}.parquet"
    first = Counter(identity(row) for row in read_shard(demo.folder / "exports" / path.name))
    again = Counter(identity(row) for row in read_shard(path))
    assert (first.total(), again.total()) == (truth.events_first, truth.events_again)
    assert first < again
    assert 0.02 < 1 - truth.events_first / truth.events_again < 0.04


def test_late_rows_are_of_events_that_no_truth_counts(demo):
    truth = demo.truths.late_day
    first = Counter(identity(row) for row in read_shard(demo.folder / "exports" / truth.file))
    again = read_shard(demo.folder / "late" / truth.file)
    late = [row for row in again if identity(row) not in first]
    carts = {(row.client, row.at) for row in again if row.name == "add_to_cart"}
    assert len(late) == truth.events_again - truth.events_first
    assert {row.name for row in late} <= {"scroll", "user_engagement", "view_item", "view_item_list"}
    assert all(row.client and (row.client, row.at) not in carts for row in late)


def test_late_rows_change_no_other_truth(demo, rows, sessions):
    truth = demo.truths.late_day
    kept = [row for row in rows if row.shard != truth.file]
    later = kept + read_shard(demo.folder / "late" / truth.file)
    assert len(later) == demo.events + truth.events_again - truth.events_first
    assert sessions_of(later).keys() == sessions.keys()
    with_client = Counter(identity(row) for row in later if row.client)
    assert with_client.total() - len(with_client) == demo.truths.exact_duplicates
    assert sum(row.client is None for row in later) == demo.truths.without_consent
    crossing = [events for events in sessions_of(later).values() if len({row.date for row in events}) == 2]
    assert len(crossing) == demo.truths.sessions_over_midnight


def by_actor(rows):
    """Rows without exact duplicates, by account or client, in order of time; a client has one account."""
    account = {row.client: row.user for row in rows if row.user}
    found = defaultdict(list)
    for row in set_of([row for row in rows if row.client]):
        found[account.get(row.client, row.client)].append(row)
    for events in found.values():
        events.sort(key=lambda row: row.at)
    return found


def session(row):
    return row.client, int(row.params["ga_session_id"])


def born(occurrences, holds):
    """How often `holds` became true: asked at each of the occurrences, and right before it."""
    times = 0
    was = False
    for row in occurrences:
        was = was and holds([each for each in occurrences if each.at < row.at], row.at)
        now = holds([each for each in occurrences if each.at <= row.at], row.at)
        times += now and not was
        was = now
    return times


def within(rows, now, time):
    return [row for row in rows if now - row.at <= time.total_seconds() * 1e6]


def test_comparing_is_renamed_on_one_day(demo, rows):
    truth = demo.truths.plants.renamed_event
    days = {name: {row.date for row in rows if row.name == name} for name in (truth.old, truth.new)}
    assert max(days[truth.old]) < f"{truth.renamed_on:%Y%m%d}" <= min(days[truth.new])
    assert truth.old_rows == sum(row.name == truth.old for row in rows) > 10
    assert truth.new_rows == sum(row.name == truth.new for row in rows) > 10


def test_most_newsletter_orders_are_sent_by_two_tags_within_a_second(demo, rows):
    truth = demo.truths.plants.double_firing
    orders = sorted((row for row in rows if row.name == truth.event), key=lambda row: (session(row), row.at))
    assert truth.rows == len(orders)
    repeats = [
        later
        for earlier, later in pairwise(orders)
        if session(earlier) == session(later) and later.at - earlier.at < 1_000_000
    ]
    assert truth.occurrences == len(orders) - len(repeats)
    assert {row.params["sent_by"] for row in repeats} == {"tag manager"}
    assert 0 < truth.rows - 2 * len(repeats) < len(repeats)


def test_open_carts_bring_people_back_as_recorded(demo, rows, sessions):
    truth = demo.truths.plants.cart_returns
    begun = {key: min(row.at for row in events) for key, events in sessions.items()}
    returns = 0
    for events in by_actor(rows).values():
        carts = [row.at for row in events if row.name == "add_to_cart"]
        bought = [row.at for row in events if row.name == "purchase"]
        answered = set()
        for start in sorted({begun[session(row)] for row in events}):
            cart = max((at for at in carts if at < start), default=None)
            if cart is None or cart in answered or start - cart > truth.within_days * 86_400e6:
                continue
            if not any(cart < at < start for at in bought):
                answered.add(cart)
                returns += 1
    assert truth.returns == returns > 10
    left = 0
    for events in sessions.values():
        last = max((row.at for row in events if row.name == "add_to_cart"), default=None)
        left += last is not None and not any(row.name == "purchase" and row.at > last for row in events)
    assert truth.open_carts == left > returns


def test_pricing_page_is_seen_in_two_sessions_as_recorded(demo, rows):
    truth = demo.truths.plants.pricing_visits
    visits = [row for row in rows if row.name == "page_view" and row.params["page_location"].endswith(truth.page)]
    assert truth.views == len(visits)
    assert truth.sessions == len({session(row) for row in visits})
    time = timedelta(days=truth.within_days)
    times = sum(
        born(found, lambda seen, now: len({session(row) for row in within(seen, now, time)}) >= 2)
        for found in by_actor(visits).values()
    )
    assert truth.in_two_sessions == times > 3
    assert truth.sessions - times > 2 * times, "most come once"


def test_three_different_films_are_previewed_as_recorded(demo, rows):
    truth = demo.truths.plants.previews
    previews = by_actor([row for row in rows if row.name == truth.event])
    assert truth.rows == sum(map(len, previews.values()))
    assert truth.actors == len(previews)
    time = timedelta(days=truth.within_days)
    times = sum(
        born(found, lambda seen, now: len({row.params["video_title"] for row in within(seen, now, time)}) >= 3)
        for found in previews.values()
    )
    assert truth.three_different == times > 10
    three = sum(len(found) >= 3 for found in previews.values())
    assert three > times, "some preview one film three times"


def test_forms_are_left_as_recorded(demo, rows):
    truth = demo.truths.plants.abandoned_forms
    forms = by_actor([row for row in rows if row.name in ("form_start", "form_submit")])
    left = starts = ends = again = 0
    for events in forms.values():
        opened = [row for row in events if row.name == "form_start"]
        again += len(opened) - len({session(row) for row in opened})
        starts += len(opened)
        ends += len(events) - len(opened)
        for row in opened:
            later = [each for each in events if 0 < each.at - row.at <= truth.within_minutes * 60e6]
            left += not later
    assert (truth.starts, truth.restarts, truth.submissions) == (starts, again, ends)
    assert truth.abandoned == left > 10
    assert again > 3


def first_days(rows):
    """Clients without a purchase on their first day: what they did on it, and whether they bought in 7 days more."""
    begun, bought, did = {}, {}, defaultdict(Counter)
    for row in rows:
        if row.client is not None:
            begun[row.client] = min(row.at, begun.get(row.client, row.at))
            if row.name == "purchase":
                bought[row.client] = min(row.at, bought.get(row.client, row.at))
    day = 24 * 3_600 * 1_000_000
    for row in rows:
        if row.client is not None and row.at - begun[row.client] < day:
            did[row.client][row.name] += 1
    after = {client: bought[client] - start if client in bought else 99 * day for client, start in begun.items()}
    return [(did[client], after[client] < 8 * day) for client in begun if after[client] >= day]


def test_three_reviews_on_the_first_day_go_with_buying_as_recorded(demo, rows):
    truth = demo.truths.plants.threshold
    clients = first_days(rows)
    for cell, enough in ((truth.below, False), (truth.from_there, True)):
        buys = [bought for did, bought in clients if (did[truth.event] >= truth.times) is enough]
        assert (cell.clients, cell.buyers) == (len(buys), sum(buys))
    rate, below = (cell.buyers / cell.clients for cell in (truth.from_there, truth.below))
    assert rate > 5 * below
    two = [bought for did, bought in clients if did[truth.event] == 2]
    none = [bought for did, bought in clients if not did[truth.event]]
    assert sum(two) / len(two) < 2 * sum(none) / len(none) + 0.005, "two are worth no more than none"


def test_both_checks_on_the_first_day_go_with_buying_as_recorded_and_neither_alone(demo, rows):
    truth = demo.truths.plants.combination
    rates = {}
    for cell in truth.cells:
        buys = [
            bought for did, bought in first_days(rows) if {name for name in truth.events if did[name]} == set(cell.did)
        ]
        assert (cell.clients, cell.buyers) == (len(buys), sum(buys))
        rates[cell.did] = cell.buyers / cell.clients
    assert rates[truth.events] > 10 * max(rate for did, rate in rates.items() if did != truth.events)


def test_planted_rows_lie_within_sessions_that_are_there_anyway(rows, sessions):
    planted = {"compare_click", "compare_products", "video_preview", "form_start", "form_submit", "newsletter_signup"}
    planted |= {"review_read", "delivery_check", "store_check"}
    assert planted <= {row.name for row in rows}
    for events in sessions.values():
        names = [row.name in planted or row.params["page_location"].endswith("/club/pricing") for row in events]
        assert not names[0]
        assert not names[-1]


def test_crm_holds_a_ladder_for_accounts_of_the_export(demo, rows):
    truth = demo.truths.crm
    found = read_csv(demo.folder / truth.file)
    assert truth.rows == len(found)
    names = Counter(row["name"] for row in found)
    assert names == {"qualified_lead": truth.qualified_leads, "won": truth.won, "lost": truth.lost}
    users = {row.user for row in rows}
    assert truth.unknown_users == sum(row["user_id"] not in users for row in found) > 0
    assert truth.value == sum(float(row["value"] or 0) for row in found)
    days = [day.date for day in demo.truths.days]
    ladder = defaultdict(dict)
    for row in found:
        moment = datetime.fromisoformat(row["occurred_at"])
        assert moment.tzinfo == UTC
        assert days[0] <= moment.date() <= days[-1]
        ladder[row["user_id"]][row["name"]] = moment
    for steps in ladder.values():
        first, last = sorted(steps, key=steps.get)
        assert first == "qualified_lead"
        assert last in ("won", "lost")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_truths_hold_for_any_seed(tmp_path, seed):
    demo = write_demo(tmp_path, events=20_000, seed=seed)
    rows = [row for path in shards(demo) for row in read_shard(path)]
    sessions = sessions_of(rows)
    test_known_path_is_walked_by_the_planted_number_of_clients(demo, sessions)
    test_transactions_are_repeated_and_unset_as_planted(demo, rows)
    test_some_sessions_go_on_after_midnight(demo, sessions)
    test_session_ids_collide_between_clients(demo, sessions)
    test_people_sign_in_in_the_middle_of_a_session(demo, rows, sessions)
    for place in (0, 1):
        test_lift_strata_are_as_recorded(demo, rows, place)
    test_comparing_is_renamed_on_one_day(demo, rows)
    test_open_carts_bring_people_back_as_recorded(demo, rows, sessions)
    for test in (
        test_most_newsletter_orders_are_sent_by_two_tags_within_a_second,
        test_pricing_page_is_seen_in_two_sessions_as_recorded,
        test_three_different_films_are_previewed_as_recorded,
        test_forms_are_left_as_recorded,
    ):
        test(demo, rows)
