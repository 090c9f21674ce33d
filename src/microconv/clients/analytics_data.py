"""GA4's Data API: one report at a time, whole, with its metadata, and without locking the property for others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from tenacity import Retrying, retry_if_exception, stop_after_attempt, stop_after_delay, wait_random_exponential

from microconv.clients import analytics_failures as failures
from microconv.clients.analytics_access import Access, opened
from microconv.clients.analytics_failures import OF_AN_AUDIT
from microconv.errors import AnalyticsError

if TYPE_CHECKING:
    from google.analytics.data_v1beta import BetaAnalyticsDataClient, RunReportResponse

ResultT = TypeVar("ResultT")

DEADLINE_SECONDS = 120.0
TRIES = 4
SERVER_ERRORS_ALLOWED = 2
"""Server errors of one run after which nothing more is asked: GA4 locks a property for an hour after ten."""
RESERVES = {
    "tokens_per_day": ("tokens of this day", 1_000),
    "tokens_per_hour": ("tokens of this hour", 500),
    "tokens_per_project_per_hour": ("tokens of this project and hour", 500),
    "server_errors_per_project_per_hour": ("server errors of this hour", 4),
    "potentially_thresholded_requests_per_hour": ("requests of this hour that GA4 may withhold rows from", 10),
}
"""What is left to others of each quota of a property: as people read it, and how much."""


@dataclass(frozen=True)
class Report:
    """One question to GA4. Users and sessions do not add up, so that every set of dimensions is asked by itself."""

    dimensions: tuple[str, ...]
    metrics: tuple[str, ...]
    first_date: date
    last_date: date


@dataclass(frozen=True)
class ReportAnswer:
    """All rows of a report, and what GA4 says about them.

    Attributes:
        report: What was asked.
        rows: The metrics, in the order of the report, by the values of the dimensions.
        timezone: The property's reporting zone now.
        currency: The property's currency now.
        has_other_row: Rare values were rolled into a row "(other)".
        is_thresholded: Rows of few users may be withheld.
        sampled_share: The share of events that the report was made of; 1 without sampling.
        empty_reason: Why there is no row, where GA4 says so.
        restricted: Metrics that the account may not see.
        is_truncated: Data of some days were left out.
    """

    report: Report
    rows: dict[tuple[str, ...], tuple[float, ...]]
    timezone: str = ""
    currency: str = ""
    has_other_row: bool = False
    is_thresholded: bool = False
    sampled_share: float = 1.0
    empty_reason: str = ""
    restricted: tuple[str, ...] = ()
    is_truncated: bool = False


@dataclass
class Quota:
    """What is left of a property's quotas, as the latest answer told it."""

    remaining: dict[str, int] = field(default_factory=dict)
    dearest: int = 0
    """Tokens that the dearest request of this run took."""

    def note(self, said: Any) -> None:  # noqa: ANN401 - a PropertyQuota, whose type is loaded with the client
        """Take over what an answer told."""
        for name in RESERVES:
            if name in said:
                status = getattr(said, name)
                self.remaining[name] = status.remaining
                if name.startswith("tokens"):
                    self.dearest = max(self.dearest, status.consumed)

    def nearly_spent(self) -> tuple[str, int] | None:
        """Return the quota that another request could bring below its reserve, if any, and what is left of it."""
        for name, (words, reserve) in RESERVES.items():
            left = self.remaining.get(name)
            needed = self.dearest if name.startswith("tokens") else 0
            if left is not None and left - needed < reserve:
                return words, left
        return None


