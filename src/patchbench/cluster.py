"""Jobs that a killed run left on a SLURM cluster, where they go on without it.

Snakemake forgets them: started again, it would submit the same work a second time, and two jobs
would write the same files.
"""

import os
import shutil
import subprocess
from pathlib import Path

from patchbench.errors import UserError

_PATIENCE_S = 60.0


def leftovers(folder: Path) -> dict[str, int]:
    """Jobs that were submitted from a folder and have not ended.

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
    for line in _queue().splitlines():
        name, _, where = line.partition(" ")
        if name.startswith("patchbench_") and where == str(folder):
            found[name] = found.get(name, 0) + 1
    return found


def _queue() -> str:
    """Name and folder of every job of this user, one a line."""
    mine = f"--user={os.getuid()}"
    command = ["squeue", mine, "--noheader", "--array", "--format=%j %Z"]
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
        "submitted a second time; start again once `squeue` answers"
    )


def refuse_to_submit_twice(folder: Path) -> None:
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
