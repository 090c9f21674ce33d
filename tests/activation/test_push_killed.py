"""A push that ends by force, or meets another: the next one puts all right."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from pushed_shop import Shop, emails

from commands import COMMAND, environment


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


@pytest.mark.parametrize("fault", ["kill_before", "kill_after"])
@pytest.mark.parametrize("at", [1, 2])
def test_a_push_killed_at_a_request_is_completed_by_the_next(shop: Shop, fault: str, at: int):
    killed = shop.run_alone("push", fault=fault, at=at)
    assert killed.code == -signal.SIGKILL
    done = shop.run("push", "--format", "json")
    assert done.code == 0, done
    assert shop.listed == emails(1, 2, 3, 4)
    # What may have arrived late is said once more, and then all is well.
    again, last = (shop.run("push", "--format", "json").document["lists"][0] for _ in range(2))
    assert (again["added"], again["repeated"], last["outcome"]) == (0, 2, "nothing to send")
    assert shop.listed == emails(1, 2, 3, 4)


@pytest.mark.parametrize("fault", ["kill_before", "kill_after"])
def test_who_refuses_after_a_push_was_killed_is_not_on_the_list(shop: Shop, fault: str):
    assert shop.run_alone("push", fault=fault, at=2).code == -signal.SIGKILL
    shop.agree([4], denied=[1, 2, 3])
    assert shop.run("push", "--allow-shrink", "--allow-churn").code == 0
    assert shop.listed == emails(4)


def test_of_two_pushes_one_works_and_the_other_names_it(shop: Shop):
    command = [str(COMMAND), "push"]
    env = environment(shop.environment("wait"))
    with subprocess.Popen(command, cwd=shop.folder, env=env, stderr=subprocess.DEVNULL) as first:
        for _ in range(600):
            if (shop.folder / "waiting").exists():
                break
            time.sleep(0.05)
        for arguments in (("push",), ("push", "--dry-run")):
            shop.run_alone(*arguments).assert_failed(5, f"is in use by process {first.pid}")
        os.kill(first.pid, signal.SIGKILL)
    assert shop.listed == set()
    assert shop.run("push").code == 0
    assert shop.listed == emails(1, 2, 3, 4)
