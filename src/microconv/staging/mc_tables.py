"""The staged tables: their columns, types and meaning; the one source for DDL on every engine, for tests and docs."""

from __future__ import annotations

from microconv.engines.tables import Column, Table


def _table(
    name: str,
    description: str,
    grain: str,
    columns: str,
    *,
    version: int = 1,
    partition: str | None = None,
    cluster: tuple[str, ...] = (),
) -> Table:
    """Read one `name TYPE description` a line."""
    rows = (line.split(maxsplit=2) for line in columns.strip().splitlines())
    return Table(
        name, description, tuple(grain.split()), tuple(Column(*row) for row in rows), version, partition, cluster
    )


EVENTS = _table(
    "mc_events",
    "One row per event of the export, flat and narrow; exact duplicates removed.",
    "property event_date client_key event_order",
    """
    property STRING the GA4 property the event belongs to
    event_date DATE day in the property's reporting time zone
    event_at TIMESTAMP when the event happened (UTC)
    event_order INT64 total order inside a client: microseconds since 1970 times 1000, plus the place among ties
    event_name STRING GA4 event name
    client_key INT64 key of stream and user_pseudo_id; NULL without consent
    session_key INT64 key of client and ga_session_id; NULL without consent or session
    user_id STRING user_id as sent with this event, trimmed; NULL for a placeholder such as 'undefined'
    user_pseudo_id STRING client id as exported, trimmed; NULL for a placeholder
    stream_id STRING data stream
    ga_session_id INT64 GA4's session id, unique only within a client
    session_number INT64 GA4's count of the client's sessions
    session_engaged BOOL GA4 said with this event that the session is engaged, in words (the text '1')
    engagement_msec INT64 engagement time sent with this event, milliseconds; NULL below 0 or above one day
    page_location STRING full address of the page
    page_referrer STRING full address of the page before
    value FLOAT64 purchase revenue, else the parameter `value`, millionths made amounts; NULL beyond 10 billion
    currency STRING currency of the value, three capital letters; NULL where the event names none
    value_in_usd FLOAT64 the value in US dollars by GA4's own conversion; NULL where GA4 made none
    transaction_id STRING transaction id, trimmed; NULL for a placeholder such as '(not set)' or 'undefined'
    traffic_rule STRING best traffic rule this event can serve: ga4_last_click, ga4_campaign, collected or event_params
    traffic_source STRING source by that rule
    traffic_medium STRING medium by that rule
    traffic_campaign STRING campaign by that rule
    traffic_channel_group STRING GA4's own default channel group, with ga4_last_click
    click_id STRING name of the click id collected with this event (gclid, dclid, srsltid)
    gclid STRING click id of Google Ads: collected with this event, or in the address of its page
    gbraid STRING click id of Google Ads from an app on iOS, in the address of the page
    wbraid STRING click id of Google Ads from the web on iOS, in the address of the page
    fbclid STRING click id of Meta, in the address of the page
    ignores_referrer BOOL the event says that its referrer is not a source (ignore_referrer)
    device_category STRING desktop, mobile, tablet, smart tv
    country STRING country by GA4
    language STRING language of the device, in lower case, such as en-us
    platform STRING WEB, IOS or ANDROID
    app_version STRING version of the app; NULL on the web
    page_host STRING host of page_location, in lower case, without port and `www.`
    item_count INT64 items sent with the event; NULL where the export has none at all
    items_value FLOAT64 price times quantity, over its items; NULL without items, or where one has no price
    is_debug BOOL sent in debug mode (debug_mode, debug_event); NULL where it does not say so
    traffic_type STRING parameter traffic_type, such as internal
    copies INT64 rows of the export that this one stands for: 1, and its exact duplicates
    is_provisional BOOL from an intraday or fresh shard
    batch_page_id INT64 batch field of the export that put the event in order among others of its instant
    batch_ordering_id INT64 the next such field
    batch_event_index INT64 the last such field
    """,
    version=6,
    partition="event_date",
    cluster=("property", "session_key"),
)

