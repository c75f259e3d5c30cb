"""Say which code a job runs: a short hash of modules and everything of ours they import.

Comments, docstrings and layout do not count; any other edit does, also of a data file that
lies beside a module under the same name (``flowers5.csv.gz``). The hash is a Snakemake
``params`` value, so a changed hash is a reason to run the job again.
Of the columns of tables only those of tables that the code names count: a new table is no reason
to train a network again.
Syntax trees differ between minor versions of Python, so after a change of Python everything
runs again.
"""

import ast
import os
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from patchbench.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
_Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
# what follows from where a node stands, or says how a text is written
_IMPLIED = frozenset({"ctx", "kind", "type_comment", "type_ignores"})
DATA_SUFFIXES = (".csv", ".gz", ".json", ".yaml")
# modules, and the dictionary in each of which a job is concerned only with the keys it names
_REGISTERS = {"patchbench.tables": "COLUMNS"}


@cache
def fingerprint(*modules: str) -> str:
    """Twelve hex digits that change when the code of ``modules`` changes."""
    digest, closure = sha256(), sorted(_closure(modules))
    named = {text for name in closure if name not in _REGISTERS for text in _read(name).texts}
    for name in closure:
        parts = _read(name).parts
        code = "".join(part for entry, part in parts if entry is None or entry in named)
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
        todo += [name.rpartition(".")[0], *_read(name).imports]
    return found


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


@dataclass(frozen=True)
class _Source:
    """What counts of a module.

    Attributes
    ----------
    parts : list of (str or None, str)
        Its code, however it is laid out, in order; an entry of a register with its key.
    imports : list of str
        What it imports, by names of modules that may or may not be ours.
    texts : set of str
        All texts in its code.
    """

    parts: list[tuple[str | None, str]]
    imports: list[str]
    texts: set[str]

    def add(self, entry: str | None, node: ast.AST) -> None:
        """Add a part."""
        words: list[str] = []
        self._tell(node, words)
        self.parts.append((entry, " ".join(words) + "\n"))

    def _tell(self, value: Any, words: list[str]) -> None:
        """Say in words what a node is and has, its nodes in turn."""
        if isinstance(value, list):
            words.append("[")
            for item in value:
                self._tell(item, words)
            words.append("]")
            return
        if not isinstance(value, ast.AST):
            words.append(repr(value))
            return
        words.append(type(value).__name__)
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            self.texts.add(value.value)
        elif isinstance(value, ast.Import):
            self.imports.extend(alias.name for alias in value.names)
        elif isinstance(value, ast.ImportFrom):
            module = value.module or ""
            self.imports.extend((module, *(f"{module}.{alias.name}" for alias in value.names)))
        for field in value._fields:
            if field == "body" and isinstance(value, _Documented):
                self._tell(_without_docstring(value), words)
            elif field not in _IMPLIED:
                self._tell(getattr(value, field), words)


@cache
def _read(name: str) -> _Source:
    """Read a module once; its tree is not kept: holding all of them takes as long as reading."""
    path = _file(name)
    if path is None:
        raise LookupError(f"no module {name!r} under {ROOT}")
    source = _Source([], [], set())
    for node in _without_docstring(ast.parse(path.read_text(encoding="utf-8"))):
        entries = _entries(node, _REGISTERS.get(name))
        for entry, part in entries.items() if entries else [(None, node)]:
            source.add(entry, part)
    return source


def _entries(node: ast.stmt, register: str | None) -> dict[str, ast.expr]:
    """The entries of a register by their keys; nothing of any other statement."""
    if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
        return {}
    if node.target.id != register or not isinstance(node.value, ast.Dict):
        return {}
    pairs = zip(node.value.keys, node.value.values, strict=True)
    return {str(key.value): value for key, value in pairs if isinstance(key, ast.Constant)}


def _without_docstring(node: _Documented) -> list[ast.stmt]:
    return node.body[ast.get_docstring(node, clean=False) is not None :]
