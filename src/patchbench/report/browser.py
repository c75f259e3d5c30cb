"""What the patch browser of the page is given: pictures, votes and decisions of some images.

Everything goes in as data that a script reads, so no name of a user's becomes part of the page's
markup or of its code.
"""

from base64 import b64encode
from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd

from patchbench import results_table as results
from patchbench.study import NONE, WHOLE_IMAGE, Study

JPEG_QUALITY = 88
Arrays = Mapping[str, np.ndarray]


def browser_data(study: Study) -> dict[str, Any] | None:
    """Everything that is browsed, ready for JSON; None where the study kept no images for it."""
    found = [
        _of_dataset(study, dataset, arrays)
        for dataset in sorted(study.datasets)
        if len((arrays := _arrays(study, dataset)).get("images", ()))
    ]
    return {"datasets": found} if found else None


def _arrays(study: Study, dataset: str) -> dict[str, np.ndarray]:
    start = f"{dataset}/"
    return {k.removeprefix(start): v for k, v in study.browser.items() if k.startswith(start)}


def _of_dataset(study: Study, dataset: str, arrays: Arrays) -> dict[str, Any]:
    classes = [str(name) for name in study.datasets[dataset]["classes"]]
    images = [
        {"id": str(name), "label": int(label), "reason": int(reason), "shown": shown.tolist()}
        | {"picture": _jpeg(pixels)}
        for name, label, reason, shown, pixels in zip(
            arrays["ids"],
            arrays["labels"],
            arrays["reasons"],
            arrays["shown"],
            arrays["images"],
            strict=True,
        )
    ]
    return {
        "name": dataset,
        "seed": int(arrays["seed"]),
        "classes": classes,
        "image_px": int(arrays["image_px"]),
        "images": images,
        "boxes": {
            name.removeprefix("boxes/"): boxes.tolist()
            for name, boxes in arrays.items()
            if name.startswith("boxes/")
        },
        "methods": list(_methods(study, dataset, arrays)),
    }


def _methods(study: Study, dataset: str, arrays: Arrays) -> Iterator[dict[str, Any]]:
    """Every run of the seed shown that decided on the images, best first."""
    rows = study.predictions
    rows = rows[(rows["dataset"] == dataset) & (rows["split"] == "test")]
    rows = rows[rows["image_id"].isin(arrays["ids"]) & (rows["seed"] == int(arrays["seed"]))]
    told = results.scores(study, dataset, "image")
    rules = study.methods["fusions"]
    summaries = {name: str(about.get("summary") or "") for name, about in rules.items()}
    for method in told.drop_duplicates(results.METHOD).to_dict("records"):
        own = rows
        for column in results.METHOD:
            own = own[own[column] == method[column]]
        name = "/".join(str(method[column]) for column in ("patches", "encoder", "classifier"))
        votes, whole = arrays.get(f"votes/{name}"), method["patches"] == WHOLE_IMAGE
        if own.empty or (votes is None and method["classifier"] != NONE and not whole):
            continue  # a control that does not look at patches
        learned = _learned(study, dataset, method, int(arrays["seed"]))
        yield {
            "label": results.label(study, {str(k): v for k, v in method.items()}),
            "patches": None if whole else method["patches"],
            "votes": _base64(votes, "<i2"),
            "evidence": _base64(arrays.get(f"evidence/{name}"), "u1"),
            "map": _map(arrays, str(method["encoder"])) if whole else None,
            "rules": list(_rules(own, arrays, name, summaries, learned)),
        }


def _rules(
    own: pd.DataFrame,
    arrays: Arrays,
    name: str,
    *told: Mapping[str, str],
) -> Iterator[dict[str, Any]]:
    """What every rule of a run decided, image after image, and by which patches.

    ``told`` is what there is to say of a rule, by its name.
    """
    for fusion, rows in own.groupby("fusion", sort=True):
        rows = rows.set_index("image_id").loc[arrays["ids"]]
        found = np.stack(list(rows["probabilities"]))
        true = found[np.arange(len(found)), arrays["labels"]]
        yield {
            "name": str(fusion),
            "about": "; ".join(filter(None, (about.get(str(fusion)) for about in told))),
            "decided": rows["predicted_label"].astype(int).tolist(),
            "probability": found.max(axis=1).round(3).tolist(),
            "of_true": true.round(3).tolist(),
            "influence": _base64(arrays.get(f"influence/{name}/{fusion}"), "<i2"),
            "attention": _base64(arrays.get(f"attention/{name}/{fusion}"), "<i2"),
        }


def _learned(study: Study, dataset: str, method: Mapping[Any, Any], seed: int) -> dict[str, str]:
    """The numbers that each rule of a run has learned on val, in words."""
    rows = study.learned[(study.learned["dataset"] == dataset) & (study.learned["seed"] == seed)]
    rows = rows[rows["y"].isna()]  # no weights of places
    for column in results.METHOD:
        rows = rows[rows[column] == method[column]]
    found: dict[str, list[str]] = {}
    for fusion, setting, value in zip(rows["fusion"], rows["setting"], rows["value"], strict=True):
        number = "infinite" if pd.isna(value) else f"{value:.3g}"
        found.setdefault(str(fusion), []).append(f"{setting} {number}")
    return {fusion: f"{', '.join(numbers)} (from val)" for fusion, numbers in found.items()}


def _map(arrays: Arrays, network: str) -> dict[str, Any] | None:
    """Grad-CAM of a network, maps one after the other; None where there is none."""
    heat = arrays.get(f"maps/{network}")
    if heat is None:
        return None
    return {
        "rows": heat.shape[1],
        "cols": heat.shape[2],
        "values": _base64(heat, "u1"),
        "classes": arrays[f"mapped/{network}"].tolist(),
    }


def _base64(values: np.ndarray | None, kind: str) -> str | None:
    """The bytes of an array, rows after rows; None where there is none."""
    if values is None:
        return None
    return b64encode(np.ascontiguousarray(values, kind).tobytes()).decode("ascii")


def _jpeg(pixels: np.ndarray) -> str:
    """A picture as a data URI."""
    from PIL import Image

    content = BytesIO()
    Image.fromarray(pixels).save(content, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return f"data:image/jpeg;base64,{b64encode(content.getvalue()).decode('ascii')}"
