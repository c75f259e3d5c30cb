"""What a study's tables and ``run.json`` promise, held against those of a real run."""

import html
import json
from pathlib import Path

import pandas as pd
import pytest

from patchbench.io import read_json
from patchbench.keys_of_run import KEYS
from patchbench.reasons import reason_of
from patchbench.report import undefined
from patchbench.report.undefined import STATISTICS
from patchbench.study import open_study

STUDY = "results/studies/tiny"


def table(finished: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(finished / STUDY / f"{name}.parquet")


def keys_of(value: object, at: str = "") -> set[str]:
    """Keys of a JSON value, as documented; not those within what is documented as a whole."""
    inner = {name.removeprefix(at).split(".")[0] for name in KEYS if name.startswith(at)}
    if inner == {""} or not inner:
        return {at.removesuffix(".")}
    value = dict(enumerate(value)) if isinstance(value, list) else value
    assert isinstance(value, dict), at
    name = min(inner)
    if not name.startswith("{"):
        return set().union(*(keys_of(own, f"{at}{key}.") for key, own in value.items()))
    first, *others = (keys_of(own, f"{at}{name}.") for own in value.values() if own)
    assert all(other == first for other in others), at
    return first


def test_every_key_of_run_json_is_documented_and_there(finished: Path) -> None:
    told = json.loads((finished / STUDY / "run.json").read_text(encoding="utf-8"))
    assert keys_of(told) == set(KEYS)


def test_one_table_has_the_cost_of_every_job_up_to_the_report(finished: Path) -> None:
    costs = table(finished, "costs")
    told = sorted(read_json(path)["wall_s"] for path in finished.rglob("*.cost.json"))
    assert sorted(costs["wall_s"]) == told
    assert list(costs["stage"])[-3:] == ["collect", "draw", "report"]
    before = table(finished, "costs_of_runs")
    pd.testing.assert_frame_equal(costs[:-3], before)


@pytest.mark.parametrize(("name", "statistics"), STATISTICS.items())
def test_what_is_undefined_has_a_reason_and_what_is_defined_has_none(
    finished: Path, name: str, statistics: tuple[str, ...]
) -> None:
    frame = table(finished, name)
    assert len(frame)
    for column in statistics:
        start = f"{column}_" if f"{column}_low" in frame else ""
        p = {"difference": "p", "random_difference": "random_p"}.get(column)
        asked = [column, f"{start}low", f"{start}high", *([p] if p else [])]
        texts = frame["reason"].astype(object).where(frame["reason"].notna(), "")
        if len(statistics) > 1:
            texts = texts.map(lambda text, column=column: reason_of(column, text))
        assert (frame[asked].isna().any(axis=1) == (texts != "")).all(), column


def test_the_report_lists_what_is_undefined_in_few_lines(finished: Path) -> None:
    lines = [gap for gap in undefined.gaps(open_study(finished / STUDY)) if "table" in gap]
    assert lines and len(lines) <= 3 * len(STATISTICS)
    page = (finished / STUDY / "report.html").read_text(encoding="utf-8")
    assert all(html.escape(line) in page for line in lines)
