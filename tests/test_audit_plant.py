"""The whole audit on shops made up by seed: what is planted is found, and nothing else is told."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import planted_faults
from microconv.audit.audit_findings import AuditFinding
from microconv.project import Project
from planted_faults import Fault
from projects import write_config

FAULTS = 2
"""So many faults of different kinds are in one shop."""


def audited(folder: Path, seed: int, faults: int = FAULTS) -> tuple[list[Fault], list[AuditFinding]]:
    """Make a shop with faults that are drawn by seed, stage and audit it; notes are told apart from what is wrong."""
    random = np.random.default_rng(seed)
    days = planted_faults.clean(random)
    kinds = random.permutation(list(planted_faults.KINDS))[:faults]
    planted = [planted_faults.plant(str(kind), days, random) for kind in kinds]
    planted_faults.write(days, folder / "exports")
    project = Project.load(write_config(folder, extra='own_hosts = ["www.shop.example"]\n'))
    project.sync()
    looked_for = {check for fault in planted for check in fault.told_by}
    findings = [each for each in project.audit().findings if each.severity != "note" or each.check in looked_for]
    return planted, findings


@pytest.mark.parametrize("seed", [500, 501])
def test_a_clean_shop_has_no_finding(tmp_path: Path, seed: int):
    _, findings = audited(tmp_path, seed, faults=0)

    assert [each.message for each in findings] == []


@pytest.mark.parametrize("seed", [600, 601, 602])
def test_planted_faults_are_found_and_nothing_else_is(tmp_path: Path, seed: int):
    planted, findings = audited(tmp_path, seed)

    assert [fault for fault in planted if not any(map(fault.is_told_by, findings))] == []
    assert [each.message for each in findings if not any(fault.explains(each) for fault in planted)] == []


@pytest.mark.long
def test_faults_of_thirty_seeds(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    found: Counter[str] = Counter()
    total: Counter[str] = Counter()
    told = wrong = 0
    lines = []
    for seed in range(1000, 1030):
        planted, findings = audited(tmp_path / str(seed), seed)
        for fault in planted:
            total[fault.kind] += 1
            found[fault.kind] += any(map(fault.is_told_by, findings))
        strange = [each for each in findings if not any(fault.explains(each) for fault in planted)]
        lines += [f"  seed {seed}, not planted: {each.check}: {each.message}" for each in strange]
        told, wrong = told + len(findings), wrong + len(strange)
    lines += [f"  {kind}: {found[kind]} of {number}" for kind, number in sorted(total.items())]
    with capsys.disabled():
        sys.stdout.write(
            f"\n{found.total()} of {total.total()} planted faults found; {wrong} of {told} findings are wrong\n"
            + "".join(f"{line}\n" for line in lines)
        )
    assert found.total() >= 0.95 * total.total()
    assert wrong <= 0.05 * told
