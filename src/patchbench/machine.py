"""Describe the machine, the versions and the commit behind a result."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from patchbench import __version__

PACKAGES = (
    "numpy",
    "pandas",
    "pyarrow",
    "scikit-learn",
    "opencv-python-headless",
    "torch",
    "torchvision",
    "matplotlib",
    "snakemake",
)
DIRTY = "-dirty"
# where the workflow leaves the command line that it was started with
COMMAND_VARIABLE = "PATCHBENCH_COMMAND"
_ROOT = Path(__file__).resolve().parents[2]


def describe() -> dict[str, Any]:
    """Host, versions, commit, date and the workflow's command line, ready for JSON."""
    return {
        "host": {
            "cpu": _cpu(),
            "cores": _cores(),
            "memory_gib": _memory_gib(),
            "os": platform.system(),
        },
        "versions": {"patchbench": __version__, "python": platform.python_version()}
        | {name: found for name in PACKAGES if (found := _version(name))},
        "commit": commit(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "command": os.environ.get(COMMAND_VARIABLE, ""),
    }


def host() -> str:
    """The machine in a line: processor, cores, memory. No name, for results are published."""
    memory = _memory_gib()
    parts = [_cpu(), f"{_cores()} cores", f"{memory:g} GiB" if memory else ""]
    return ", ".join(filter(None, parts))


# where a new file may change what runs
_CODE = ("src", "workflow", "Snakefile", "config.yaml")


def commit() -> str:
    """Commit of the project, with `DIRTY` behind it if files were changed since; "" if unknown.

    New files count where code lies; a log that somebody keeps beside the results does not.
    """
    found = _git("rev-parse", "--short=12", "HEAD")
    if not found:
        return ""
    changed = _git("status", "--porcelain", "--untracked-files=no")
    added = _git("status", "--porcelain", "--", *_CODE)
    return found + DIRTY if changed or added else found


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _cores() -> int | None:
    """Cores that this process may use: a cluster lends fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError):
        return None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git(*arguments: str) -> str:
    """Output of a git command in the project's folder; empty where there is no repository."""
    try:
        done = subprocess.run(
            ["git", "-C", str(_ROOT), *arguments], capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
