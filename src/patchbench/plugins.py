"""Find the modules of a plug-in package by file name: the file *is* the registry entry."""

import ast
import inspect
from collections.abc import Iterator, Mapping
from contextlib import suppress
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from patchbench.errors import UserError

_PLAIN = frozenset({int, float, bool, str, type(None)})


def available(package: str) -> list[str]:
    """Names of the public modules in ``patchbench.<package>``, without importing them."""
    return list(_available(package))


@cache  # asked for thousands of times while a workflow is planned
def _available(package: str) -> tuple[str, ...]:
    path = import_module(f"patchbench.{package}").__path__
    return tuple(sorted(m.name for m in iter_modules(path) if not m.name.startswith("_")))


def load(package: str, name: str) -> ModuleType:
    """Import ``patchbench.<package>.<name>``.

    Raises
    ------
    UserError
        If there is no such module; the message lists the names that exist.
    """
    names = available(package)
    if name not in names:
        raise UserError(f"no {name!r} in {package}; {suggest(name, names)}")
    return import_module(f"patchbench.{package}.{name}")


def literals(package: str, name: str) -> dict[str, Any]:
    """Constants of a module that its file states outright, read without importing it."""
    file = Path(next(iter(import_module(f"patchbench.{package}").__path__))) / f"{name}.py"
    found = {}
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            with suppress(ValueError):  # worked out when imported, not stated
                found[node.targets[0].id] = ast.literal_eval(node.value)
    return found


def preload(name: str) -> None:
    """Import what a module imports inside its functions, and so on through our own modules.

    Plug-ins import heavy libraries late, so that reading a config stays fast. A stage that
    times its work calls this first, or the first method to run would pay for the imports.
    What is only imported to name types stays out.
    """
    todo, seen = [name], set[str]()
    while todo:
        module = todo.pop()
        if module in seen:
            continue
        seen.add(module)
        loaded = import_module(module)
        if module.partition(".")[0] != "patchbench" or loaded.__file__ is None:
            continue
        todo += _imported(ast.parse(Path(loaded.__file__).read_text(encoding="utf-8")))


def _imported(node: ast.AST) -> Iterator[str]:
    """Modules that a piece of code imports when it runs."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield node.module
    elif not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
        for child in ast.iter_child_nodes(node):
            yield from _imported(child)


def build(package: str, entry: str, spec: Mapping[str, Any], **fixed: Any) -> Any:
    """Make the plug-in object that a config entry describes.

    Parameters
    ----------
    package : str
        Plug-in folder in the plural, for example ``"encoders"``; its modules hold one
        class named after the singular (``Encoder``).
    entry : str
        Name of the config entry; also the module's name unless ``spec`` has a ``type``.
    spec : mapping
        Settings of the entry, as in the config.
    **fixed
        Arguments that come from elsewhere (patch size, seed), not from the entry.

    Raises
    ------
    UserError
        If the module or a setting does not exist, or the class refuses a value.
    """
    settings = dict(spec)
    kind = settings.pop("type", entry)
    cls = getattr(load(package, kind), package.removesuffix("s").capitalize())
    return construct(cls, f"{package}.{entry}", settings, **fixed)


def construct(cls: Any, where: str, settings: Mapping[str, Any], **fixed: Any) -> Any:
    """Make an object from the settings of the config entry ``where``; errors as in `build`."""
    known = [name for name in inspect.signature(cls).parameters if name not in fixed]
    for key in settings:
        if key not in known:
            raise UserError(f"{where}: no setting {key!r}; {suggest(key, known)}")
    _check_values(cls, where, settings, known)
    try:
        return cls(**settings, **fixed)
    except (ValueError, TypeError) as error:
        raise UserError(f"{where}: {error}") from error


def _check_values(cls: Any, where: str, settings: Mapping[str, Any], known: list[str]) -> None:
    """Settings are complete, and numbers where the class wants numbers."""
    parameters = inspect.signature(cls).parameters
    for name in known:
        if parameters[name].default is inspect.Parameter.empty and name not in settings:
            raise UserError(f"{where}: the setting {name!r} is missing; give it a value")
    hints = get_type_hints(cls)
    for name, value in settings.items():
        if not _fits(value, hints[name]):
            raise UserError(f"{where}: {name} is {value!r}; it must be {_in_words(hints[name])}")


def _fits(value: Any, hint: Any) -> bool:
    """Whether a setting from a config is of the type that a class declares."""
    kinds = get_args(hint) if get_origin(hint) in (UnionType, Union) else (hint,)
    plain = _PLAIN.intersection(kinds)
    inner = [get_args(kind)[0] for kind in kinds if get_origin(kind) in (list, tuple)]
    if len(plain) + len(inner) < len(kinds):
        return True  # mappings and the like are the class's own to check
    if isinstance(value, list | tuple):
        return any(all(_fits(item, kind) for item in value) for kind in inner)
    return type(value) in plain or (type(value) is int and float in plain)


def _in_words(hint: Any) -> str:
    kinds = get_args(hint) if get_origin(hint) in (UnionType, Union) else (hint,)
    return " or ".join(
        f"a list of {get_args(kind)[0].__name__}"
        if get_origin(kind) in (list, tuple)
        else ("null" if kind is type(None) else kind.__name__)
        for kind in kinds
    )


def suggest(name: str, names: list[str]) -> str:
    """Say which names exist and which one was probably meant."""
    near = get_close_matches(name, names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"available: {', '.join(names) or 'none'}.{hint}"
