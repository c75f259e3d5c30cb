"""Jobs that a killed run left on a SLURM cluster, where they go on without it.

Snakemake forgets them: started again, it would submit the same work a second time, and two jobs
would write the same files.
"""

import os
import shutil
import subprocess
from pathlib import Path

from patchbench.errors import UserError


def leftovers(folder: Path) -> dict[str, int]:
    """Jobs that were submitted from a folder and have not ended.

    Returns
    -------
    dict
        Number of jobs by their name, which all jobs of one run share; empty where there is no
        SLURM, or where it does not answer.
    """
    if shutil.which("squeue") is None:
        return {}
    mine = f"--user={os.getuid()}"
    asked = subprocess.run(
        ["squeue", mine, "--noheader", "--array", "--format=%j %Z"],
        capture_output=True,
        text=True,
        check=False,
    )
    found: dict[str, int] = {}
    for line in asked.stdout.splitlines():
        name, _, where = line.partition(" ")
        if name.startswith("patchbench_") and where == str(folder):
            found[name] = found.get(name, 0) + 1
    return found


def refuse_to_submit_twice(folder: Path) -> None:
    """Stop a run while jobs of an earlier one are queued or running.

    Raises
    ------
    UserError
        With the command that cancels them.
    """
    found = leftovers(folder)
    if found:
        names = ",".join(sorted(found))
        raise UserError(
            f"{sum(found.values())} SLURM jobs of another run in this folder have not ended; if "
            f"that run lives, let it finish; if it was killed, cancel its jobs with "
            f"`scancel --name={names}`, then `snakemake --unlock`, and start again"
        )
