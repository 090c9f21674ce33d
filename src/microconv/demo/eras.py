"""The current GA4 export schema as Arrow types, and what exports of other eras lack."""

from __future__ import annotations

import pyarrow as pa


def _texts(names: str) -> list[tuple[str, pa.DataType]]:
    return [(name, pa.string()) for name in names.split()]


def _integers(names: str) -> list[tuple[str, pa.DataType]]:
    return [(name, pa.int64()) for name in names.split()]


def _doubles(names: str) -> list[tuple[str, pa.DataType]]:
    return [(name, pa.float64()) for name in names.split()]


_VALUE_FIELDS = [*_texts("string_value"), *_integers("int_value"), *_doubles("float_value double_value")]
PARAM = pa.struct([("key", pa.string()), ("value", pa.struct(_VALUE_FIELDS))])
PROPERTY = pa.struct(
    [("key", pa.string()), ("value", pa.struct([*_VALUE_FIELDS, *_integers("set_timestamp_micros")]))],
)
PRIVACY = pa.struct(_texts("analytics_storage ads_storage uses_transient_token"))
USER_LTV = pa.struct([*_doubles("revenue"), *_texts("currency")])
DEVICE = pa.struct(
    [
        *_texts(
            "category mobile_brand_name mobile_model_name mobile_marketing_name mobile_os_hardware_model "
            "operating_system operating_system_version vendor_id advertising_id language is_limited_ad_tracking"
        ),
        *_integers("time_zone_offset_seconds"),
        ("web_info", pa.struct(_texts("browser browser_version hostname"))),
    ],
)
GEO = pa.struct(_texts("continent sub_continent country region city metro"))
APP_INFO = pa.struct(_texts("id version install_store firebase_app_id install_source"))
TRAFFIC_SOURCE = pa.struct(_texts("medium name source"))
EVENT_DIMENSIONS = pa.struct(_texts("hostname"))
ECOMMERCE = pa.struct(
    [
        *_integers("total_item_quantity"),
        *_doubles(
            "purchase_revenue_in_usd purchase_revenue refund_value_in_usd refund_value shipping_value_in_usd "
            "shipping_value tax_value_in_usd tax_value"
        ),
        *_integers("unique_items"),
        *_texts("transaction_id"),
    ],
)
_ITEM_FIELDS = [
    *_texts(
        "item_id item_name item_brand item_variant item_category item_category2 item_category3 item_category4 "
        "item_category5"
    ),
    *_doubles("price_in_usd price"),
    *_integers("quantity"),
    *_doubles("item_revenue_in_usd item_revenue item_refund_in_usd item_refund"),
    *_texts(
        "coupon affiliation location_id item_list_id item_list_name item_list_index promotion_id promotion_name "
        "creative_name creative_slot"
    ),
]
OLD_ITEM = pa.struct(_ITEM_FIELDS)
ITEM = pa.struct([*_ITEM_FIELDS, ("item_params", pa.list_(PARAM))])
COLLECTED_TRAFFIC_SOURCE = pa.struct(
    _texts(
        "manual_campaign_id manual_campaign_name manual_source manual_medium manual_term manual_content "
        "manual_source_platform manual_creative_format manual_marketing_tactic gclid dclid srsltid"
    ),
)
LAST_CLICK = pa.struct(
    [
        (
            "manual_campaign",
            pa.struct(
                _texts(
                    "campaign_id campaign_name source medium term content source_platform creative_format "
                    "marketing_tactic"
                )
            ),
        ),
        (
            "google_ads_campaign",
            pa.struct(_texts("customer_id account_name campaign_id campaign_name ad_group_id ad_group_name")),
        ),
        (
            "cross_channel_campaign",
            pa.struct(
                _texts(
                    "campaign_id campaign_name source medium source_platform default_channel_group "
                    "primary_channel_group"
                )
            ),
        ),
        (
            "sa360_campaign",
            pa.struct(
                _texts(
                    "ad_group_id ad_group_name campaign_id campaign_name creative_format engine_account_name "
                    "engine_account_type manager_account_name medium source"
                )
            ),
        ),
        (
            "cm360_campaign",
            pa.struct(
                _texts(
                    "account_id account_name advertiser_id advertiser_name campaign_id campaign_name creative_format "
                    "creative_id creative_name creative_type creative_type_id creative_version medium "
                    "placement_cost_structure placement_id placement_name rendering_id site_id site_name source"
                )
            ),
        ),
        (
            "dv360_campaign",
            pa.struct(
                _texts(
                    "advertiser_id advertiser_name campaign_id campaign_name creative_format creative_id creative_name "
                    "exchange_id exchange_name insertion_order_id insertion_order_name line_item_id line_item_name "
                    "medium partner_id partner_name source"
                )
            ),
        ),
    ],
)
PUBLISHER = pa.struct([*_doubles("ad_revenue_in_usd"), *_texts("ad_format ad_source_name ad_unit_id")])

SCHEMA = pa.schema(
    [
        *_texts("event_date"),
        *_integers("event_timestamp"),
        *_texts("event_name"),
        ("event_params", pa.list_(PARAM)),
        *_integers("event_previous_timestamp"),
        *_doubles("event_value_in_usd"),
        *_integers("event_bundle_sequence_id event_server_timestamp_offset"),
        *_texts("user_id user_pseudo_id"),
        ("privacy_info", PRIVACY),
        ("user_properties", pa.list_(PROPERTY)),
        *_integers("user_first_touch_timestamp"),
        ("user_ltv", USER_LTV),
        ("device", DEVICE),
        ("geo", GEO),
        ("app_info", APP_INFO),
        ("traffic_source", TRAFFIC_SOURCE),
        *_texts("stream_id platform"),
        ("event_dimensions", EVENT_DIMENSIONS),
        ("ecommerce", ECOMMERCE),
        ("items", pa.list_(ITEM)),
        ("collected_traffic_source", COLLECTED_TRAFFIC_SOURCE),
        ("is_active_user", pa.bool_()),
        *_integers("batch_event_index batch_page_id batch_ordering_id"),
        ("session_traffic_source_last_click", LAST_CLICK),
        ("publisher", PUBLISHER),
    ],
)
"""Every column of a current shard."""

NEWER_COLUMNS = frozenset(
    {
        "collected_traffic_source",
        "is_active_user",
        "batch_event_index",
        "batch_page_id",
        "batch_ordering_id",
        "session_traffic_source_last_click",
        "publisher",
    },
)
"""Columns (with `items.item_params`) that shards from before the change of era lack."""

LAST_CLICK_COLUMN = "session_traffic_source_last_click"
"""The column that intraday shards lack."""
