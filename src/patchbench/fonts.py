"""Fonts of all pictures: DejaVu Sans and, for what it lacks of a text, installed ones that have it.

DejaVu Sans comes with Matplotlib, so pictures whose words it can write are the same everywhere.
"""

import logging
import unicodedata
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.font_manager import FontEntry

FIRST = "DejaVu Sans"
_BOXES = "Last Resort"  # Matplotlib's own, which has a box for every character
_MOST_NAMED = 10


@contextmanager
def look(settings: dict[Any, Any], text: str = "") -> Iterator[None]:
    """Draw by these settings of Matplotlib, in fonts that can write ``text``."""
    import matplotlib as mpl

    families = [FIRST, *_for_the_rest(_lacking(text))[0]]
    log = logging.getLogger("matplotlib.font_manager")
    level = log.level
    with mpl.rc_context(settings | {"font.family": families}), warnings.catch_warnings():
        # it would say so of every character in every file; `hint` says it once
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")
        log.setLevel(logging.ERROR)  # not every font has a bold face
        try:
            yield
        finally:
            log.setLevel(level)


def hint(text: str) -> str | None:
    """What to install for characters of a text that no font here can write; None if all can.

    >>> hint("Bär, кот, دب") is None
    True
    """
    _, left = _for_the_rest(_lacking(text))
    if not left:
        return None
    named = " ".join(sorted(left)[:_MOST_NAMED]) + (" ..." if len(left) > _MOST_NAMED else "")
    return (
        f"no font here has {named}, so pictures show boxes instead; install one that has (on "
        "Debian fonts-noto-cjk for Chinese, Japanese and Korean, fonts-symbola for emoji, "
        "fonts-noto-core for other scripts), then draw again"
    )


def _lacking(text: Iterable[str]) -> frozenset[str]:
    """Visible characters that DejaVu Sans does not have."""
    visible = {c for c in text if not c.isascii() and unicodedata.category(c)[0] not in "CZ"}
    if not visible:
        return frozenset()
    from matplotlib.font_manager import findfont

    return frozenset(visible - _written_by(findfont(FIRST), 0, frozenset(visible)))


@cache
def _for_the_rest(lacking: frozenset[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """Families that can write these, each the one that can write most of the rest; what is left."""
    families, left = [], lacking
    entries = _upright() if left else []
    while left:
        found = [(entry, left & _written_by(entry.fname, entry.index, left)) for entry in entries]
        # of several as good the plainest, then always the same one
        best, written = max(
            found,
            key=lambda one: (len(one[1]), *_plain(one[0].name)),
            default=(None, frozenset()),
        )
        if best is None or not written:
            break
        families.append(best.name)
        left -= written
    return tuple(families), left


def _plain(name: str) -> tuple[bool, bool, str]:
    return "Mono" not in name, "Sans" in name, name


def _upright() -> list["FontEntry"]:
    """Installed fonts of plain style, those included that Matplotlib has not listed yet."""
    from matplotlib.font_manager import findSystemFonts, fontManager

    listed = {entry.fname for entry in fontManager.ttflist}
    for path in sorted(findSystemFonts()):
        if path not in listed:
            with suppress(OSError, RuntimeError):  # one that cannot be drawn with
                fontManager.addfont(path)
    return [
        entry
        for entry in fontManager.ttflist
        if entry.style == "normal" and entry.weight == 400 and _BOXES not in entry.name
    ]


def _written_by(path: str, index: int, characters: frozenset[str]) -> frozenset[str]:
    """Which characters a font has."""
    from matplotlib.ft2font import FT2Font

    try:
        font = FT2Font(path, face_index=index)
        return frozenset(c for c in characters if font.get_char_index(ord(c)))
    except (OSError, RuntimeError):  # removed since it was listed
        return frozenset()
