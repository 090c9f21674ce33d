"""The made-up shop: pages, products, visitors' devices and places, and the channels they come by. Data, no logic."""

from __future__ import annotations

from typing import Final, NamedTuple

SITE: Final = "https://shop.example.com"
STREAM_ID: Final = "4711000001"
CURRENCY: Final = "EUR"
USD_PER_EUR: Final = 1.1


class Product(NamedTuple):
    """One product; `price` in EUR. Whole prices reach the export as integers, as GA4 does it."""

    item_id: str
    name: str
    category: str
    price: float


class Channel(NamedTuple):
    """How a session arrives. `weight` is its share of sessions; `query` is what the landing address carries.

    `param_*` is what the tracking code saw (event parameters, `collected_traffic_source`); `source` and `medium`
    is what GA4 made of it. They differ where a click id overrules a wrong UTM, and for assistants, which arrive as
    referrals.
    """

    group: str
    source: str
    medium: str
    campaign: str | None
    weight: float
    referrer: str | None = None
    query: str = ""
    has_gclid: bool = False
    param_source: str | None = None
    param_medium: str | None = None
    param_campaign: str | None = None


class Device(NamedTuple):
    """One kind of device; `weight` is its share of clients."""

    category: str
    brand: str
    model: str
    system: str
    browser: str
    browser_version: str
    weight: float


class Place(NamedTuple):
    """Where a client lives; `country_code` is ISO 3166-1 alpha-2."""

    country_code: str
    continent: str
    sub_continent: str
    country: str
    region: str
    city: str
    language: str
    postal_code: str
    weight: float


def _products() -> tuple[Product, ...]:
    ranges = {
        "Jackets": ("Rain Jacket", "Down Jacket", "Wind Jacket", "Field Coat", "Fleece Vest"),
        "Shoes": ("Trail Shoe", "City Sneaker", "Hiking Boot", "Sandal", "Winter Boot"),
        "Shirts": ("Merino Shirt", "Linen Shirt", "Flannel Shirt", "Polo", "Tank Top"),
        "Bags": ("Day Pack", "Travel Bag", "Hip Bag", "Tote", "Laptop Sleeve"),
        "Accessories": ("Wool Cap", "Scarf", "Gloves", "Belt", "Rain Hat"),
    }
    floors = {"Jackets": 89, "Shoes": 69, "Shirts": 29, "Bags": 39, "Accessories": 15}
    return tuple(
        Product(
            f"SKU{group * 5 + place + 1:03d}",
            name,
            category,
            floors[category] + 10 * place + (0.9 if place % 2 else 0.0),
        )
        for group, (category, names) in enumerate(ranges.items())
        for place, name in enumerate(names)
    )


PRODUCTS: Final = _products()
CATEGORIES: Final = tuple(dict.fromkeys(product.category for product in PRODUCTS))
PRODUCTS_PER_CATEGORY: Final = len(PRODUCTS) // len(CATEGORIES)


def _slug(name: str) -> str:
    return name.lower().replace(" ", "-")


PAGES: Final = (
    ("/", "Home"),
    ("/search?q=rain", "Search"),
    ("/lookbook", "Lookbook"),
    ("/sizing-guide", "Sizing guide"),
    ("/login", "Log in"),
    ("/cart", "Cart"),
    ("/checkout", "Checkout"),
    ("/checkout/thank-you", "Thank you"),
    ("/checkout/thank-you?reload=1", "Thank you"),
    *((f"/c/{_slug(category)}", category) for category in CATEGORIES),
    *((f"/p/{_slug(product.name)}", product.name) for product in PRODUCTS),
    ("/club/pricing", "Club prices"),
)
"""Path and title of every page; the constants below are places in it."""

HOME, SEARCH, LOOKBOOK, SIZING, LOGIN, CART, CHECKOUT, THANKS, THANKS_AGAIN = range(9)
FIRST_CATEGORY: Final = 9
FIRST_PRODUCT: Final = FIRST_CATEGORY + len(CATEGORIES)
PRICING: Final = FIRST_PRODUCT + len(PRODUCTS)

