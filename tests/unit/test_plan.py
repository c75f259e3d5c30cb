"""The plan names every run once, and controls only where they mean something."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from patchbench import plan, plan_files, plan_weights, plugins
from patchbench.left_out import left_out

PUBLISHED = ("resnet50", "bagnet33", "patch_sizes")  # keys of ``literature``
CONFIG: dict[str, Any] = yaml.safe_load((Path(__file__).parents[2] / "config.yaml").read_text())


def test_every_combination_is_planned_once() -> None:
    runs = plan.runs(CONFIG)
    assert len(runs) == len(set(runs))
    lists = CONFIG["benchmark"]
    assert {r.encoder for r in runs} == set(lists["encoders"]) | set(lists["cnns"])


def test_a_classifier_that_ignores_embeddings_runs_once() -> None:
    runs = [r for r in plan.runs(CONFIG) if r.classifier == "majority_class"]
    assert [r.encoder for r in runs] == CONFIG["benchmark"]["encoders"][:1]


def heads_only(*encoders: str) -> dict[str, Any]:
    lists = CONFIG["benchmark"] | {"encoders": list(encoders), "classifiers": ["own_head"]}
    return CONFIG | {"classifiers": {"own_head": {}}, "benchmark": lists | {"cnns": []}}


def test_an_own_head_runs_where_there_is_one() -> None:
    config = heads_only("sift", "bagnet17")
    assert [r.encoder for r in plan.runs(config)] == ["bagnet17"]
    assert plan.head_of(config, "bagnet17") == ("network.fc.weight", "network.fc.bias")
    assert plan.head_of(config, "sift") is None
    assert plan.runs(heads_only("sift")) == []


def test_folders_tell_the_lineage() -> None:
    run = plan.Run("scenes", "p32s16", "sift", "logistic", 3)
    assert run.folder == "results/scenes/p32s16/seed3/sift/logistic"
    assert run.encoder_folder == "results/scenes/p32s16/seed3/sift"
    cnn = plan.Run("scenes", "whole-image", "resnet18", "own_head", 0)
    assert cnn.folder == cnn.encoder_folder == "results/scenes/whole-image/seed0/resnet18"


def test_costs_are_listed_once() -> None:
    files = plan_files.costs(CONFIG)
    assert len(files) == len(set(files))
    assert sum("pixels" in path for path in files) == CONFIG["patches"]["p32s16"]["shards"]


def test_experiments_are_done_on_what_they_can_be_done_on() -> None:
    chosen = ["spatial_blackout", "channel_blackout", "shuffle"]
    lists = CONFIG["benchmark"] | {"experiments": chosen, "encoders": ["sift"]}
    lists |= {"classifiers": ["logistic", "nbnn", "majority_class"]}
    config = CONFIG | {"benchmark": lists}
    found = {run.classifier: plan.experiments_of(config, run) for run in plan.runs(config)}
    assert found == {
        "logistic": chosen,
        "nbnn": ["spatial_blackout", "shuffle"],  # its scores are not linear
        "majority_class": [],
        "own_head": ["channel_blackout", "shuffle"],  # the CNN
    }
    assert any("nbnn was left out of channel_blackout" in text for text in left_out(config))
    costs = [path for path in plan_files.costs(config) if path.endswith("experiments.cost.json")]
    assert costs == [f"{run.folder}/experiments.cost.json" for run in plan.experimented(config)]
    assert plan.experimented(CONFIG) == []


def test_maps_are_planned_once_per_encoder_for_the_first_seed_only() -> None:
    lists = CONFIG["benchmark"] | {"seeds": [3, 4], "datasets": ["scenes", "digits"]}
    files = plan.map_files(CONFIG | {"benchmark": lists})
    encoders = lists["encoders"]
    assert list(files) == [
        f"results/{dataset}/p32s16/seed3/{encoder}/map.parquet"
        for dataset in ("scenes", "digits")
        for encoder in encoders
    ]
    costs = plan_files.costs(CONFIG | {"benchmark": lists})
    assert sum(path.endswith("/map.cost.json") for path in costs) == len(files)


def of_sizes(*sizes_px: int) -> dict[str, Any]:
    entries = {
        f"p{size}": {"patch_size_px": size, "stride_px": 16, "edge": "drop"} for size in sizes_px
    }
    lists = CONFIG["benchmark"] | {"patches": list(entries), "encoders": ["bagnet33", "sift"]}
    lists |= {"cnns": [], "explain": []}
    return CONFIG | {"patches": entries, "benchmark": lists}


def test_an_encoder_runs_on_the_patches_it_can_work_on_and_the_rest_is_told() -> None:
    config = of_sizes(16, 48)
    pairs = {(r.patches, r.encoder) for r in plan.runs(config)}
    assert pairs == {("p16", "sift"), ("p48", "sift"), ("p48", "bagnet33")}
    (told,) = left_out(config)
    assert told.startswith("p16 was left out for one encoder: encoders.bagnet33: patch_size_px is")
    controls = [r for r in plan.runs(config) if r.classifier == "majority_class"]
    assert [(r.patches, r.encoder) for r in controls] == [("p16", "sift"), ("p48", "bagnet33")]


def test_weights_are_fetched_once_or_are_the_user_s_own() -> None:
    lists = CONFIG["benchmark"] | {"encoders": ["a", "b", "c", "sift"], "patches": ["p48"]}
    published = {"type": "bagnet", "receptive_field_px": 33, "weights": "imagenet"}
    own = published | {"weights": "my/file.pth"}
    encoders = {"a": published, "b": published | {"freeze": True}, "c": own, "sift": {}}
    config = of_sizes(16, 48) | {"encoders": encoders, "benchmark": lists}
    config["benchmark"]["patches"] = ["p16", "p48"]
    files = [plan_weights.weights_file(config, name, "p48") for name in lists["encoders"]]
    fetched = "resources/weights/bagnet32-2ddd53ed.pth.tar"
    assert files == [fetched, fetched, "my/file.pth", None]
    assert list(plan_weights.published(config)) == [fetched]
    assert plan_weights.published(config)[fetched].url.endswith("/bagnet32-2ddd53ed.pth.tar")


def test_a_cnn_s_weights_are_fetched_or_are_the_user_s_own() -> None:
    cnns = {
        "scratch": {"type": "resnet18"},
        "tuned": {"type": "resnet50", "weights": "imagenet"},
        "frozen": {"type": "resnet50", "weights": "imagenet", "freeze": True},
        "own": {"type": "vgg16_bn", "weights": "my/file.pth"},
        "unused": {"type": "vgg16_bn", "weights": "imagenet"},
    }
    config = CONFIG | {"cnns": cnns}
    config["benchmark"] = CONFIG["benchmark"] | {
        "cnns": [name for name in cnns if name != "unused"]
    }
    files = [plan_weights.cnn_weights_file(config, name) for name in config["benchmark"]["cnns"]]
    fetched = "resources/weights/resnet50-0676ba61.pth"
    assert files == [None, fetched, fetched, "my/file.pth"]
    assert list(plan_weights.published(config)) == [fetched]
    encoder = {"type": "pretrained", "backbone": "resnet50"}
    both = config | {"encoders": config["encoders"] | {"features": encoder}}
    both["benchmark"] = config["benchmark"] | {"encoders": ["features"]}
    assert list(plan_weights.published(both)) == [fetched], "an encoder and a CNN share the file"


def with_fusions(*fusions: str, **lists: Any) -> dict[str, Any]:
    lists = {"fusions": list(fusions), "explain": []} | lists
    return CONFIG | {"benchmark": CONFIG["benchmark"] | lists}


def test_rules_on_embeddings_are_a_run_of_their_own_for_each_encoder() -> None:
    config = with_fusions("mean_probability", "abmil", encoders=["sift", "bagnet17"])
    pooled = [run for run in plan.runs(config) if run.classifier == plan.NONE]
    assert [run.encoder for run in pooled] == ["sift", "bagnet17"]
    assert pooled[0].folder == "results/scenes/p32s16/seed0/sift/pooled"
    assert not pooled[0].votes
    rival = plan.rival(config, pooled[1])
    assert rival is not None and (rival.encoder, rival.classifier) == ("bagnet17", "logistic")
    assert list(plan.fusions_on(config, "embeddings")) == ["abmil"]
    assert plan.fusions_of(config, rival) == {"mean_probability": {}}
    assert plan.NONE not in {run.classifier for run in plan.runs(CONFIG)}
    assert plan.swept(config | {"benchmark": config["benchmark"] | {"detectors": ["random"]}})


def test_rules_that_weigh_by_a_detector_run_where_it_does() -> None:
    chosen = ("mean_probability", "background_weight", "gradcam_weight")
    config = with_fusions(
        *chosen, encoders=["bagnet17"], classifiers=["logistic", "own_head"],
        detectors=["background_clusters", "gradcam"],
    )  # fmt: skip
    found = {run.classifier: list(plan.fusions_of(config, run)) for run in plan.runs(config)[:2]}
    # own_head cannot be fitted again, so no detector looks at it; gradcam has no maps here
    assert found["logistic"] == ["mean_probability", "background_weight"]
    assert found["own_head"] == ["mean_probability"]
    told = " ".join(left_out(config))
    assert "background_weight was left out of own_head: no detector looks at its votes" in told
    assert "gradcam_weight was left out, as the detector gradcam was" in told
    (told,) = left_out(with_fusions("mean_probability", "saliency_weight"))
    assert told.startswith("saliency_weight was left out: it weighs votes by what the detector")


@pytest.mark.parametrize("figure", plugins.available("figures"))
def test_what_a_figure_needs_is_stated_outright_and_exists(figure: str) -> None:
    module, stated = plugins.load("figures", figure), plugins.literals("figures", figure)
    for name in ("NEEDS", "AT_MOST"):
        asked = getattr(module, name, {})
        assert stated.get(name, {}) == asked
        for path, wanted in asked.items():
            section, _, key = path.rpartition(".")
            assert (section == "benchmark" and key in CONFIG["benchmark"]) or path == "literature"
            if not isinstance(wanted, int):
                known = plugins.available(key) if section else PUBLISHED
                assert set(wanted) <= set(known)
