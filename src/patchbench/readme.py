"""Fill the tables of README.md from code and results, so that they cannot drift.

``python -m patchbench readme`` rewrites what stands between markers like
``<!-- methods:begin -->`` and ``<!-- methods:end -->``.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from patchbench import plugins

SECTIONS = {
    "datasets": "Dataset",
    "encoders": "Encoder",
    "classifiers": "Classifier",
    "fusions": "Fusion",
}


def fill(text: str, blocks: Mapping[str, str]) -> str:
    """Replace the text between the markers of each block.

    Raises
    ------
    ValueError
        If a block has no markers in ``text``.
    """
    for name, content in blocks.items():
        pattern = rf"(<!-- {name}:begin -->\n).*?(<!-- {name}:end -->)"
        replacement = rf"\g<1>{content.replace(chr(92), chr(92) * 2)}\n\g<2>"
        text, n_found = re.subn(pattern, replacement, text, flags=re.DOTALL)
        if n_found != 1:
            raise ValueError(f"README.md has {n_found} blocks named {name!r}, expected one")
    return text


def method_table(section: str) -> str:
    """Markdown table of every plug-in of a section, from what its class says of itself."""
    rows = []
    for name in plugins.available(section):
        cls = getattr(plugins.load(section, name), SECTIONS[section])
        rows.append([f"`{name}`", *describe(section, cls)])
    head = {
        "datasets": ["dataset", "what", "masks", "licence"],
        "fusions": ["fusion", "score of a class", "blind to place", "fitted", "source"],
    }.get(section, [section.removesuffix("s"), "what", "source"])
    return table(head, rows)


def describe(section: str, cls: Any) -> list[str]:
    """The cells of a plug-in's row after its name."""
    if section == "datasets":
        return [cls.summary, _yes(cls.masks), cls.licence]
    if section == "fusions":
        return [cls.summary, _yes(cls.order_agnostic), _yes(cls.fitted), cls.source]
    return [cls.summary, cls.source]


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A markdown table.

    >>> print(table(["a", "b"], [["1", "2"]]))
    | a | b |
    |---|---|
    | 1 | 2 |
    """
    head = list(head)
    lines = [head, ["---"] * len(head), *([str(cell) for cell in row] for row in rows)]
    text = ["| " + " | ".join(line) + " |" for line in lines]
    text[1] = "|" + "---|" * len(head)
    return "\n".join(text)


def _yes(value: bool) -> str:
    return "yes" if value else "no"
