"""Columns, types and units of every table between stages: the contract of the files.

Row *i* of ``images`` is row *i* of ``images.npy``. Row *i* of ``patches``, within a shard, is
row *i* of that shard's pixels, embeddings and patch logits. Splits are by image, never by patch.
"""

import pandas as pd
import pyarrow as pa

from patchbench.columns import DETECTED as _DETECTED
from patchbench.columns import ESTIMATE as _ESTIMATE
from patchbench.columns import FLOAT, INT, N_DRAWS, REASON, REASONS, STRING, Columns
from patchbench.columns import RUN as _RUN
from patchbench.errors import UserError
from patchbench.table_of_costs import COST_COLUMNS
from patchbench.table_of_scaling import SCALING_COLUMNS
from patchbench.tables_of_tests import TEST_COLUMNS as TEST_COLUMNS

SPLITS = ("train", "val", "test")

COLUMNS: dict[str, Columns] = {
    "images": {
        "image_id": (STRING, "stable identifier, unique"),
        "class_name": (STRING, "name of the true class"),
        "label": (INT, "index of the true class in sorted class names"),
        "split": (STRING, "train, val or test, decided per image"),
        "group": (STRING, "images of one group share a split; the image's own id where none"),
        "source_height_px": (INT, "height before resizing"),
        "source_width_px": (INT, "width before resizing"),
    },
    "patches": {
        "image_id": (STRING, "image the patch was cut from"),
        "patch_id": (STRING, "{image_id}/{row:03d}-{col:03d}"),
        "image_row": (INT, "row of the image in images.parquet and images.npy"),
        "row": (INT, "place in the patch grid, from 0 at the top"),
        "col": (INT, "place in the patch grid, from 0 at the left"),
        "y_px": (INT, "top edge in the image"),
        "x_px": (INT, "left edge in the image"),
        "height_px": (INT, "height of the patch"),
        "width_px": (INT, "width of the patch"),
        "label": (INT, "label of the image"),
        "split": (STRING, "split of the image"),
        "shard": (INT, "shard that holds the patch"),
        "offset": (INT, "row of the patch in its shard"),
        "foreground": (FLOAT, "share of the patch inside the object mask, 0-1; null without mask"),
    },
    "predictions": {
        "image_id": (STRING, "image decided on"),
        "split": (STRING, "val or test"),
        "label": (INT, "true class"),
        "fusion": (STRING, "entry of the config's fusions, or 'none' for a CNN"),
        "predicted_label": (INT, "class with the highest probability"),
        "probabilities": (pa.list_(FLOAT), "one per class, in label order; they sum to 1"),
    },
    "roc": {
        "level": (STRING, "patch or image"),
        "fusion": (STRING, "fusion at image level; 'none' at patch level"),
        "false_positive_rate": (FLOAT, "0-1, a fixed grid"),
        "true_positive_rate": (FLOAT, "0-1, mean of the one-vs-rest curves over classes"),
    },
    "history": {
        "epoch": (INT, "from 1"),
        "split": (STRING, "train or val"),
        "measure": (STRING, "what was measured, for example loss or accuracy"),
        "value": (FLOAT, "mean over the epoch"),
        "kept": (pa.bool_(), "true for the epoch whose weights were kept"),
    },
    "folds": {
        "image_row": (INT, "row of the image in images.parquet and images.npy"),
        "fold": (INT, "fold of a train image, from 0; -1 for val and test"),
    },
    "embedding_map": {
        "patch_id": (STRING, "a test patch, of the sample that all encoders share"),
        "label": (INT, "label of its image"),
        "shard": (INT, "shard that holds the patch"),
        "offset": (INT, "row of the patch in its shard"),
        "x": (FLOAT, "t-SNE map, no unit"),
        "y": (FLOAT, "t-SNE map, no unit"),
        "pca_x": (FLOAT, "first principal component of the standardised embeddings"),
        "pca_y": (FLOAT, "second principal component"),
        "explained": (FLOAT, "share of variance of both components, 0-1; the same in every row"),
    },
    "explained": {
        "image_row": (INT, "row of the image in images.parquet and images.npy"),
        "split": (STRING, "split of the image"),
        "label": (INT, "true class, explained in true.npy"),
        "predicted": (INT, "class that the network decides on, explained in predicted.npy"),
        "fold": (INT, "fold whose network, that never saw it, was asked; -1: that of all of train"),
    },
    "faithfulness": {
        "explain": (STRING, "entry of the config's explain"),
        "target": (STRING, "class whose maps were measured: predicted"),
        "measure": (
            STRING,
            "deletion_auc, insertion_auc, zero_maps (share of maps without a positive value); with "
            "masks also pointing_game, energy_in_mask, mask_share",
        ),
        "value": (FLOAT, "0-1, mean over test images"),
        "low": _ESTIMATE["low"],
        "high": _ESTIMATE["high"],
        "reason": REASON,
        "n_images": (INT, "test images measured"),
    },
    "detection": _DETECTED
    | {
        "split": (STRING, "split of the patches that were scored"),
        "measure": (
            STRING,
            "background_auc: how well a detector tells patches without any object; log_loss "
            "(nats): of the patch classifier on train, out of fold, and on val",
        ),
        **_ESTIMATE,
        "work_s": (FLOAT, "elapsed time of fitting the detector and scoring train and test"),
    },
    "sweep": _RUN
    | {
        "use": (STRING, "filter: drop the noisiest share; weight: weigh by how clean a patch is"),
        "applied": (STRING, "train, test or both"),
        "fraction": (FLOAT, "share of patches asked to be dropped, 0-1; null for weights"),
        "level": (
            STRING,
            "patch; image: mean of probabilities; "
            "fused: by the rule best on val, if test patches are not weighed",
        ),
        **_ESTIMATE | {"reason": REASONS},
        "difference": (FLOAT, "macro AUC less that of keeping all, on the same images"),
        "difference_low": (FLOAT, "lower end of its paired 95 % bootstrap interval"),
        "difference_high": (FLOAT, "upper end"),
        "p": (FLOAT, "two-sided bootstrap p that there is no difference, 0-1"),
        "random_difference": (
            FLOAT,
            "macro AUC less that of dropping as many at random",
        ),
        "random_difference_low": (FLOAT, "lower end of its paired 95 % bootstrap interval"),
        "random_difference_high": (FLOAT, "upper end"),
        "random_p": (FLOAT, "two-sided bootstrap p that there is no difference, 0-1"),
        "removed_train": (FLOAT, "share of train patches dropped, 0-1"),
        "removed_test": (FLOAT, "share of test patches dropped, 0-1"),
        "n_by_floor": (INT, "patches that were noisy enough but the last of their image"),
        "fit_s": (FLOAT, "elapsed time of the fit"),
    },
    "experiments": _RUN
    | {
        "experiment": (STRING, "entry of the config's experiments"),
        "policy": (STRING, "what is removed or moved, and in which order"),
        "rescaled": (
            pa.bool_(),
            "whether what is left was scaled up; null where that is no question",
        ),
        "amount": (FLOAT, "share removed, 0-1; tiles per side; or side of a part, px"),
        "measure": (
            STRING,
            "auc_macro, accuracy, log_loss (nats) of images; of parts: pearson_r, sum_of_drops and "
            "joint_drop (logits)",
        ),
        **_ESTIMATE | {"reason": REASONS},
        "draw_low": (FLOAT, "2.5th percentile of single draws; null where there is one"),
        "draw_high": (FLOAT, "97.5th percentile of single draws"),
        "difference": (FLOAT, "value less that of the same images left as they are"),
        "difference_low": (FLOAT, "lower end of its paired 95 % bootstrap interval"),
        "difference_high": (FLOAT, "upper end"),
        "p": (FLOAT, "two-sided bootstrap p that there is no difference, 0-1"),
        "n_draws": (INT, "draws that the value is the mean of"),
    },
    "background": {
        **{name: column for name, column in _DETECTED.items() if name != "detector"},
        "by": (STRING, "saliency, foreground, or votes (all patches)"),
        "bin": (INT, "group, from the least saliency or foreground; 0 of foreground is none"),
        "bin_low": (FLOAT, "lower end of the group: saliency over the image's mean, or share"),
        "bin_high": (FLOAT, "upper end"),
        "measure": (
            STRING,
            "auc_macro, log_loss (nats), background_among_confident_wrong, background_among_all",
        ),
        **_ESTIMATE,
        "n_patches": (INT, "patches in the group"),
    },
    "metrics": _RUN
    | {
        "level": (STRING, "patch: each patch scored by its image's label; image: after fusion"),
        "metric": (
            STRING,
            "auc_macro (mean over classes), auc_micro (all classes' probabilities in one list), "
            "accuracy, balanced_accuracy, log_loss (nats), brier (squared distance over all "
            "classes, 0-2), ece (expected calibration error, 15 bins)",
        ),
        "value": (FLOAT, "on the test split; null where undefined"),
        "low": (
            FLOAT,
            "lower end of the 95 % bootstrap interval, images resampled, those of a group "
            "together; of an accuracy of 0 or 1, which no draw changes, exact binomial",
        ),
        "high": (FLOAT, "upper end"),
        "n_draws": N_DRAWS,
        "reason": REASON,
        "n_images": (INT, "test images"),
    },
    "fusion_tests": _RUN
    | {
        "rival": (STRING, "entry of the config's fusions that the rule is compared with"),
        "rival_classifier": (STRING, "classifier whose votes the rival joined"),
        "difference": (
            FLOAT,
            "macro AUC of images less that of the rival, same test images",
        ),
        "low": (FLOAT, "lower end of its paired 95 % bootstrap interval, drawn as in metrics"),
        "high": (FLOAT, "upper end"),
        "p": (FLOAT, "two-sided bootstrap p that there is no difference, 0-1"),
        "reason": (STRING, "why the difference or its interval is null; null where neither is"),
        "n_images": (INT, "test images"),
    },
    "reliability": _DETECTED
    | {
        "level": (STRING, "patch; image: mean of the probabilities of its patches"),
        "calibrated": (pa.bool_(), "whether logits were divided by the temperature"),
        "temperature": (FLOAT, "what they were divided by, fitted on val; 1 where they were not"),
        "measure": (
            STRING,
            "accuracy: in a bin; over all: ece (expected calibration error), log_loss (nats), and "
            "ece_change, log_loss_change: after less before, the interval paired",
        ),
        "bin": (INT, "fifteenth of confidence, from 0 for the least; -1: all"),
        "confidence": (FLOAT, "mean probability of the likeliest class, 0-1; null in an empty bin"),
        **_ESTIMATE,
        "share": (FLOAT, "share of the predictions in the bin, 0-1"),
        "n_predictions": (INT, "patches or images in the bin"),
    },
    "learned": _RUN
    | {
        "setting": (STRING, "number that a fusion rule has learned on val; weight: of a place"),
        "y": (FLOAT, "centre of the place, -1 at the top to 1; null where it is not of a place"),
        "x": (FLOAT, "centre of the place, -1 at the left to 1"),
        "value": (
            FLOAT,
            "what was learned, null for an infinite number; weights of all places sum to 1",
        ),
    },
    **COST_COLUMNS,
}
COLUMNS["all_predictions"] = _RUN | {
    k: v for k, v in COLUMNS["predictions"].items() if k != "fusion"
}
COLUMNS["all_roc"] = _RUN | {k: v for k, v in COLUMNS["roc"].items() if k != "fusion"}
_FITTED = {name: _RUN[name] for name in ("dataset", "patches", "encoder", "seed")}
COLUMNS["all_history"] = _FITTED | COLUMNS["history"]
COLUMNS["all_faithfulness"] = _FITTED | COLUMNS["faithfulness"]
COLUMNS["all_embedding_map"] = _FITTED | COLUMNS["embedding_map"]
COLUMNS["all_images"] = {"dataset": _RUN["dataset"]} | COLUMNS["images"]
COLUMNS |= TEST_COLUMNS | SCALING_COLUMNS


