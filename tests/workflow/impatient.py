"""Snakemake that asks SLURM every second how its jobs are, and ends when who started it is gone.

The executor waits ten seconds longer after each answer that nothing has ended, up to three minutes,
and no setting changes that: right on a cluster of many users, and most of the time of a test.
"""

import asyncio
import os
import signal

from snakemake.cli import main
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

PARENT = os.getppid()


async def sleep(executor: RemoteExecutor) -> None:
    """Wait between two questions."""
    await asyncio.sleep(1)
    if os.getppid() != PARENT:  # the tests were killed, and nobody would end this
        os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    RemoteExecutor.sleep = sleep
    main()
