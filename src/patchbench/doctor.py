"""Can a study run here? Machine, versions, devices, folders, tools, and what is missing.

Only the standard library is imported at the top, because the packages may be what is missing.
Nothing is fetched, and no file stays behind.
"""

import importlib.metadata
import mmap
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from patchbench import cluster, machine
from patchbench.devices import resolve
from patchbench.doctor_findings import MISSING, NOTE, OK, Finding
from patchbench.errors import UserError

# stages that take --device; all others compute on the processor
ON_DEVICE = (
    "fit_encoder",
    "encode",
    "fit_pooling",
    "pool",
    "cnn",
    "cnn_predict",
    "explain",
    "experiment",
    "scale",
)
PYTORCH = "PyTorch"
ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "envs/requirements.txt"
PROFILE = ROOT / "workflow/profiles/slurm/config.yaml"
_PINNED = re.compile(r"^([A-Za-z0-9_.-]+)==([^\s#]+)", re.MULTILINE)
_FOR_DEVELOPMENT = "# for development"
_OLDEST_PYTHON = (3, 11)
# the default study leaves 0.55 GiB, and its largest job takes 1.2 GiB of memory
_DISK_GIB, _JOB_GIB = 0.6, 1.2
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def examine(device: str) -> list[Finding]:
    """Look at everything that does not depend on a study but for the device that it asks for."""
    here = Path.cwd()
    return [
        *_machine(here),
        *packages(REQUIREMENTS),
        *devices(device),
        *(folder(name, here / path) for name, path in _FOLDERS),
        *_tools(here),
    ]


def lacks_packages(findings: Iterable[Finding]) -> bool:
    """Whether something does not load that a config may need to be read."""
    missing = {finding.section for finding in findings if finding.level == MISSING}
    return not missing.isdisjoint(("packages", PYTORCH))


# --------------------------------------------------------------------------------- machine


def _machine(here: Path) -> list[Finding]:
    host = machine.describe()["host"]
    found = [
        Finding("machine", "processor", str(host["cpu"])),
        Finding("machine", "cores usable", str(host["cores"])),
        _memory(host["memory_gib"], int(host["cores"] or 1)),
    ]
    free_gib = shutil.disk_usage(_existing(here / "results")).free / 2**30
    short = free_gib < _DISK_GIB
    return [
        *found,
        Finding(
            "machine",
            "disk free",
            f"{free_gib:.1f} GiB for {here / 'results'}",
            MISSING if short else OK,
            f"{free_gib:.1f} GiB are free for results, but the default study takes {_DISK_GIB} GiB;"
            " free some or run elsewhere with snakemake --directory"
            if short
            else "",
        ),
    ]


def _memory(memory_gib: float | None, cores: int) -> Finding:
    """Memory, and how many of the largest jobs fit in side by side."""
    if memory_gib is None:
        return Finding("machine", "memory", "unknown")
    fitting = int(memory_gib / _JOB_GIB)
    value, level, way_out = f"{memory_gib} GiB", OK, ""
    limit_gib = _limit_gib()
    if limit_gib is not None and limit_gib < memory_gib:
        value += f", of which this process may take {limit_gib:.1f} GiB"
        fitting = int(limit_gib / _JOB_GIB)
    if fitting < cores:
        level = NOTE if fitting else MISSING
        way_out = (
            f"a job of the default study takes up to {_JOB_GIB} GiB of memory, so {cores} at once "
            f"may not fit; run snakemake --cores {max(1, fitting)}"
        )
    return Finding("machine", "memory", value, level, way_out)


def _limit_gib() -> float | None:
    """What a container allows; None where nothing is said."""
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            return int(Path(path).read_text(encoding="ascii")) / 2**30
        except (OSError, ValueError):
            continue
    return None


# -------------------------------------------------------------------------------- packages


def packages(requirements: Path) -> list[Finding]:
    """Python, and every package that the project pins: installed, pinned, missing."""
    version = sys.version_info
    python = Finding("packages", "python", ".".join(map(str, version[:3])))
    if version[:2] < _OLDEST_PYTHON:
        sentence = "patchbench needs Python 3.11 or newer; make PYTHON=python3.12 setup"
        python = Finding("packages", "python", python.value, MISSING, sentence)
    try:
        text = requirements.read_text(encoding="utf-8")
    except OSError:
        sentence = f"{requirements} is not there, so versions were not compared; run from a clone"
        return [python, Finding("packages", "pinned versions", "unknown", NOTE, sentence)]
    needed, _, extra = text.partition(_FOR_DEVELOPMENT)
    use, extra_use = "every study needs", "only tests and checks of the code need"
    return [
        python,
        *_compared("packages", dict(_PINNED.findall(needed)), MISSING, use),
        *_compared("packages for development", dict(_PINNED.findall(extra)), NOTE, extra_use),
    ]


def _compared(section: str, pins: dict[str, str], level: str, use: str) -> list[Finding]:
    """A finding for each package; one sentence for all that are missing, one for all others."""
    installed = {name: _installed(name) for name in pins}
    missing = [f"{name} {pins[name]}" for name, found in installed.items() if found is None]
    # what follows a plus names a build, as in 2.13.0+cpu
    other = [name for name, found in installed.items() if found and _release(found) != pins[name]]
    told = ", ".join(f"{name} {installed[name]} for {pins[name]}" for name in other)
    without = f"not installed, which {use}: {', '.join(missing)}; run make setup"
    unlike = f"another version than pinned, so numbers may differ: {told}; run make setup"
    rows = []
    for name, found in installed.items():
        if found is None:
            rows.append(Finding(section, name, f"none, pinned {pins[name]}", level, without))
        elif name in other:
            rows.append(Finding(section, name, f"{found}, pinned {pins[name]}", NOTE, unlike))
        else:
            rows.append(Finding(section, name, found))
    return rows


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _release(version: str) -> str:
    return version.partition("+")[0]