SESSIONS = _table(
    "mc_sessions",
    "One row per session, rebuilt whole whenever one of its days changes.",
    "session_key",
    """
    property STRING the GA4 property
    session_date DATE property's day of the first event
    last_event_date DATE property's day of the last event
    session_key INT64 key of client and ga_session_id
    client_key INT64 key of stream and user_pseudo_id
    actor_key INT64 the unit counted: the session's first user_id, else the one user of its client, else the client
    user_id STRING first user_id seen in the session
    user_pseudo_id STRING client id as exported
    ga_session_id INT64 GA4's session id
    session_number INT64 GA4's count of the client's sessions; 1 is a new visitor
    started_at TIMESTAMP first event (UTC)
    ended_at TIMESTAMP last event (UTC)
    events INT64 events in the session
    page_views INT64 page_view and screen_view events
    key_events INT64 events that a macro-conversion listens to
    engagement_msec INT64 engagement time, milliseconds
    is_engaged BOOL over 10 s of engagement, or a key event, or at least 2 page views, or GA4 said so in words
    landing_page STRING path of the first page seen
    device_category STRING of the first event that has one
    country STRING of the first event that has one
    language STRING of the first event that has one
    self_referrer STRING own hosts that the export names as where the first page was reached from; never a source
    source STRING traffic source of the session
    medium STRING traffic medium
    campaign STRING traffic campaign
    channel_group STRING default channel group
    source_rule STRING which rule decided source and medium
    is_provisional BOOL at least one event is provisional
    """,
    version=3,
    partition="session_date",
    cluster=("property", "client_key"),
)

MICRO_CONVERSIONS = _table(
    "mc_micro_conversions",
    "One row per occurrence of a taxonomy entry; an event may yield several.",
    "property event_date client_key event_order micro_conversion",
    """
    property STRING the GA4 property
    event_date DATE property's day
    event_at TIMESTAMP when it happened (UTC)
    event_order INT64 total order inside a client, as in mc_events
    micro_conversion STRING id of the taxonomy entry it counts as
    kind STRING milestone, secondary or macro
    stage STRING awareness, consideration, decision or post_sale
    client_key INT64 key of stream and user_pseudo_id; of the user for an external event that names no client
    actor_key INT64 the unit counted: the event's own user_id, else its session's actor, else the client
    session_key INT64 key of the session; NULL outside a session
    value FLOAT64 value by the taxonomy
    currency STRING currency of an event's own value; NULL where it names none
    value_in_usd FLOAT64 an event's own value in US dollars, by GA4's own conversion
    transaction_id STRING transaction id; it repeats within one actor only
    page STRING path of the page it happened on
    is_provisional BOOL from an intraday or fresh shard
    copies INT64 events that `collapse` made this one occurrence, the first of them; 1 where there was one
    external_source STRING name under [[external_events]] that it comes from; NULL for what comes from the export
    engagement_msec INT64 engagement time sent with its event, milliseconds; NULL for a derived one
    is_derived BOOL it was derived from other occurrences; event_at is when its condition became true
    """,
    version=3,
    partition="event_date",
    cluster=("property", "micro_conversion", "session_key"),
)

SIGNALS = Table(
    "mc_signals",
    "Occurrences of entries with `counts = false`: derived entries are made of them, and they are in no answer.",
    MICRO_CONVERSIONS.grain,
    MICRO_CONVERSIONS.columns,
    MICRO_CONVERSIONS.version,
    MICRO_CONVERSIONS.partition,
    MICRO_CONVERSIONS.cluster,
)

