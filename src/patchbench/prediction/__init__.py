"""Decide on images outside any dataset with a run among the results, as the run would have."""

from pathlib import Path

from patchbench.errors import UserError
from patchbench.prediction.answer import Pipeline
from patchbench.prediction.run_folder import CNN, POOLED, open_run


def open_pipeline(
    folder: Path,
    fusion: str | None = None,
    *,
    full_size: bool = False,
    device: str = "auto",
    threads: int = 1,
) -> Pipeline:
    """Restore what a run has learned.

    Parameters
    ----------
    folder : Path
        Of the run, for example ``results/scenes/p32s16/seed0/bagnet17/logistic``.
    fusion : str or None
        Rule to decide by; the one that is best on val unless given.
    full_size : bool
        Whether images will come at their own size, not prepared as those of the dataset were.
    device, threads
        Where to compute, and with how many threads.

    Raises
    ------
    UserError
        If there is no such run or rule, a file is missing or damaged, or the run cannot decide on
        images of other sizes.
    """
    run = open_run(folder)
    if run.kind in (CNN, POOLED):
        if full_size:
            raise UserError(
                f"{run.path} decides on whole images as they were prepared, whose size bounds its "
                "memory; leave --full-size out, and a TIFF of any size is shrunk to it, or take a "
                "run whose patches vote"
            )
        from patchbench.prediction import whole

        opened = whole.open_cnn_run if run.kind == CNN else whole.open_pooled_run
        return opened(run, fusion, device, threads)
    from patchbench.prediction.votes import open_votes

    return open_votes(run, fusion, device, threads)