class AnalyticsData:
    """The Data API of one property."""

    def __init__(self, access: Access, *, retrying: Retrying | None = None) -> None:
        """Take how to reach it; nothing is opened before it is needed. Tests pass a policy that does not wait."""
        self.access = access
        self.quota = Quota()
        self._server_errors = 0
        policy = retrying or Retrying(
            wait=wait_random_exponential(multiplier=1.0, max=16.0),
            stop=stop_after_delay(DEADLINE_SECONDS) | stop_after_attempt(TRIES),
        )
        self._retrying = policy.copy(retry=retry_if_exception(self._may_try_again), reraise=True)

    def report(self, asked: Report) -> ReportAnswer:
        """Return all rows of a report.

        Raises:
            AnalyticsError: it cannot be had, or a quota is nearly spent, or what came is not all of it.
        """
        rows: dict[tuple[str, ...], tuple[float, ...]] = {}
        pages = list(self._pages(asked))
        for page in pages:
            if page.row_count != pages[0].row_count:
                raise _incomplete(len(rows), page.row_count)
            for row in page.rows:
                key = tuple(each.value for each in row.dimension_values)
                rows[key] = tuple(float(each.value or 0) for each in row.metric_values)
        if len(rows) != pages[0].row_count:
            raise _incomplete(len(rows), pages[0].row_count)
        said = [page.metadata for page in pages]
        first = said[0]
        return ReportAnswer(
            report=asked,
            rows=rows,
            timezone=first.time_zone,
            currency=first.currency_code,
            has_other_row=any(each.data_loss_from_other_row for each in said),
            is_thresholded=any(each.subject_to_thresholding for each in said),
            sampled_share=min((_share(each) for each in first.sampling_metadatas), default=1.0),
            empty_reason=first.empty_reason,
            restricted=tuple(
                sorted({each.metric_name for each in first.schema_restriction_response.active_metric_restrictions})
            ),
            is_truncated=bool(first.data_truncation_reasons),
        )

    def close(self) -> None:
        """Close the client, if it was opened."""
        opened = self.__dict__.pop("_client", None)
        if opened is not None:
            opened.transport.close()

    def _pages(self, asked: Report) -> Iterator[RunReportResponse]:
        """Ask page after page: rows come in the order of the dimensions, so that none is skipped between pages."""
        from google.analytics.data_v1beta import DateRange, Dimension, Metric, OrderBy, RunReportRequest

        received = 0
        while True:
            request = RunReportRequest(
                property=f"properties/{self.access.ga4_property}",
                dimensions=[Dimension(name=each) for each in asked.dimensions],
                metrics=[Metric(name=each) for each in asked.metrics],
                date_ranges=[DateRange(start_date=asked.first_date.isoformat(), end_date=asked.last_date.isoformat())],
                order_bys=[
                    OrderBy(dimension=OrderBy.DimensionOrderBy(dimension_name=each)) for each in asked.dimensions
                ],
                offset=received,
                limit=self.access.page_rows,
                return_property_quota=True,
            )
            page = self._call(lambda request=request: self._run(request))  # type: ignore[misc]  # bound per page
            self.quota.note(page.property_quota)
            yield page
            received += len(page.rows)
            if received >= page.row_count or not page.rows:
                return

    def _run(self, request: Any) -> RunReportResponse:  # noqa: ANN401 - a RunReportRequest, see above
        # The client's own retries are off: `_call` has the only policy.
        return self._client.run_report(request, retry=None, timeout=self.access.timeout_seconds)

    def _call(self, function: Callable[[], ResultT]) -> ResultT:
        if spent := self.quota.nearly_spent():
            raise failures.nearly_spent(self.access.ga4_property, *spent)
        if self._server_errors >= SERVER_ERRORS_ALLOWED:
            raise failures.server_errors()

        def counted() -> ResultT:
            try:
                return function()
            except Exception as failure:
                self._server_errors += failures.is_server_error(failure)
                raise

        try:
            return self._retrying.copy()(counted)
        except AnalyticsError:
            raise
        except Exception as failure:
            raise failures.in_our_words(failure, self.access.ga4_property, self.access.credentials_file) from failure

    def _may_try_again(self, failure: BaseException) -> bool:
        return failures.is_passing(failure) and self._server_errors < SERVER_ERRORS_ALLOWED

    @cached_property
    def _client(self) -> BetaAnalyticsDataClient:
        from google.analytics.data_v1beta import BetaAnalyticsDataClient
        from google.analytics.data_v1beta.services.beta_analytics_data.transports import (
            BetaAnalyticsDataGrpcTransport,
            BetaAnalyticsDataRestTransport,
        )

        over = (BetaAnalyticsDataGrpcTransport, BetaAnalyticsDataRestTransport)
        return opened(BetaAnalyticsDataClient, *over, self.access, OF_AN_AUDIT)


def _share(sampling: Any) -> float:  # noqa: ANN401 - a SamplingMetadata, see above
    return sampling.samples_read_count / sampling.sampling_space_size if sampling.sampling_space_size else 1.0


def _incomplete(received: int, announced: int) -> AnalyticsError:
    from microconv import wording

    return AnalyticsError(
        f"GA4 announced {wording.count(announced)} rows of a report and gave {wording.count(received)}.",
        hint="The data changed meanwhile, or the answer was cut: run the audit again.",
    )