PROFILE = _table(
    "mc_profile",
    "What parameters look like, by day: one row per event and parameter, type of its value, stream and platform.",
    "property event_date stream_id platform event_name parameter value_type",
    """
    property STRING the GA4 property
    event_date DATE property's day
    stream_id STRING data stream; '' where the event names none
    platform STRING WEB, IOS or ANDROID; '' where the event names none
    event_name STRING GA4 event name
    parameter STRING event parameter; `user_property.<name>` of a user property; '' for the event itself
    value_type STRING string, int, float or null; '' for the event itself
    event_rows INT64 rows of the export that have it, exact duplicates included
    distinct_values INT64 different values, 1,000 where there are more; NULL of what GA4 numbers itself
    shortest INT64 characters of the shortest text; NULL of numbers
    longest INT64 characters of the longest text; NULL of numbers
    rows_at_limit INT64 of the rows, those whose text is exactly as long as GA4 lets it be, or longer
    rows_empty INT64 of the rows, those whose text is empty or white space only
    rows_placeholder INT64 of the rows, those whose text is a placeholder, such as (not set) or undefined
    rows_email INT64 of the rows, those that hold an e-mail address
    rows_phone INT64 of the rows, those that hold a telephone number
    rows_name INT64 of the rows, those that hold a person's name in an address, such as ?firstname=
    rows_token INT64 of the rows, those that hold a password, token or session id
    rows_health INT64 of the rows, those that hold a word about health beside what was searched or filled in
    rows_not_found INT64 of the rows, those that say in title or address that the page was not found
    example STRING the most frequent value, cut to 60 characters; letters and digits masked where it may be personal
    """,
    partition="event_date",
    cluster=("property", "event_name"),
)

HOSTS = _table(
    "mc_hosts",
    "The hosts on which a property's pages lie, by day: none of them is a source of its sessions.",
    "property event_date host",
    """
    property STRING the GA4 property
    event_date DATE property's day
    host STRING host of page_location, in lower case, without port and `www.`
    events INT64 events on its pages
    """,
)

EXTERNAL_EVENTS = _table(
    "mc_external_events",
    "One row per row read of the tables under [[external_events]], whether an entry of the taxonomy counts it or not.",
    "reading line",
    """
    property STRING the GA4 property whose actors they are
    event_date DATE day in the project's time zone
    event_at TIMESTAMP when it happened (UTC)
    name STRING what happened
    user_id STRING user, trimmed; NULL where the row names none
    user_pseudo_id STRING client id; NULL where the row names none
    stream_id STRING data stream of the client id
    user_key INT64 key of the user, which is the actor_key of what this user does
    client_key INT64 key of stream and user_pseudo_id, as in mc_events
    value FLOAT64 amount
    currency STRING currency of the value, three capital letters
    transaction_id STRING transaction id, trimmed
    source STRING name under [[external_events]]
    file STRING file, or table of the engine, that the row comes from
    line INT64 its line, or number, there
    row_key INT64 key of all that the row holds: rows that are equal count once
    reading STRING the time that the file was read; rows count while mc_external_files has it
    """,
    partition="event_date",
    cluster=("property", "name"),
)

EXTERNAL_METRICS = _table(
    "mc_external_metrics",
    "One row per value of a day, read of the tables under [[external_metrics]].",
    "reading day name dimension",
    """
    property STRING the GA4 property
    day DATE the day that the value is of
    name STRING what is measured
    value FLOAT64 the value
    dimension STRING what the value is for, such as a country; '' for all
    source STRING name under [[external_metrics]]
    file STRING file, or table of the engine, that the row comes from
    line INT64 its line, or number, there
    reading STRING the time that the file was read; rows count while mc_external_files has it
    """,
)

EXTERNAL_FILES = _table(
    "mc_external_files",
    "What is read of tables of other systems: one row per file or table of the engine, as it was when it was read.",
    "kind source file",
    """
    kind STRING events or metrics
    source STRING name under [[external_events]] or [[external_metrics]]
    file STRING path from the configuration's folder, or table of the engine
    property STRING the GA4 property
    modified_at TIMESTAMP when it last changed (UTC); NULL where nobody can tell
    bytes INT64 its size; NULL where nobody can tell
    fingerprint STRING fingerprint of all that decides how it is read: columns, time zone, properties carried
    reading STRING the time that it was read
    rows_read INT64 rows in it
    rows_kept INT64 rows staged
    rows_refused INT64 rows that could not be read
    rows_future INT64 of those refused, the ones whose moment lay in the future
    rows_without_zone INT64 rows staged whose moment said no UTC offset
    next_at TIMESTAMP the earliest moment in the future: it is read again then
    refusals STRING why rows were refused, how many and on which lines, as JSON
    run_id STRING the run that read it
    read_at TIMESTAMP when (UTC)
    """,
)

