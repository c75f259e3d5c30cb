"""How many shards the patches are in changes nothing that is measured."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from harness import stage

from patchbench.io import read_array, read_state, read_table
from patchbench.patchset import shard_name
from patchbench.stages import encode

COUNTS = (1, 4, 16)
FUSIONS = json.dumps({"mean_logit": {}, "majority_vote": {}})
SPEC = json.dumps({"dim": 16})


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenes")
    spec = json.dumps({"image_size_px": 64, "n_images": 48})
    stage("prepare", dataset="scenes", spec=spec, source=folder, out=folder)
    return folder


def study(prepared: Path, out: Path, n_shards: int) -> Path:
    """Everything from patches to decisions, in as many shards."""
    images = prepared / "images.npy"
    names = [shard_name(shard, n_shards) for shard in range(n_shards)]
    pixels, embeddings, logits = (
        [out / kind / f"{name}.npy" for name in names] for kind in ("pixels", "embedded", "votes")
    )
    for folder in ("pixels", "embedded", "votes"):
        (out / folder).mkdir(parents=True)
    where = {"patch_size_px": 32, "stride_px": 16, "edge": "drop"}
    for name in names:
        stage("cut", images=images, shard=name, out=out / "pixels", **where)
    parts = [path.with_suffix(".parquet") for path in pixels]
    index, encoder, classifier = (out / f for f in ("index.parquet", "encoder.npz", "logistic.npz"))
    stage("index", parts=parts, images=images, spec=json.dumps(where), out=index)
    fixed = {"encoder": "random_projection", "spec": SPEC}
    stage(
        "fit_encoder",
        **fixed,
        patch_size_px=32,
        images=images,
        index=index,
        pixels=pixels,
        out=encoder,
    )
    for patches, to in zip(pixels, embeddings, strict=True):
        stage("encode", **fixed, state=encoder, images=images, pixels=patches, out=to)
    by = {"classifier": "logistic", "spec": "{}"}
    stage(
        "fit_classifier",
        **by,
        index=index,
        embeddings=embeddings,
        encoder_state=encoder,
        head="null",
        max_fit_mib=64,
        out=classifier,
    )
    for rows, to in zip(embeddings, logits, strict=True):
        stage("classify", **by, state=classifier, embeddings=rows, out=to)
    table = images.with_suffix(".parquet")
    stage("fuse", fusions=FUSIONS, index=index, table=table, patch_logits=logits, out=out)
    return out


@pytest.fixture(scope="module")
def studies(prepared: Path) -> dict[int, Path]:
    return {n: study(prepared, prepared / str(n), n) for n in COUNTS}


def test_the_index_names_the_shard_of_every_patch(studies: dict[int, Path]) -> None:
    for n, folder in studies.items():
        index = read_table(folder / "index.parquet", "patches")
        assert sorted(index["shard"].unique()) == list(range(n))
        for shard, rows in index.groupby("shard"):
            patches = read_array(folder / "pixels" / f"{shard_name(int(shard), n)}.npy")
            assert sorted(rows["offset"]) == list(range(len(patches)))


@pytest.mark.parametrize("kind", ["pixels", "embedded", "votes"])
def test_every_patch_has_the_same_row_however_many_shards(
    studies: dict[int, Path], kind: str
) -> None:
    one, *others = (
        np.concatenate([read_array(path) for path in sorted((folder / kind).glob("*.npy"))])
        for folder in studies.values()
    )
    for other in others:
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("encoder", "settings"),
    [
        ("bagnet", {"receptive_field_px": 9, "width": 16, "layers": [1, 1, 1, 1], "epochs": 1}),
        ("tile2vec", {"width": 8, "n_triplets": 64, "epochs": 1}),
        ("sift", {"step_px": 8, "aggregate": "fisher", "n_words": 4}),
        ("color_histogram", {}),
    ],
)
def test_no_encoder_knows_the_shard_of_a_patch(
    studies: dict[int, Path],
    prepared: Path,
    encoder: str,
    settings: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(encode, "CHUNK_PATCHES", 64)  # so that a shard holds a few, as shards do
    fixed = {"encoder": encoder, "spec": json.dumps(settings), "images": prepared / "images.npy"}
    found, states = [], []
    for n, folder in studies.items():
        state, pixels = folder / f"{encoder}.npz", sorted((folder / "pixels").glob("*.npy"))
        where = {"index": folder / "index.parquet", "patch_size_px": 32}
        stage("fit_encoder", **fixed, **where, pixels=pixels, out=state)
        states.append(read_state(state))
        for shard in pixels:
            out = folder / encoder / shard.name
            out.parent.mkdir(exist_ok=True)
            stage("encode", **fixed, state=state, pixels=shard, out=out)
        embedded = sorted((folder / encoder).glob("*.npy"))
        assert len(embedded) == n
        found.append(np.concatenate([read_array(path) for path in embedded]))
    for other, fitted in zip(found[1:], states[1:], strict=True):
        np.testing.assert_equal(fitted, states[0])
        np.testing.assert_array_equal(found[0], other)


@pytest.mark.parametrize("table", ["predictions", "metrics", "roc", "fusion_tests", "reliability"])
def test_results_are_identical_however_many_shards(studies: dict[int, Path], table: str) -> None:
    one, *others = (pd.read_parquet(folder / f"{table}.parquet") for folder in studies.values())
    for other in others:
        pd.testing.assert_frame_equal(one, other, check_exact=True)
