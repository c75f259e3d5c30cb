"""What readers take is what was written; all else is refused in one sentence."""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz.samples import sealed_table
from patchbench import grid, io, tables
from patchbench.config import check
from patchbench.doctor_study import SCHEMA, load
from patchbench.errors import UserError
from patchbench.stages.cut import index_rows

FLOATS = st.floats(allow_nan=False)
VALUES: dict[pa.DataType, st.SearchStrategy[Any]] = {
    tables.STRING: st.none() | st.text(max_size=8),
    tables.INT: st.integers(-(2**63), 2**63 - 1),
    tables.FLOAT: st.none() | FLOATS,
    pa.bool_(): st.none() | st.booleans(),
    pa.list_(tables.FLOAT): st.none() | st.lists(FLOATS, max_size=4),
}
KINDS = (*VALUES, pa.int32(), pa.float32())


@st.composite
def written(draw: st.DrawFn) -> tuple[str, pa.Table]:
    """Any table of the project with any rows."""
    name, n_rows = draw(st.sampled_from(sorted(tables.COLUMNS))), draw(st.integers(0, 4))
    columns = [
        pa.array(draw(st.lists(VALUES[field.type], min_size=n_rows, max_size=n_rows)), field.type)
        for field in tables.schema(name)
    ]
    return name, pa.table(columns, schema=tables.schema(name))