EXTERNAL_DAYS = _table(
    "mc_external_days",
    "Days on which occurrences of other systems' events are staged: what they come to, to see which days change.",
    "property event_date",
    """
    property STRING the GA4 property
    event_date DATE day in the project's time zone
    occurrences INT64 occurrences staged
    low_sum INT64 sum of the lower half of a key of each row
    high_sum INT64 sum of the upper half
    """,
)

SHARDS = _table(
    "mc_shards",
    "What is staged: one row per property and day, with the state of the shard it came from.",
    "property event_date",
    """
    property STRING the GA4 property
    event_date DATE property's day
    shard STRING name of the shard staged for the day
    kind STRING daily, fresh or intraday
    is_day_over BOOL the day was over, in the property's zone, when it was staged
    modified_at TIMESTAMP when the shard last changed (UTC)
    bytes INT64 size of the shard
    source_rows INT64 rows read from the shard
    schema_fingerprint STRING fingerprint of the shard's schema
    staging_fingerprint STRING fingerprint of the taxonomy and of all else that decides the staged rows
    own_hosts STRING hosts that `own_hosts` of the source named when the day was staged, with commas between
    absence_zone STRING time zone that dates what did not happen in time; empty where no entry is of that kind
    carried_columns STRING extra columns of mc_micro_conversions that the day has, with commas between
    events_fingerprint STRING fingerprint of how the shard was read, whatever the taxonomy
    event_columns STRING extra columns of mc_events that the day has, with commas between
    profile_fingerprint STRING fingerprint of how its rows of mc_profile were made; empty where it has none
    events INT64 rows staged
    duplicates_removed INT64 exact duplicates left out
    consentless_events INT64 rows without a client
    first_event_at TIMESTAMP the first event (UTC), but for the thousandth part of the events that come before it
    last_event_at TIMESTAMP the last event (UTC), but for the thousandth part of the events that come after it
    sessionless_events INT64 rows of clients that have no session on the day
    placeholder_client_ids INT64 rows whose client id is a placeholder, such as 'undefined'
    user_ids INT64 rows with a user id
    placeholder_user_ids INT64 rows whose user id is a placeholder
    transaction_ids INT64 rows with a transaction id
    placeholder_transaction_ids INT64 rows whose transaction id is a placeholder
    stray_events INT64 rows whose time lies outside the day in every time zone
    run_id STRING the run that staged it
    staged_at TIMESTAMP when (UTC)
    """,
    version=6,
)

RUNS = _table(
    "mc_runs",
    "One row per sync run.",
    "run_id",
    """
    run_id STRING id of the run
    status STRING running, done, failed or interrupted
    started_at TIMESTAMP when it began (UTC)
    ended_at TIMESTAMP when it ended (UTC); NULL while it runs
    owner STRING host and process that ran it
    version STRING version of microconv
    config_fingerprint STRING fingerprint of the configuration, without where it lies
    taxonomy STRING name and version of the taxonomy
    taxonomy_fingerprint STRING fingerprint of the taxonomy
    shards_seen INT64 days found at the sources
    shards_staged INT64 days staged
    shards_skipped INT64 days unchanged
    rows_events INT64 rows of mc_events after the run; NULL unless it is done
    rows_sessions INT64 rows of mc_sessions after the run; NULL unless it is done
    rows_micro_conversions INT64 rows of mc_micro_conversions after the run; NULL unless it is done
    duplicates_removed INT64 exact duplicates left out
    bytes_billed INT64 bytes that BigQuery billed for the run; 0 on DuckDB
    seconds FLOAT64 wall time
    error STRING message of the error that ended it
    facts STRING what the export shows after it, as JSON: the rows of operations/export_facts; NULL unless it is done
    number INT64 place among the runs, 1 is the first, whatever clocks say; NULL of runs before this column was there
    """,
    version=4,
)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        *(EVENTS, SESSIONS, MICRO_CONVERSIONS, SIGNALS, HOSTS, PROFILE, SHARDS, RUNS),
        *(EXTERNAL_EVENTS, EXTERNAL_METRICS, EXTERNAL_FILES, EXTERNAL_DAYS),
    )
}
