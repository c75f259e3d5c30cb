"""Columns of table ``costs``: what every job took, and where."""

from patchbench.columns import FLOAT, INT, RUN, STRING, Columns

COST_COLUMNS: dict[str, Columns] = {
    "costs": {
        "stage": (STRING, "stage of the pipeline; a job that does two leaves a row of each"),
        **{name: RUN[name] for name in ("dataset", "patches", "encoder", "classifier")},
        "seed": (INT, "seed; -1 where the stage has none"),
        "shard": (INT, "shard worked on; -1 where the stage has none"),
        "wall_s": (FLOAT, "elapsed time of the stage, without starting Python"),
        "work_s": (FLOAT, "of that, the work alone: no imports, loading, saving, scoring"),
        "parts_s": (
            STRING,
            "JSON: of work_s, seconds of each fusion rule fitted in fit_pooling; else null",
        ),
        "cpu_s": (FLOAT, "processor time, user and system, over all threads"),
        "start_s": (
            FLOAT,
            "processor time spent before the stage: starting Python; next to nothing where another "
            "stage ran before in the same process",
        ),
        "peak_rss_mib": (
            FLOAT,
            "largest resident memory of the process while the stage worked, "
            "with what another stage has left in it",
        ),
        "peak_gpu_mib": (FLOAT, "largest GPU memory that tensors took; null without CUDA"),
        "peak_gpu_reserved_mib": (FLOAT, "largest GPU memory that PyTorch held for them"),
        "bytes_written": (
            INT,
            "sizes of the files it put in their place, checkpoints too; neither its log nor "
            "this row",
        ),
        "n_items": (INT, "items worked on"),
        "item": (STRING, "what an item is: image, patch, image epoch, ..."),
        "items_per_s": (FLOAT, "items over work_s, both without the warm-up if it is known"),
        "warm_up_s": (
            FLOAT,
            "of work_s, the first of its pieces; null where it was not timed piece by piece",
        ),
        "item_ms_median": (FLOAT, "time of an item, median over pieces after the first"),
        "item_ms_low": (FLOAT, "5th percentile; null where there are no two such pieces"),
        "item_ms_high": (FLOAT, "95th percentile"),
        "n_repeats": (INT, "pieces behind them, 0 where work was not timed piece by piece"),
        "device": (STRING, "cpu, cuda or mps"),
        "threads": (INT, "threads the stage was allowed"),
        "host": (STRING, "machine the job ran on: processor, cores it could use, memory"),
        "gpu": (STRING, "model of its GPU; null where the job used none by CUDA"),
        "commit": (STRING, "commit the job ran at, '-dirty' if files were changed since"),
    },
}