def schema(name: str) -> pa.Schema:
    """The Arrow schema of table ``name``."""
    return pa.schema([(column, kind) for column, (kind, _) in COLUMNS[name].items()])


def to_arrow(frame: pd.DataFrame, name: str) -> pa.Table:
    """Check a frame against the columns promised for ``name`` and convert it.

    Raises
    ------
    UserError
        If a column is missing, unexpected, or does not convert to its type.
    """
    expected = list(COLUMNS[name])
    missing = [c for c in expected if c not in frame.columns]
    extra = [c for c in frame.columns if c not in expected]
    if missing or extra:
        raise UserError(f"table {name!r}: missing columns {missing}, unexpected columns {extra}")
    try:
        table = pa.Table.from_pandas(frame[expected], schema(name), preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise UserError(f"table {name!r}: {error}") from error
    holes = _holes(table)
    if holes:
        raise UserError(f"table {name!r}: columns {holes} lack a whole number in some rows")
    return table


def from_arrow(table: pa.Table, name: str) -> pd.DataFrame:
    """The opposite of :func:`to_arrow`.

    Raises
    ------
    UserError
        If columns are missing, unexpected, in another order or of another type, or lack whole
        numbers, which would become floats.
    """
    expected, told = schema(name), None
    if table.schema.names != expected.names:
        told = f"has columns {table.schema.names}, expected {expected.names}"
    elif wrong := [f for f in table.schema if f.type != expected.field(f.name).type]:
        kinds = {f.name: (str(f.type), str(expected.field(f.name).type)) for f in wrong}
        told = f"has columns of other types than expected, (found, expected): {kinds}"
    elif holes := _holes(table):
        told = f"lacks whole numbers in some rows of {holes}"
    if told:
        raise UserError(
            f"table {name!r} {told}; it was written by another version: delete it and run "
            "snakemake again"
        )
    frame: pd.DataFrame = table.to_pandas()
    return frame


def _holes(table: pa.Table) -> list[str]:
    """Columns of whole numbers that have nulls."""
    pairs = zip(table.schema, table.columns, strict=True)
    return [f.name for f, column in pairs if pa.types.is_integer(f.type) and column.null_count]


def empty(name: str) -> pd.DataFrame:
    """Table ``name`` without rows."""
    frame: pd.DataFrame = schema(name).empty_table().to_pandas()
    return frame
