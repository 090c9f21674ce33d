"""The audience of a segment as it is now: its members, who they are, and what they agreed to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from microconv.activation.audience.first_party import read_consent, read_identity
from microconv.activation.audience.people import Consent, ConsentRecord, Person, consent_by_user
from microconv.activation.audience_plan import AudiencePlan, plan_audience
from microconv.activation.destinations.base import Accepts, Destination
from microconv.config.sections import Config
from microconv.config.segment_settings import SegmentConfig
from microconv.engines.base import Engine
from microconv.segments.members import Member, has_user_ids, members
from microconv.segments.memberships import build, current, default_moment, preview, rule_version, upcoming
from microconv.segments.propensity_rules import check_scores
from microconv.segments.sentence import sentence
from microconv.staging import properties
from microconv.staging.erasures import Erased, read_erased
from microconv.staging.summary import summary
from microconv.taxonomy import Taxonomy
from microconv.version import __version__


def denied_if_erased(consents: Iterable[ConsentRecord], erased: Erased | None) -> Iterable[ConsentRecord]:
    """Let whoever was erased have denied, whatever the consent table still says of them."""
    if erased is None:
        return consents
    return (
        ConsentRecord(each.user_id, "denied", "denied", each.changed_at) if erased.has(each.user_id) else each
        for each in consents
    )


@dataclass(frozen=True)
class SegmentAudiences:
    """Plans audiences of one project.

    Attributes:
        engine: Where the staged tables are.
        config: The configuration.
        taxonomy: The taxonomy that the tables were staged with.
        latest: The moment of the latest staged event.
        clock: Gives the current time.
        members_of: Gives the members of a segment, unless a moment is asked for.
    """

    engine: Engine
    config: Config
    taxonomy: Taxonomy
    latest: datetime
    clock: Callable[[], datetime] = lambda: datetime.now(tz=UTC)
    members_of: Callable[[Engine, str], Iterator[Member]] = current

    def built(self, run_id: str, *, dry_run: bool) -> SegmentAudiences:
        """Bring the memberships of all segments up to the latest event; whoever calls holds the run lock.

        A dry run only works out who would be a member, and writes nothing.
        """
        now = self.clock()
        moment = default_moment(self.engine, self.latest, now)
        work = preview if dry_run else build
        work(self.engine, self.config, self.taxonomy, moment, run_id, now=now)
        return replace(self, members_of=upcoming if dry_run else current)

    def plan(self, segment: SegmentConfig, destination: Destination, as_of: datetime | None = None) -> AudiencePlan:
        """Decide who would be sent to a destination: who is a member by the last build, or by the rule at a moment.

        Raises:
            ConfigError: there is no identity or consent table, or it cannot be read: nobody is sent without consent.
            UsageError: the destination carries none of the segment's identity.
        """
        return self.plan_for(segment, destination.settings.name, destination.accepts, as_of)

    def plan_for(
        self, segment: SegmentConfig, destination: str, accepts: Accepts, as_of: datetime | None = None
    ) -> AudiencePlan:
        """Decide who would be sent to whatever accepts this; see `plan`."""
        people = self.people()
        consents = denied_if_erased(
            read_consent(self.config.consent, self.engine, self.config.file), read_erased(self.engine)
        )
        moment = as_of or self.latest
        properties.check(self.engine, properties.of_rule(segment.rule), self.config, self.taxonomy)
        if as_of is not None:  # otherwise the build looked
            check_scores(self.engine, [segment.rule], self.taxonomy, as_of)
        staged = summary(self.engine)
        asked = None if as_of is None else members(self.engine, segment, self.taxonomy, as_of)
        return plan_audience(
            asked or self.members_of(self.engine, segment.name),
            people,
            consents,
            segment=segment.name,
            identity=segment.identity,
            destination=destination,
            accepts=accepts,
            lineage={
                "rule": segment.rule.model_dump(mode="json"),
                "rule_in_words": sentence(segment.rule),
                "rule_version": rule_version(segment, self.taxonomy),
                "as_of": moment,
                "taxonomy": f"{self.taxonomy.name} {self.taxonomy.version}",
                "taxonomy_fingerprint": self.taxonomy.fingerprint,
                "first_date": staged.first_date,
                "last_date": staged.last_date,
                "version": __version__,
            },
            now=self.clock(),
            known_until=min(moment, self.latest),
        )

    def refused(self) -> set[str]:
        """Return the users whose latest consent row denies, and those who were erased."""
        consents = read_consent(self.config.consent, self.engine, self.config.file)
        answers = consent_by_user(denied_if_erased(consents, read_erased(self.engine)), self.clock())
        return {name for name, answer in answers.items() if answer is Consent.DENIED}

    def people(self) -> Iterable[Person]:
        """Return the rows of the identity table."""
        return read_identity(self.config.identity, self.engine, self.config.file)

    def has_user_ids(self) -> bool:
        """Tell whether any row of the export has a user id."""
        return has_user_ids(self.engine)
