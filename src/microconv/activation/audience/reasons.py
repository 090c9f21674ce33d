"""Why a member, or one value of a member, is not sent: the codes that results, manifests and reject files use."""

from __future__ import annotations

from enum import Enum


class Reason(Enum):
    """A reason code. Not a `str`, on purpose: the type checker then refuses to hash one in place of an identifier."""

    NO_USER_ID = "no_user_id"
    """The actor is a device that never signed in."""
    NO_CONSENT_RECORD = "no_consent_record"
    """The consent table has no row for the user."""
    CONSENT_DENIED = "consent_denied"
    """The latest consent row does not grant both `ad_user_data` and `ad_personalization`."""
    CONSENT_UNREADABLE = "consent_unreadable"
    """A consent row of the user has a `changed_at` that is not a timestamp, so no row can be called the latest."""
    SHARED_WITH_DENIED = "shared_with_denied"
    """The identifier also belongs to a user whose consent is denied or unreadable."""
    NO_IDENTITY_RECORD = "no_identity_record"
    """The identity table has no row for the user."""
    AMBIGUOUS_IDENTITY = "ambiguous_identity"
    """The identity table has rows for the user that contradict each other."""
    NO_IDENTIFIER = "no_identifier"
    """The identity row is empty in every column the segment may use."""
    INVALID_EMAIL = "invalid_email"
    """The e-mail address is not one."""
    INVALID_PHONE = "invalid_phone"
    """The phone number cannot exist in its country, or is an extension of a switchboard."""
    PHONE_WITHOUT_COUNTRY = "phone_without_country"
    """The phone number has neither a leading + nor a known country beside it."""
    INVALID_NAME = "invalid_name"
    """The name holds no letter, or characters that no name has."""
    INVALID_COUNTRY = "invalid_country"
    """The country is not an ISO 3166 alpha-2 code."""
    INVALID_POSTAL_CODE = "invalid_postal_code"
    """The postal code holds more than letters, digits, spaces and hyphens, or is too long."""
    DUPLICATE_IDENTIFIER = "duplicate_identifier"
    """The same user, or the same identifiers, are in the audience already."""
