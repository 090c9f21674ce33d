"""What a report is made of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from microconv.analyses.attribution.results import AttributionResult
from microconv.analyses.channels import ChannelResult
from microconv.analyses.funnels.results import FunnelResult
from microconv.audit.coverage import CoverageResult
from microconv.errors import UsageError
from microconv.staging.summary import StagedSummary


@dataclass(frozen=True)
class ReportData:
    """Everything the page shows, computed beforehand over the same staged tables.

    `timezone` is the property's reporting zone (IANA name), `currency` the unit of every value, `generated_at` an aware
    timestamp (shown in the property's zone), `version` the microconv that made the page. `attribution` is None when it
    was not computed; a funnel, coverage or channel result may be empty.

    Raises:
        UsageError: `generated_at` has no time zone.
    """

    project_name: str
    timezone: str
    currency: str
    generated_at: datetime
    version: str
    summary: StagedSummary
    funnels: tuple[FunnelResult, ...]
    attribution: AttributionResult | None
    coverage: CoverageResult
    channels: ChannelResult

    def __post_init__(self) -> None:
        if self.generated_at.utcoffset() is None:
            raise UsageError(
                "The report's generated_at has no time zone.",
                hint="Pass an aware timestamp, such as datetime.now(UTC).",
            )
