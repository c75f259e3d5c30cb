"""Columns of the table of what growing images take: a row per way, task and side."""

from patchbench.columns import FLOAT, INT, STRING, Columns

SCALING_COLUMNS: dict[str, Columns] = {
    "scaling": {
        "way": (STRING, "entry of the config's ways"),
        "task": (STRING, "inference, or training: one pass forward and backward, one image"),
        "side_px": (INT, "side of the square image"),
        "status": (STRING, "measured, out of memory, too long, failed, or not tried"),
        "reason": (STRING, "what stopped it, at this side or at a smaller one; empty if measured"),
        "work_s": (FLOAT, "elapsed time of a look at the image, median of n_repeats; else null"),
        "work_low_s": (FLOAT, "shortest"),
        "work_high_s": (FLOAT, "longest"),
        "cpu_s": (
            FLOAT,
            "processor time of a look over all threads, median; on one thread and a machine that "
            "also does other work, what work_s would be without that",
        ),
        "n_repeats": (INT, "timed looks; several, after one more, only where that one was short"),
        "peak_rss_mib": (FLOAT, "largest resident memory of the process while it looked"),
        "start_rss_mib": (
            FLOAT,
            "of that, what was there before: Python, PyTorch, network, and gradients in training",
        ),
        "peak_gpu_mib": (FLOAT, "largest GPU memory that tensors took; null without CUDA"),
        "start_gpu_mib": (
            FLOAT,
            "of that, what was there before: weights, and gradients in training; null without CUDA",
        ),
        "peak_gpu_reserved_mib": (FLOAT, "largest GPU memory that PyTorch held for them"),
        "image_mib": (
            FLOAT,
            "the image's own pixels, 3 bytes each: in memory at once where it is seen whole, "
            "else read by windows",
        ),
        "n_pieces": (INT, "pieces that the network saw: 1, tiles, or patches; 0 if not measured"),
        "piece_px": (INT, "longest side of a piece; 0 if not measured"),
        "redundant": (
            FLOAT,
            "multiply-adds done twice where tiles overlap, as a share of one pass over the image; "
            "null where none is streamed or measured",
        ),
        "max_memory_gib": (FLOAT, "limit of memory, of the process and on the GPU"),
        "max_time_s": (FLOAT, "limit of the time of one look"),
        "device": (STRING, "cpu or cuda; as asked for, where nothing was measured"),
        "threads": (INT, "threads the process was allowed"),
        "host": (STRING, "machine: processor, cores it could use, memory"),
        "gpu": (STRING, "model of its GPU; null where it used none by CUDA"),
        "commit": (STRING, "commit it ran at, '-dirty' if files were changed since"),
    }
}
