"""How the configuration's micro-conversion ids become the ids that staged rows carry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from microconv.errors import TaxonomyError

if TYPE_CHECKING:
    from microconv.taxonomy import Taxonomy


def counted_id(taxonomy: Taxonomy, entry_id: str, *, named_by: str) -> str:
    """Return the id under which occurrences of `entry_id` are staged: a deprecated entry counts as its replacement.

    Args:
        taxonomy: The taxonomy the tables were staged with.
        entry_id: As the configuration writes it.
        named_by: What names the entry (`funnel "checkout"`), for the message.

    Raises:
        TaxonomyError: The taxonomy has no such entry; the message says who named it and which ids come near.
    """
    try:
        return taxonomy.entry(entry_id).counts_as
    except TaxonomyError as error:
        raise TaxonomyError(f"In {named_by}: {error.message}", hint=error.hint) from None
