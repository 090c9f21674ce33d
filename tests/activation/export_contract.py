"""What every destination that takes exports must hold to, beside the contract of a push."""

from __future__ import annotations

import contextlib
import logging
import resource
import stat
import traceback
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

import pytest
from segment_builder import NOW, Segment, assert_nothing_raw, nasty

from microconv import catalogue
from microconv.activation.audience.audience_rows import AudienceRow
from microconv.activation.audience.normalise import sha256_hex
from microconv.activation.destinations.base import Delivery, Destination, Receipt
from microconv.activation.export import batches
from microconv.config.destination_settings import DestinationConfig
from microconv.config.load import read_destination
from microconv.errors import ConfigError, DestinationError, FindingsError

_MOST_POLLS = 100
_FULL_AT_BYTES = 20_000
_TOO_MANY_ROWS = 2_000


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    """Let the kernel itself refuse to write on, in the middle of a file, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (_FULL_AT_BYTES, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class ExportContract:
    """The tests. A destination that keeps its members not in files says how to look at them, and how it fails."""

    keys: ClassVar[dict[str, Any]]
    """The keys under `[[destinations]]`, without `name`. Paths are left at their defaults."""

    @pytest.fixture
    def destination(self, tmp_path: Path) -> Destination:
        """The destination, with paths below a folder of the test."""
        return catalogue.destination(DestinationConfig(name="there", **self.keys), tmp_path / "microconv.toml")

    def held(self, destination: Destination, folder: Path) -> Mapping[str, object]:  # noqa: ARG002 - others look at it
        """Return all that the destination holds: by default the files below the folder of the test."""
        return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def failing(self, destination: Destination) -> AbstractContextManager[None]:  # noqa: ARG002 - others look at it
        """Return a context in which a large delivery fails."""
        return full_disk()

    # Settings

    def test_settings_refuse_keys_they_do_not_know(self, destination: Destination, tmp_path: Path) -> None:
        entry = DestinationConfig(**destination.settings.model_dump(), colour="red")
        with pytest.raises(ConfigError, match=r'destination "there" in .* colour is not a known key'):
            read_destination(entry, destination.settings_type, tmp_path / "microconv.toml")

    def test_it_says_what_it_accepts(self, destination: Destination) -> None:
        accepts = destination.accepts
        assert accepts.name
        assert accepts.identity
        assert accepts.normalisation.version
        assert accepts.minimum >= 0
        assert accepts.members_per_batch is None or accepts.members_per_batch > 0

    # Batches and receipts

    def rows(self, destination: Destination, count: int, start: int = 0) -> tuple[AudienceRow, ...]:
        """Make rows with all identifiers that the destination carries."""
        fields = {"email": "email", "phone": "phone", "user_id": "external_id"}
        carried = [fields[kind] for kind in destination.accepts.identity]
        return tuple(
            AudienceRow(**{field: sha256_hex(f"{field}{number}") for field in carried})
            for number in range(start, start + count)
        )

    def deliver(
        self, destination: Destination, rows: tuple[AudienceRow, ...], segment: str = "ready-to-buy"
    ) -> list[Receipt]:
        """Deliver rows, and ask until every receipt is final."""
        facts = {"members": len(rows) + 1, "written": len(rows)}
        delivery = Delivery(segment, f"run of {segment}", NOW, facts, rejects=((7, "no_user_id"),))
        with destination.begin(delivery) as send:
            receipts = [send(batch) for batch in batches(rows, destination.accepts.members_per_batch)]
        for _ in range(_MOST_POLLS):
            receipts = [destination.poll(receipt) for receipt in receipts]
        return receipts

    def test_empty_batch_is_taken(self, destination: Destination) -> None:
        (receipt,) = self.deliver(destination, ())
        assert (receipt.batch, receipt.taken, receipt.state) == (1, 0, "success")
        previous = destination.previous("ready-to-buy")
        assert previous is not None
        assert previous.written == 0

    def test_receipts_count_what_was_taken_and_batches_keep_to_the_limit(self, destination: Destination) -> None:
        most = destination.accepts.members_per_batch
        rows = self.rows(destination, 2 * (most or 5) + 1)
        receipts = self.deliver(destination, rows)
        assert [receipt.batch for receipt in receipts] == list(range(1, 4 if most else 2))
        assert [receipt.taken for receipt in receipts] == ([most, most, 1] if most else [11])
        assert len({receipt.reference for receipt in receipts}) == len(receipts)

    def test_polling_ends_and_stays_at_its_end(self, destination: Destination) -> None:
        receipts = self.deliver(destination, self.rows(destination, 3))
        assert all(receipt.is_final for receipt in receipts)
        assert [destination.poll(receipt) for receipt in receipts] == receipts

    def test_last_delivery_is_known(self, destination: Destination) -> None:
        assert destination.previous("ready-to-buy") is None
        for count in (3, 1, 2):
            self.deliver(destination, self.rows(destination, count))
            previous = destination.previous("ready-to-buy")
            assert previous is not None
            assert previous.written == count
        assert destination.previous("other") is None

    def test_same_delivery_again_changes_nothing(self, destination: Destination, tmp_path: Path) -> None:
        self.deliver(destination, self.rows(destination, 3))
        before = self.held(destination, tmp_path)
        self.deliver(destination, self.rows(destination, 3))
        assert self.held(destination, tmp_path) == before

    def held_of(self, destination: Destination, folder: Path, rows: tuple[AudienceRow, ...]) -> tuple[AudienceRow, ...]:
        """Return those of the rows of which the destination holds anything."""
        held = "".join(map(str, self.held(destination, folder).values()))
        return tuple(row for row in rows if any(v in held for v in (row.email, row.phone, row.external_id) if v))

    def test_who_is_no_longer_in_the_audience_is_nowhere(self, destination: Destination, tmp_path: Path) -> None:
        most = destination.accepts.members_per_batch or 5
        rows = self.rows(destination, 2 * most + 1)
        watched = (rows[0], rows[1], rows[most], rows[-1])
        self.deliver(destination, rows)
        assert self.held_of(destination, tmp_path, watched) == watched
        self.deliver(destination, rows[:1])
        assert self.held_of(destination, tmp_path, rows[:1]) == rows[:1]
        assert not self.held_of(destination, tmp_path, rows[1:])

    def test_segments_are_kept_apart(self, destination: Destination, tmp_path: Path) -> None:
        rows = self.rows(destination, 4)
        self.deliver(destination, rows[:3], segment="first")
        # Its name begins like the other's, and with a number after it.
        self.deliver(destination, rows[3:], segment="first-0001")
        first, second = destination.previous("first"), destination.previous("first-0001")
        assert first is not None
        assert second is not None
        assert (first.written, second.written) == (3, 1)
        assert self.held_of(destination, tmp_path, rows) == rows

    # What fails

    def test_failure_leaves_what_was_there(self, destination: Destination, tmp_path: Path) -> None:
        self.deliver(destination, self.rows(destination, 3))
        before = self.held(destination, tmp_path)
        with pytest.raises(DestinationError) as caught, self.failing(destination):
            self.deliver(destination, self.rows(destination, _TOO_MANY_ROWS))
        assert caught.value.exit_code == 4
        assert caught.value.hint
        assert self.held(destination, tmp_path) == before

    def test_failure_of_the_first_delivery_leaves_nothing(self, destination: Destination, tmp_path: Path) -> None:
        with pytest.raises(DestinationError), self.failing(destination):
            self.deliver(destination, self.rows(destination, _TOO_MANY_ROWS))
        assert not self.held(destination, tmp_path)
        assert destination.previous("ready-to-buy") is None

    @pytest.mark.parametrize("interruption", [KeyboardInterrupt, RuntimeError])
    def test_interruption_between_batches_leaves_what_was_there(
        self, destination: Destination, tmp_path: Path, interruption: type[BaseException]
    ) -> None:
        self.deliver(destination, self.rows(destination, 3))
        before = self.held(destination, tmp_path)
        delivery = Delivery("ready-to-buy", "run/2", NOW, {"written": 1}, rejects=())

        def send_and_stop() -> None:
            with destination.begin(delivery) as send:
                for batch in batches(self.rows(destination, 1, start=9), destination.accepts.members_per_batch):
                    send(batch)
                raise interruption

        with pytest.raises(interruption):
            send_and_stop()
        assert self.held(destination, tmp_path) == before

    # From members to the destination

    def exportable(self, segment: Segment, count: int) -> Segment:
        """Add people who consented and have every identifier."""
        for number in range(count):
            segment = segment.with_user(
                f"u{number}", "granted", email=f"user{number}@example.com", phone=f"+1800555{number:04d}"
            )
        return segment

    def test_dry_run_and_export_make_the_same_plan_and_a_dry_run_touches_nothing(
        self, destination: Destination, segment: Segment, tmp_path: Path
    ) -> None:
        people = self.exportable(segment, 3).with_user(None)
        identity = tuple(destination.accepts.identity)
        planned = people.export_to(destination, identity=identity, dry_run=True)
        assert not self.held(destination, tmp_path)
        exported = people.export_to(destination, identity=identity)
        assert planned.plan == exported.plan
        assert planned.plan[:12] in planned.sentence
        assert exported.plan[:12] in exported.sentence
        assert planned.document() == exported.document() | {"dry_run": True}
        assert (exported.members, exported.written, exported.excluded) == (4, 3, {"no_user_id": 1})
        assert sum(receipt.taken for receipt in exported.receipts) == 3

    def test_guards_stop_before_anything_is_touched(
        self, destination: Destination, segment: Segment, tmp_path: Path
    ) -> None:
        identity = tuple(destination.accepts.identity)
        self.exportable(segment, 3).export_to(destination, identity=identity)
        before = self.held(destination, tmp_path)
        for people in (segment, self.exportable(segment, 1)):
            with pytest.raises(FindingsError, match="--allow-shrink"):
                people.export_to(destination, identity=identity)
            assert self.held(destination, tmp_path) == before
        assert self.exportable(segment, 1).export_to(destination, identity=identity, allow_shrink=True).written == 1

    def test_nothing_raw_is_in_receipts_results_logs_or_what_is_held(
        self,
        destination: Destination,
        segment: Segment,
        tmp_path: Path,
        caplog: pytest.LogCaptureFixture,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        with caplog.at_level(logging.DEBUG):
            result = nasty(segment).export_to(destination, identity=tuple(destination.accepts.identity))
        captured = capfd.readouterr()
        shown = [repr(result), result.csv(), result.sentence, str(result.document()), repr(destination)]
        assert result.receipts
        assert_nothing_raw("".join([*shown, caplog.text, captured.out, captured.err]))
        assert_nothing_raw(str(self.held(destination, tmp_path)))

    def test_nothing_raw_is_in_errors(self, destination: Destination, segment: Segment) -> None:
        people = self.exportable(nasty(segment), _TOO_MANY_ROWS)
        with pytest.raises(DestinationError) as caught, self.failing(destination):
            people.export_to(destination, identity=tuple(destination.accepts.identity))
        assert_nothing_raw("".join(traceback.format_exception(caught.value)))

    def test_files_are_private(self, destination: Destination, tmp_path: Path) -> None:
        self.deliver(destination, self.rows(destination, 3))
        modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*") if path.is_file()}
        assert modes <= {0o600}
