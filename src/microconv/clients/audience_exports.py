"""Who is in an audience of GA4: the Data API exports it, some minutes later, and gives its rows page by page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from microconv import wording
from microconv.clients import analytics_failures as failures
from microconv.clients.analytics_access import AnalyticsClient, opened
from microconv.errors import AnalyticsError

if TYPE_CHECKING:
    from google.analytics.data_v1beta import AudienceExport, BetaAnalyticsDataClient

COLUMNS = ("deviceId", "userId")
_STATES: dict[str, Literal["creating", "active", "failed"]] = {"ACTIVE": "active", "FAILED": "failed"}


@dataclass(frozen=True)
class MembersExport:
    """An export of an audience: who was in it when it was begun.

    Attributes:
        name: Its resource name.
        state: Whether it can be read.
        began_at: When it was begun.
        rows: How many there are, once it can be read.
    """

    name: str
    state: Literal["creating", "active", "failed"]
    began_at: datetime
    rows: int


class AudienceExports(AnalyticsClient):
    """The exports of the audiences of one property."""

    def latest(self, audience: str) -> MembersExport | None:
        """Return the export of an audience that was begun last, with our columns; None: there is none.

        Raises:
            MicroconvError: It cannot be had.
        """
        from google.analytics.data_v1beta import ListAudienceExportsRequest

        request = ListAudienceExportsRequest(parent=self._parent, page_size=200)
        found = self._patiently(
            lambda: [
                _export(each)
                for each in self._client.list_audience_exports(request, retry=None, timeout=self.access.timeout_seconds)
                if each.audience == audience and tuple(one.dimension_name for one in each.dimensions) == COLUMNS
            ]
        )
        return max(found, key=lambda each: each.began_at, default=None)

    def begin(self, audience: str) -> MembersExport:
        """Begin an export, and return it.

        Raises:
            MicroconvError: It was not begun.
        """
        from google.analytics.data_v1beta import AudienceDimension, AudienceExport, CreateAudienceExportRequest

        asked = AudienceExport(
            audience=audience, dimensions=[AudienceDimension(dimension_name=each) for each in COLUMNS]
        )
        request = CreateAudienceExportRequest(parent=self._parent, audience_export=asked)
        before = self.latest(audience)
        failure: Exception | None = None
        try:
            # What it answers is an operation; the export itself is listed at once.
            self._client.create_audience_export(request, retry=None, timeout=self.access.timeout_seconds)
        except Exception as error:  # noqa: BLE001 - of whatever kind: see below
            failure = error
        found = None
        if failure is None or failures.is_passing(failure):
            with suppress(AnalyticsError):
                found = self.latest(audience)
        if found is not None and (before is None or found.name != before.name):
            return found
        if failure is None:
            raise AnalyticsError(
                "GA4 took the order to export an audience, and does not list the export.",
                hint="Run it again in some minutes.",
            )
        raise self._in_our_words(failure) from failure

    def rows(self, export: MembersExport) -> Iterator[list[tuple[str, str]]]:
        """Yield the rows of an export that is active, page by page: device and user id; "" where there is none.

        Raises:
            MicroconvError: They cannot be had, or what came is not all.
        """
        from google.analytics.data_v1beta import QueryAudienceExportRequest

        received = 0
        while True:
            request = QueryAudienceExportRequest(name=export.name, offset=received, limit=self.access.page_rows)
            page = self._patiently(
                lambda request=request: self._client.query_audience_export(  # type: ignore[misc]  # bound per page
                    request, retry=None, timeout=self.access.timeout_seconds
                )
            )
            cells = [[_value(cell.value) for cell in row.dimension_values] for row in page.audience_rows]
            found = [(device, user) for device, user in cells]
            received += len(found)
            if found:
                yield found
            if received >= page.row_count:
                return
            if not found:
                raise AnalyticsError(
                    f"GA4 announced {wording.count(page.row_count)} rows of an audience and gave "
                    f"{wording.count(received)}.",
                    hint="Run it again.",
                )

    @cached_property
    def _client(self) -> BetaAnalyticsDataClient:
        from google.analytics.data_v1beta import BetaAnalyticsDataClient
        from google.analytics.data_v1beta.services.beta_analytics_data.transports import (
            BetaAnalyticsDataGrpcTransport,
            BetaAnalyticsDataRestTransport,
        )

        over = (BetaAnalyticsDataGrpcTransport, BetaAnalyticsDataRestTransport)
        return opened(BetaAnalyticsDataClient, *over, self.access, self._asked)


def _export(said: AudienceExport) -> MembersExport:
    return MembersExport(
        said.name, _STATES.get(said.state.name, "creating"), said.begin_creating_time, said.row_count or 0
    )


def _value(text: str) -> str:
    return "" if text == "(not set)" else text
