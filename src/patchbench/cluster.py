"""What SLURM knows: jobs that a killed run left there, and how jobs have ended.

Jobs go on without their run, and Snakemake forgets them: started again, here or on the cluster, it
would do the same work a second time, and two jobs would write the same files.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

from patchbench.errors import UserError

# as the profile for SLURM names them
JOB_PREFIX = "patchbench"
LOGS = Path("results/slurm-logs")
_PATIENCE_S = 60.0


def has_submitted(folder: Path) -> bool:
    """Whether jobs went to a cluster from a folder; if none did, there is nobody to ask."""
    return (folder / LOGS).is_dir()


def leftovers(folder: Path) -> dict[str, int]:
    """Jobs that were submitted from a folder and have not ended, but for the one that asks.

    Returns
    -------
    dict
        Number of jobs by their name, which all jobs of one run share; empty where there is no
        SLURM.

    Raises
    ------
    UserError
        If SLURM does not answer: no answer does not mean no jobs.
    """
    if shutil.which("squeue") is None:
        return {}
    found: dict[str, int] = {}
    this_job = os.environ.get("SLURM_JOB_ID")
    for line in _queue().splitlines():
        job_id, _, rest = line.partition(" ")
        name, _, where = rest.partition(" ")
        if name.startswith(f"{JOB_PREFIX}_") and where == str(folder) and job_id != this_job:
            found[name] = found.get(name, 0) + 1
    return found


def _queue() -> str:
    """Number, name and folder of every job of this user, one a line."""
    mine = f"--user={os.getuid()}"
    command = ["squeue", mine, "--noheader", "--array", "--format=%A %j %Z"]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",  # folders of other jobs may have names that are no text
            check=True,
            timeout=_PATIENCE_S,
        )
    except subprocess.TimeoutExpired:
        reason = f"no answer within {_PATIENCE_S:g} s"
    except subprocess.CalledProcessError as error:
        reason = " ".join(error.stderr.split()) or f"exit status {error.returncode}"
    except OSError as error:
        reason = str(error)
    else:
        return done.stdout
    raise UserError(
        f"SLURM does not tell which jobs of an earlier run are left ({reason}), and they might be "
        "done a second time; start again once `squeue` answers"
    )


def refuse_beside_leftovers(folder: Path) -> None:
    """Stop a run while jobs of an earlier one are queued or running.

    Raises
    ------
    UserError
        With the command that cancels them; also if SLURM does not answer.
    """
    found = leftovers(folder)
    if found:
        names = ",".join(sorted(found))
        raise UserError(
            f"{sum(found.values())} SLURM jobs of another run in this folder have not ended; if "
            f"that run lives, let it finish; if it was killed, cancel its jobs with "
            f"`scancel --name={names}`, then `snakemake --unlock`, and start again"
        )


def tells_ends(profile: Path) -> bool:
    """Whether Snakemake learns that a job has ended.

    It asks ``sacct`` where that is installed, which knows nothing where no accounts are kept, or
    ``squeue`` if the profile says so.
    """
    text = profile.read_text(encoding="utf-8") if profile.is_file() else ""
    if re.search(r"^slurm-status-command: *squeue\b", text, re.MULTILINE):
        return True
    try:
        done = subprocess.run(
            ["sacct", "--noheader", "--starttime=now"],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            timeout=_PATIENCE_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return True
    return "accounting storage is disabled" not in done.stderr
