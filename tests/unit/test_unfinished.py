"""A job that failed is told of by its own log, and by no older one."""

from pathlib import Path

import pytest

from patchbench import doctor_study
from patchbench.plan import ONLY_SHARD
from patchbench.unfinished import without_absent

RUN = Path("results/scenes/p32s16/seed0/sift/logistic")


def test_of_a_job_of_two_stages_there_is_one_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    left = {"classifier": "it failed", f"patch_logits/{ONLY_SHARD}": "from when it was a job"}
    for name, said in left.items():
        log = RUN / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(said)
    missing = [*(f"{name}.cost.json" for name in left), "metrics.parquet"]
    due = {str(RUN / name): False for name in missing}
    found = without_absent(doctor_study.load([]), due)["unfinished"]
    assert found["summary"] == "8 of 9 runs are here"
    log, rest = found["why"]
    assert log == f"a job failed or was stopped, and its log {RUN}/classifier.log ends: it failed"
    assert rest.startswith(f"{RUN} is missing")