# --------------------------------------------------------------------------------- devices


def devices(asked: str) -> list[Finding]:
    """Where PyTorch can compute, and where stages will with ``device: asked``."""
    try:
        import torch
    except (ImportError, OSError) as error:
        reason = str(error).split("\n")[0]
        sentence = f"PyTorch does not load ({reason}); run make setup"
        return [Finding(PYTORCH, "loads", "no", MISSING, sentence)]
    cards = range(torch.cuda.device_count() if torch.cuda.is_available() else 0)
    found = [torch.cuda.get_device_properties(card) for card in cards]
    names = [f"{card.name}, {card.total_memory / 2**30:.0f} GiB" for card in found]
    unused = not names and bool(shutil.which("nvidia-smi"))
    sentence = (
        f"nvidia-smi is here, but PyTorch {torch.__version__} finds no GPU; if there is one, "
        "install a PyTorch for its driver (pytorch.org tells which)"
    )
    mps = torch.backends.mps.is_available()
    return [
        Finding(
            "devices",
            "cuda",
            "; ".join(names) or "none",
            NOTE if unused else OK,
            sentence if unused else "",
        ),
        Finding("devices", "mps", "Apple GPU" if mps else "none"),
        Finding("devices", "cpu", "always"),
        _taken(asked),
    ]


def _taken(asked: str) -> Finding:
    try:
        value = f"{resolve(asked)} for networks, in the stages {', '.join(ON_DEVICE)}"
    except UserError as error:
        return Finding("devices", f"device: {asked}", "none", MISSING, str(error))
    return Finding("devices", f"device: {asked}", value + "; everything else on the cpu")


# --------------------------------------------------------------------------------- folders

_FOLDERS = (
    ("results", "results"),
    ("downloads", "resources"),
    ("Snakemake's notes", ".snakemake"),
    ("temporary files", tempfile.gettempdir()),
)


def folder(name: str, path: Path) -> Finding:
    """Whether files can be written there whole or not at all, as ``io.replacing`` does it."""
    reason = _why_not(_existing(path))
    if reason is None:
        return Finding("folders", name, f"{path}: writable, files appear whole")
    sentence = f"{path} cannot take files ({reason}); make it writable or use another folder with"
    option = "the variable TMPDIR" if name == "temporary files" else "snakemake --directory"
    return Finding("folders", name, str(path), MISSING, f"{sentence} {option}")


def _why_not(place: Path) -> str | None:
    """Try it: write, map into memory, rename over another file. None where all of it works."""
    if not place.is_dir():
        return "it is a file, not a folder"
    try:
        with tempfile.TemporaryDirectory(dir=place, prefix=".patchbench-doctor-") as scratch:
            old, new = Path(scratch, "old"), Path(scratch, "new")
            old.write_bytes(b"old")
            new.write_bytes(b"new")
            with new.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
                mapped.flush()
            with old.open("rb") as reader:  # somebody who reads must not be disturbed
                new.replace(old)
                if reader.read() != b"old" or old.read_bytes() != b"new" or new.exists():
                    return "its file system does not replace a file in one step"
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error)
    return None


def _existing(path: Path) -> Path:
    """The path itself, or the nearest above it that is there."""
    return next(p for p in (path, *path.parents) if p.exists())


# ----------------------------------------------------------------------------------- tools


def _tools(here: Path) -> list[Finding]:
    commit = machine.commit()
    sentence = "git knows no commit of this code, so results will not name one; run from a clone"
    if commit.endswith(machine.DIRTY):
        sentence = "files were changed since the commit, so results are marked; commit first"
    fine = commit and not commit.endswith(machine.DIRTY)
    found = [
        Finding(
            "tools", "git commit", commit or "unknown", OK if fine else NOTE, sentence * (not fine)
        ),
        _cluster(),
        Finding("tools", "browser (its tests)", _first(_BROWSERS) or "none"),
    ]
    locks = here / ".snakemake/locks"
    if locks.is_dir() and any(os.scandir(locks)):
        sentence = "a snakemake runs here, or was killed; if none runs, snakemake --unlock"
        found.append(Finding("tools", "snakemake", "has locked this folder", NOTE, sentence))
    return found


def _cluster() -> Finding:
    name, plugin = "sbatch (SLURM)", "snakemake-executor-plugin-slurm"
    path = shutil.which("sbatch")
    if path is None:
        return Finding("tools", name, "none")
    value = f"{path}; {plugin} {_installed(plugin) or 'not installed'}"
    if cluster.tells_ends(PROFILE):
        return Finding("tools", name, value)
    sentence = (
        "this SLURM keeps no accounts, so sacct, which Snakemake asks, never tells that a job has "
        f"ended; set slurm-status-command: squeue in {PROFILE.relative_to(ROOT)}"
    )
    return Finding("tools", name, f"{value}; no accounts", NOTE, sentence)


def _first(commands: Iterable[str]) -> str | None:
    return next((path for command in commands if (path := shutil.which(command))), None)
