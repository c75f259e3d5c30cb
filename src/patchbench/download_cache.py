"""Downloads that projects share, each known by its checksum: what one has fetched, others take.

Snakemake's own cache shares the files that rules name. What a dataset is made of, no rule knows.
"""

import os
import shutil
from pathlib import Path

FOLDER_VARIABLE = "PATCHBENCH_DOWNLOADS"
"""Environment variable with the folder; without it nothing is shared."""


def shared(checksum: str | None) -> Path | None:
    """Where a file with this checksum is kept for all; None where it cannot be.

    >>> os.environ[FOLDER_VARIABLE] = "cache"
    >>> shared("md5:c58f30108f718f92721af3b95e74349a").as_posix()
    'cache/md5-c58f30108f718f92721af3b95e74349a'
    """
    folder = os.environ.get(FOLDER_VARIABLE)
    if checksum is None or not folder:
        return None
    algorithm, _, digits = checksum.lower().rpartition(":")
    return Path(folder) / f"{algorithm or 'sha256'}-{digits}"


def share_beside_snakemakes() -> None:
    """Share downloads in Snakemake's own cache, if there is one; the jobs of a run inherit it."""
    if cache := os.environ.get("SNAKEMAKE_OUTPUT_CACHE"):
        os.environ[FOLDER_VARIABLE] = str(Path(cache, "downloads").absolute())


def put(source: Path, target: Path) -> None:
    """Give a file a second place, whole or not at all; on the same disk it takes no room."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        part.unlink(missing_ok=True)
        try:
            os.link(source, part)
        except OSError:  # another disk, a disk without links, or a file of somebody else's
            shutil.copyfile(source, part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def offer(source: Path, checksum: str | None) -> None:
    """Keep a verified file for other projects; where that fails, say so and go on."""
    place = shared(checksum)
    if place is None:
        return
    try:
        put(source, place)
    except OSError as error:
        print(f"{source.name} is not kept for other projects: {place.parent}: {error.strerror}")
