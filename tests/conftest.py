"""Tests of one file stay on one worker, and so do files that share an expensive fixture."""

from typing import Any

import pytest

SHARING = ("test_noise.py", "test_runs.py")  # the fixture ``finished``, which takes minutes


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from xdist.scheduler import LoadFileScheduling

    class Sharing(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return "finished" if file.endswith(SHARING) else file

    return Sharing(config, log)
