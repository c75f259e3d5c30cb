"""Say which code a job runs: a short hash of modules and everything of ours they import.

Comments, docstrings and layout do not count; any other edit does, also of a data file that
lies beside a module under the same name (``flowers5.csv.gz``). The hash is a Snakemake
``params`` value, so a changed hash is a reason to run the job again.
Of the columns of tables only those of tables that the code names count: a new table is no reason
to train a network again.
``ast.dump`` differs between minor versions of Python, so after a change of Python
everything runs again.
"""

import ast
import os
from functools import cache
from hashlib import sha256
from pathlib import Path

from patchbench.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
DATA_SUFFIXES = (".csv", ".gz", ".json", ".yaml")
# modules, and the dictionary in each of which a job is concerned only with the keys it names
_REGISTERS = {"patchbench.tables": "COLUMNS"}


@cache
def fingerprint(*modules: str) -> str:
    """Twelve hex digits that change when the code of ``modules`` changes."""
    digest, closure = sha256(), sorted(_closure(modules))
    named = {text for name in closure if name not in _REGISTERS for text in _strings(name)}
    for name in closure:
        code = _entries(name, named) if name in _REGISTERS else _dumped(name)
        digest.update(f"{name}\n{code}\n".encode())
        digest.update(_data(name))
    return digest.hexdigest()[:12]


def folder_digest(root: str | Path) -> str:
    """Twelve hex digits that change when a file below ``root`` comes, goes or is written.

    Files count by path, size and time of writing; their content is not read. A folder that links
    lead to several times, or round in a circle, counts once, a link that leads nowhere by itself.

    Raises
    ------
    UserError
        If a folder cannot be looked into.
    """
    digest, folders = sha256(), [Path(root).expanduser()]
    seen = set[tuple[int, int]]()
    while folders:
        folder = folders.pop()
        try:
            found = folder.stat()
            if (found.st_dev, found.st_ino) in seen:
                continue
            seen.add((found.st_dev, found.st_ino))
            with os.scandir(folder) as entries:
                in_order = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            raise UserError(
                f"folder {folder} cannot be looked into ({error.strerror}); open it to reading, or "
                "move it away"
            ) from error
        for entry in in_order:
            if _is_folder(entry):
                folders.append(Path(entry.path))
            else:
                found = _look(entry)
                told = f"\n{found.st_size}\n{found.st_mtime_ns}\n"
                digest.update(os.fsencode(entry.path) + told.encode())
    return digest.hexdigest()[:12]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _look(entry: os.DirEntry[str]) -> os.stat_result:
    """Size and time of a file; of the link itself where it leads nowhere."""
    try:
        return entry.stat()
    except OSError:
        return entry.stat(follow_symlinks=False)


def _closure(modules: tuple[str, ...]) -> set[str]:
    """``modules``, the packages around them, and all they import under ``ROOT``."""
    found: set[str] = set()
    todo = list(modules)
    while todo:
        name = todo.pop()
        if name in found or _file(name) is None:
            continue
        found.add(name)
        todo += [name.rpartition(".")[0], *_imports(name)]
    return found


@cache
def _imports(name: str) -> tuple[str, ...]:
    """What a module imports, by names of modules that may or may not be ours."""
    found: list[str] = []
    for node in _nodes(name):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [node.module or "", *(f"{node.module}.{a.name}" for a in node.names)]
    return tuple(found)


@cache
def _dumped(name: str) -> str:
    """The code of a module, however it is laid out."""
    return "\n".join(ast.dump(node) for node in _code(name).body)


def _entries(name: str, named: set[str]) -> str:
    """The code of a register without the entries that nobody names."""
    parts = []
    for node in _code(name).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Dict):
            target, pairs = node.target, zip(node.value.keys, node.value.values, strict=True)
            if isinstance(target, ast.Name) and target.id == _REGISTERS.get(name):
                parts += [
                    f"{key.value}: {ast.dump(value)}"
                    for key, value in pairs
                    if isinstance(key, ast.Constant) and key.value in named
                ]
                continue
        parts.append(ast.dump(node))
    return "\n".join(parts)


@cache
def _strings(name: str) -> frozenset[str]:
    """All texts in the code of a module."""
    return frozenset(
        node.value
        for node in _nodes(name)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


@cache
def _file(name: str) -> Path | None:
    if not name:
        return None
    path = ROOT.joinpath(*name.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


@cache
def _data(name: str) -> bytes:
    """What stands in the data files beside a module that share its name."""
    path = ROOT.joinpath(*name.split("."))
    found = path.parent.glob(f"{path.name}.*") if path.parent.is_dir() else []
    files = sorted(file for file in found if file.is_file() and file.suffix in DATA_SUFFIXES)
    return b"".join(file.read_bytes() for file in files)


@cache
def _nodes(name: str) -> tuple[ast.AST, ...]:
    """All nodes of a module's syntax tree, docstrings left out.

    Walking the tree anew for each question takes seconds.
    """
    path = _file(name)
    if path is None:
        raise LookupError(f"no module {name!r} under {ROOT}")
    nodes = tuple(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    docstrings = set[ast.AST]()
    for node in nodes:
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            docstrings.update(ast.walk(node.body.pop(0)))
    return tuple(node for node in nodes if node not in docstrings)


def _code(name: str) -> ast.Module:
    """Syntax tree of a module without its docstrings."""
    tree = _nodes(name)[0]
    assert isinstance(tree, ast.Module)
    return tree
