from __future__ import annotations

from pathlib import Path

import pytest
from segment_builder import Segment

pytest.register_assert_rewrite("export_contract", "microconv.testing")


@pytest.fixture
def segment(tmp_path: Path) -> Segment:
    """An empty segment that exports into a folder that does not exist yet."""
    return Segment(folder=tmp_path / "exports")
