"""Find the modules of a plug-in package by file name: the file *is* the registry entry."""

import inspect
from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

from patchbench.errors import UserError


def available(package: str) -> list[str]:
    """Names of the public modules in ``patchbench.<package>``, without importing them."""
    path = import_module(f"patchbench.{package}").__path__
    return sorted(m.name for m in iter_modules(path) if not m.name.startswith("_"))


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
    try:
        return cls(**settings, **fixed)
    except (ValueError, TypeError) as error:
        raise UserError(f"{where}: {error}") from error


def suggest(name: str, names: list[str]) -> str:
    """Say which names exist and which one was probably meant."""
    near = get_close_matches(name, names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"available: {', '.join(names) or 'none'}.{hint}"
