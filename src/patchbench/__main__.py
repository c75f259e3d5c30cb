"""Run stages: ``python -m patchbench <stage> [options] [--then <stage> [options] ...]``."""

import argparse
import ast
import json
import os
import shlex
import sys
from pathlib import Path

from patchbench import __version__, memory, plugins, stages
from patchbench.devices import DEVICES, limit_threads
from patchbench.errors import UserError

THEN = "--then"  # between stages of one process: Python and its libraries start once


def main(argv: list[str] | None = None) -> int:
    """Parse the command line, run the stages, write what each cost; the exit status."""
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] in ("-h", "--help"):
        print(_overview())
        return 0
    if argv[0] == "--version":
        print(f"patchbench {__version__}")
        return 0
    while THEN in argv:
        end = argv.index(THEN)
        if status := _told(argv[:end]):
            return status
        argv = argv[end + 1 :]
    return _told(argv)


def _told(argv: list[str]) -> int:
    """Run a stage; tell what went wrong in a sentence."""
    stage, *options = argv or [""]
    try:
        return _run(stage, options)
    except UserError as error:
        told = error
    except Exception as error:
        if not memory.is_short(error):
            raise
        told = UserError(memory.shortage(error))
    print(f"patchbench {stage}: {told}", file=sys.stderr)
    return 2


def _run(stage: str, argv: list[str]) -> int:
    limit_threads(_threads(argv))
    module = plugins.load("stages", stage)
    parser = argparse.ArgumentParser(
        prog=f"python -m patchbench {stage}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(parser)
    if hasattr(module, "answer"):  # a question, no work: it costs nothing and leaves nothing
        try:
            return int(module.answer(parser.parse_args(argv)))
        except BrokenPipeError:  # a reader such as head has seen enough; what is left goes nowhere
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
    from patchbench.cost import measured  # needs NumPy, which doctor may find missing
    from patchbench.io import DamagedFileError

    _add_common_arguments(parser)
    args = parser.parse_args(argv)
    command = shlex.join(["python", "-m", "patchbench", stage, *argv])
    try:
        with measured(args.cost, stage, args.about, args.threads, command) as done:
            done.append(module.run(args))
        if hasattr(module, "afterwards"):
            module.afterwards(args)
    except DamagedFileError as error:
        raise error.set_aside() from error
    except FileNotFoundError as error:  # such as what another job has just set aside
        missing = error.filename or error
        raise UserError(
            f"{missing} is not there; run snakemake again, which makes what is missing"
        ) from error
    return 0


def _add_common_arguments(parser: argparse.ArgumentParser) -> None:
    common = parser.add_argument_group("common to all stages")
    common.add_argument("--seed", type=int, default=0, help="source of all randomness")
    common.add_argument("--threads", type=int, default=1, help="threads the stage may use")
    common.add_argument("--device", choices=DEVICES, default="auto", help="where to compute")
    common.add_argument("--about", type=json.loads, default={}, help="JSON: the run this job is of")
    common.add_argument("--code", default="", help="fingerprint of the code, kept as provenance")
    common.add_argument("--cost", type=Path, help="where to write time and memory taken (JSON)")


def _threads(argv: list[str]) -> int:
    """``--threads`` before anything heavy is imported: numerical libraries read it at import."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--threads", type=int, default=1)
    return int(parser.parse_known_args(argv)[0].threads)


def _overview() -> str:
    """The stages with the first line of their docstrings, read without importing them."""
    folder = Path(stages.__path__[0])
    names = plugins.available("stages")
    first_lines = {
        name: (ast.get_docstring(ast.parse((folder / f"{name}.py").read_text())) or "").split("\n")
        for name in names
    }
    width = max(map(len, names))
    listing = "\n".join(f"  {name:<{width}}  {lines[0]}" for name, lines in first_lines.items())
    usage = f"python -m patchbench <stage> [options] [{THEN} <stage> [options] ...]"
    return f"usage: {usage}\n\nstages:\n{listing}"


if __name__ == "__main__":
    sys.exit(main())
