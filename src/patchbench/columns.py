"""Types, and columns that many tables share: what names a run, and an estimate."""

import pyarrow as pa

Columns = dict[str, tuple[pa.DataType, str]]

STRING, INT, FLOAT = pa.string(), pa.int64(), pa.float64()

RUN: Columns = {
    "dataset": (STRING, "entry of the config's datasets"),
    "patches": (STRING, "entry of the config's patches, or 'whole-image' for a CNN"),
    "encoder": (STRING, "entry of the config's encoders or cnns"),
    "classifier": (
        STRING,
        "entry of the config's classifiers, 'own_head' for a CNN, 'none' for rules on embeddings",
    ),
    "detector": (STRING, "noisy-patch detector used in training; 'none' where there was none"),
    "fusion": (STRING, "entry of the config's fusions; 'none' at patch level and for a CNN"),
    "seed": (INT, "seed of everything fitted"),
}

REASON: tuple[pa.DataType, str] = (
    STRING,
    "why the value or its interval is null; null where neither is",
)
REASONS: tuple[pa.DataType, str] = (
    STRING,
    "which of the value and the differences, or their intervals, are null and why, each after its "
    "column's name; null where none is",
)
ESTIMATE: Columns = {
    "value": (FLOAT, "the estimate, from all images"),
    "low": (
        FLOAT,
        "lower end of the 95 % bootstrap interval, images resampled, those of a group together; "
        "null where all draws give the same value or too few give one",
    ),
    "high": (FLOAT, "upper end of the 95 % bootstrap interval"),
    "reason": REASON,
    "n_images": (INT, "images behind the value"),
}
N_DRAWS: tuple[pa.DataType, str] = (
    INT,
    "draws of images in which it is defined, behind a bootstrap interval; 0 where none are made",
)
DETECTED: Columns = {name: column for name, column in RUN.items() if name != "fusion"}
