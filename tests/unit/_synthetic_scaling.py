"""Made-up rows of table ``scaling``: ways that grow, stay, and stop at limits."""

from collections.abc import Sequence
from typing import Any

# way: exponent of memory, MiB at 224 px; exponent of time, s at 224 px
WAYS = {
    "resnet50": (2.0, 40.0, 2.1, 0.15),
    "vgg16": (2.0, 160.0, 2.0, 0.6),
    "bagnet33": (2.0, 300.0, 2.0, 0.8),
    "bagnet33-streamed": (0.0, 350.0, 2.0, 0.85),
    "bagnet33-patches": (0.6, 20.0, 2.3, 4.0),
    "bagnet33-sampled": (0.6, 12.0, 2.3, 1.0),
    "bagnet33-guided": (0.6, 14.0, 2.3, 1.1),
}
SIDES_PX = (224, 512, 1024, 2048, 4096, 8192, 16384)
_GIB, _SECONDS = 12.0, 600.0


def scaling_rows(ways: Sequence[str]) -> list[dict[str, Any]]:
    """Every way in both tasks, training three times as dear."""
    return [
        row
        for task, dear in (("inference", 1.0), ("training", 3.0))
        for way in ways
        for row in _curve(way, task, dear)
    ]


def _curve(way: str, task: str, dear: float) -> list[dict[str, Any]]:
    grow, mib, slower, seconds = WAYS[way]
    rows, stopped = [], ""
    for side_px in SIDES_PX:
        taken, work_s = (
            dear * first * (side_px / 224) ** k for first, k in ((mib, grow), (seconds, slower))
        )
        reason = "out of memory at 12 GiB" if taken + 420 > 1024 * _GIB else ""
        reason = reason or ("longer than 600 s" if work_s > _SECONDS else "")
        row = {"way": way, "task": task, "side_px": side_px, "image_mib": 3 * side_px**2 / 2**20}
        row |= {"max_memory_gib": _GIB, "max_time_s": _SECONDS, "device": "cpu", "threads": 1}
        row |= {"host": "A processor, 2 cores, 15.6 GiB", "gpu": None, "commit": "0" * 12}
        row |= dict.fromkeys(
            ("peak_gpu_mib", "start_gpu_mib", "peak_gpu_reserved_mib", "redundant")
        )
        if reason or stopped:
            status = "out of memory" if "memory" in reason else "too long"
            row |= {"status": "not tried" if stopped else status}
            row |= {"reason": f"not tried: {stopped}" if stopped else reason}
            row |= dict.fromkeys(("work_s", "work_low_s", "work_high_s", "cpu_s"))
            row |= {
                "peak_rss_mib": None,
                "start_rss_mib": None,
                "n_repeats": 0,
                "n_pieces": 0,
                "piece_px": 0,
            }
            stopped = stopped or f"at {side_px:,} px {reason}"
        else:
            spread = {"work_s": work_s, "work_low_s": 0.9 * work_s, "work_high_s": 1.2 * work_s}
            spread |= {"cpu_s": 0.95 * work_s}
            row |= spread | {"status": "measured", "reason": "", "piece_px": min(side_px, 465)}
            row |= {"peak_rss_mib": 420 + taken, "start_rss_mib": 420.0}
            row |= {"redundant": 0.125 if way.endswith("streamed") else None}
            row |= {"n_pieces": 1, "n_repeats": 5 if work_s < 2 else 1}
        rows.append(row)
    return rows