CHANNELS: Final = (
    Channel("Direct", "(direct)", "(none)", None, 0.22),
    Channel("Organic Search", "google", "organic", None, 0.27, "https://www.google.com/"),
    Channel(
        "Paid Search", "google", "cpc", "autumn_search", 0.17, "https://www.google.com/", has_gclid=True,
        query="?utm_source=google&utm_medium=cpc&utm_campaign=autumn_search",
    ),
    Channel(
        "Email", "newsletter", "email", "october_news", 0.1,
        query="?utm_source=newsletter&utm_medium=email&utm_campaign=october_news",
    ),
    Channel(
        "Paid Social", "instagram", "paid_social", "autumn_looks", 0.07, "https://l.instagram.com/",
        query="?utm_source=instagram&utm_medium=paid_social&utm_campaign=autumn_looks",
    ),
    Channel("Organic Social", "facebook.com", "referral", None, 0.04, "https://www.facebook.com/"),
    Channel("Organic Video", "youtube.com", "referral", None, 0.03, "https://www.youtube.com/"),
    Channel("Referral", "blog.example.org", "referral", None, 0.05, "https://blog.example.org/best-jackets"),
    Channel(
        "AI Assistant", "chatgpt.com", "ai-assistant", None, 0.03, "https://chatgpt.com/", param_medium="referral",
    ),
    # An ad whose landing address still carries the newsletter's UTM: the click id tells the truth.
    Channel(
        "Paid Search", "google", "cpc", "autumn_search", 0.02, "https://www.google.com/", has_gclid=True,
        query="?utm_source=newsletter&utm_medium=email&utm_campaign=october_news",
        param_source="newsletter", param_medium="email", param_campaign="october_news",
    ),
)  # fmt: skip
DIRECT, ORGANIC_SEARCH, PAID_SEARCH, EMAIL = range(4)
REFERRAL, AI_ASSISTANT, WRONG_UTM = 7, 8, 9

DEVICES: Final = (
    Device("desktop", "Microsoft", "Edge", "Windows", "Edge", "141.0", 0.12),
    Device("desktop", "Google", "Chrome", "Windows", "Chrome", "141.0", 0.18),
    Device("desktop", "Apple", "Safari", "Macintosh", "Safari", "26.0", 0.1),
    Device("mobile", "Apple", "iPhone", "iOS", "Safari", "26.0", 0.27),
    Device("mobile", "Samsung", "SM-S921B", "Android", "Samsung Internet", "28.0", 0.15),
    Device("mobile", "Google", "Pixel 9", "Android", "Chrome", "141.0", 0.12),
    Device("tablet", "Apple", "iPad", "iOS", "Safari", "26.0", 0.06),
)

PLACES: Final = (
    Place("DE", "Europe", "Western Europe", "Germany", "Berlin", "Berlin", "de-de", "10115", 0.3),
    Place("DE", "Europe", "Western Europe", "Germany", "Bavaria", "Munich", "de-de", "80331", 0.18),
    Place("AT", "Europe", "Western Europe", "Austria", "Vienna", "Vienna", "de-at", "1010", 0.1),
    Place("FR", "Europe", "Western Europe", "France", "Ile-de-France", "Paris", "fr-fr", "75001", 0.12),
    Place("GB", "Europe", "Northern Europe", "United Kingdom", "England", "London", "en-gb", "SW1A 1AA", 0.15),
    Place("US", "Americas", "Northern America", "United States", "New York", "New York", "en-us", "10001", 0.15),
)

EVENT_NAMES: Final = (
    "first_visit", "session_start", "page_view", "scroll", "user_engagement", "view_promotion", "select_promotion",
    "view_search_results", "video_start", "video_progress", "video_complete", "sizing_guide_open", "view_item_list",
    "select_item", "view_item", "add_to_wishlist", "add_to_cart", "login", "view_cart", "begin_checkout",
    "add_shipping_info", "add_payment_info", "purchase", "compare_click", "compare_products", "video_preview",
    "form_start", "form_submit", "newsletter_signup", "review_read", "delivery_check", "store_check",
)  # fmt: skip
"""Every event the shop sends; an event's code in the generator is its place here."""

CODES: Final = {name: code for code, name in enumerate(EVENT_NAMES)}

PREVIEWS: Final = ("Rain", "Trail", "City", "Winter")
"""The titles of the product films that a visitor may preview."""
REVIEWS: Final = tuple(f"R-{number:02d}" for number in range(1, 13))
"""The numbers of the customers' reviews that a visitor may read."""
SIGNUP_TAGS: Final = ("form", "tag manager")
"""What sends `newsletter_signup`; where both do, one sign-up is two rows."""