@st.composite
def grids(draw: st.DrawFn) -> pd.DataFrame:
    """Index of the patches of one shard, of any geometry."""
    side_px, patch_px = draw(st.integers(4, 40)), draw(st.integers(1, 40))
    stride_px, edge = draw(st.integers(1, 40)), draw(st.sampled_from(grid.EDGES))
    names = draw(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=3, unique=True))
    starts = grid.starts(side_px, min(side_px, patch_px), max(stride_px, side_px // 6), edge)
    images = pd.DataFrame({"image_id": names, "label": range(len(names)), "split": "train"})
    rows = range(draw(st.integers(0, len(names) - 1)), len(names))
    index = index_rows(images, rows, starts, starts, patch_px, draw(st.integers(0, 99)))
    shares = st.lists(st.none() | st.floats(0, 1), min_size=len(index), max_size=len(index))
    return index.assign(foreground=pd.Series(draw(shares), dtype=float))


def read_back(path: Path, frame: pd.DataFrame, name: str) -> pd.DataFrame:
    io.write_table(path, frame, name)
    return io.read_table(path, name)


def refusal(table: pa.Table, name: str) -> str:
    """What is said of a table whose checksum is right, when it is read and when it is written."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.parquet"
        path.write_bytes(sealed_table(table))
        with pytest.raises(UserError) as caught:
            io.read_table(path, name)
    words = str(caught.value)
    assert "\n" not in words and "run snakemake again" in words
    return words


@settings(deadline=None, max_examples=100)
@given(written())
def test_every_table_is_read_back(case: tuple[str, pa.Table]) -> None:
    name, table = case
    with tempfile.TemporaryDirectory() as folder:
        found = read_back(Path(folder) / "file.parquet", table.to_pandas(), name)
    assert tables.to_arrow(found, name).equals(table)


@settings(deadline=None, max_examples=60)
@given(written(), st.data())
def test_a_table_with_other_columns_is_refused(
    case: tuple[str, pa.Table], data: st.DataObject
) -> None:
    name, table = case
    at = data.draw(st.integers(0, table.num_columns - 1))
    new = data.draw(st.text(max_size=8).filter(lambda word: word not in table.schema.names))
    renamed = [new if i == at else word for i, word in enumerate(table.schema.names)]
    for other in (
        table.remove_column(at),
        table.append_column(new, table.column(at)),
        table.rename_columns(renamed),
        table.select(table.schema.names[::-1]),
    ):
        assert "has columns" in refusal(other, name)
        if sorted(other.schema.names) != sorted(table.schema.names):
            with pytest.raises(UserError, match="missing columns"):
                tables.to_arrow(other.to_pandas(), name)


@settings(deadline=None, max_examples=60)
@given(written(), st.data())
def test_a_table_with_a_column_of_another_type_is_refused(
    case: tuple[str, pa.Table], data: st.DataObject
) -> None:
    name, table = case
    at = data.draw(st.integers(0, table.num_columns - 1))
    field = table.schema.field(at)
    kind = data.draw(st.sampled_from([kind for kind in KINDS if kind != field.type]))
    assert field.name in refusal(table.set_column(at, field.name, pa.nulls(len(table), kind)), name)


@settings(deadline=None, max_examples=60)
@given(written(), st.data())
def test_whole_numbers_are_never_missing(case: tuple[str, pa.Table], data: st.DataObject) -> None:
    name, table = case
    whole = [field for field in table.schema if field.type == tables.INT]
    if not len(table) or not whole:
        return
    field = data.draw(st.sampled_from(whole))
    holed = table.set_column(
        table.schema.get_field_index(field.name), field, pa.nulls(len(table), field.type)
    )
    assert field.name in refusal(holed, name)
    with pytest.raises(UserError, match=field.name):
        tables.to_arrow(holed.to_pandas(), name)


@settings(deadline=None, max_examples=50)
@given(grids())
def test_an_index_is_read_back(index: pd.DataFrame) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = read_back(Path(folder) / "index.parquet", index, "patches")
    pd.testing.assert_frame_equal(found, index[list(tables.COLUMNS["patches"])], check_dtype=True)
    assert found["patch_id"].is_unique
    places = found[["image_row", "y_px", "x_px"]]
    assert not places.duplicated().any()
    np.testing.assert_array_equal(found["offset"], np.arange(len(found)))


@settings(deadline=None, max_examples=50)
@given(grids(), st.sampled_from(sorted(tables.COLUMNS["patches"])))
def test_an_altered_index_is_refused(index: pd.DataFrame, column: str) -> None:
    table = tables.to_arrow(index, "patches")
    at = table.schema.get_field_index(column)
    assert "has columns" in refusal(table.remove_column(at), "patches")
    kind = tables.FLOAT if table.schema.field(at).type == tables.STRING else tables.STRING
    other = table.set_column(at, column, pa.nulls(len(table), kind))
    assert column in refusal(other, "patches")


NAMES = st.from_regex(r"[a-z0-9]{1,5}([_-][a-z0-9]{1,5}){0,2}", fullmatch=True)
SIDES = st.integers(48, 96)
CHOICES = {
    "encoders": ["random_projection", "color_histogram", "raw_pixels", "sift"],
    "classifiers": ["logistic", "linear_svm", "nearest_neighbors", "majority_class"],
    "fusions": ["majority_vote", "mean_logit", "max_probability", "center_gaussian"],
}


def some(names: list[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(names), min_size=1, unique=True)


@st.composite
def studies(draw: st.DrawFn) -> dict[str, Any]:
    """Overlays that the default study can be run with."""
    names = draw(st.lists(NAMES.map("mine-{}".format), min_size=2, max_size=4, unique=True))
    data, cuts = names[:1], names[1:]
    side_px = draw(SIDES)
    patches = {
        name: {
            "patch_size_px": draw(st.integers(8, side_px)),
            "stride_px": draw(SIDES),
            "edge": draw(st.sampled_from(grid.EDGES)),
            "shards": draw(st.integers(1, 99)),
        }
        for name in cuts
    }
    lists = {section: draw(some(entries)) for section, entries in CHOICES.items()}
    lists["encoders"] = sorted({"random_projection", *lists["encoders"]})  # works on any patch
    seeds = draw(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=3, unique=True))
    return {
        "study": draw(NAMES),
        "datasets": {name: {"type": "scenes", "image_size_px": side_px} for name in data},
        "patches": patches,
        "max_bad_images": draw(st.floats(0, 1)),
        "benchmark": lists | {"datasets": data, "patches": cuts, "cnns": [], "seeds": seeds},
    }


def loaded(settings_of_a_user: object) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mine.yaml"
        path.write_text(yaml.safe_dump(settings_of_a_user), encoding="utf-8")
        config = load([path])
    check(config, SCHEMA)
    return config


@settings(deadline=None, max_examples=15)
@given(studies())
def test_a_study_is_read_as_it_was_written(study: dict[str, Any]) -> None:
    config = loaded(study)
    for section in ("study", "max_bad_images"):
        assert config[section] == study[section]
    for section in ("datasets", "patches", "benchmark"):
        assert config[section] == config[section] | study[section]
    assert loaded(config) == json.loads(json.dumps(config)) == config


PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
JSON = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
)
DEFAULT = load([])


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(st.data(), JSON)
def test_any_settings_are_a_study_or_refused_in_one_sentence(
    data: st.DataObject, value: Any
) -> None:
    section = data.draw(st.sampled_from([None, *DEFAULT]))
    if section is not None:
        value = {section: value}
        inner = DEFAULT[section]
        if isinstance(inner, dict) and inner:
            key = data.draw(st.sampled_from(sorted(inner)))
            value = data.draw(st.sampled_from([value, {section: {key: value[section]}}]))
    words = "a study"
    try:
        loaded(value)
    except UserError as error:
        words = str(error)
    assert words.isprintable()
