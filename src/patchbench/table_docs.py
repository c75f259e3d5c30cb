"""Tell the columns of every table of a study, and the keys of ``run.json``: ``docs/tables.md``.

The page is rendered from :mod:`patchbench.tables` and :mod:`patchbench.keys_of_run`, which are what
is written by.
"""

from patchbench import tables
from patchbench.keys_of_run import KEYS
from patchbench.readme import table

# tables that a study's folder has under another name than that of their columns
_PREFIX = "all_"
# tables of single runs and datasets, made on the way to those of a study
_ON_THE_WAY = {
    "images": "results/{dataset}/images.parquet",
    "patches": "results/{dataset}/{patches}/index.parquet",
    "folds": "results/{dataset}/whole-image/seed{seed}/{cnn}/folds/{fold}-of-{n}/folds.parquet",
    "explained": "results/{dataset}/{patches}/.../maps/{explain}/explained.parquet",
}
_HEAD = """# Tables

What stands in a study's folder, `results/studies/<study>/`, as Parquet with the types and in the
order given here. Every table can be joined with every other one by the columns that name a run.
Empty cells are values that are not defined, never zero. [`run.json`](#runjson) beside them tells
what they were made from, with which versions and in how much time.
Rendered from `src/patchbench/tables.py` and `keys_of_run.py` by `python -m patchbench readme`.
"""
_RUN = """# `run.json`

Inner keys stand behind outer ones, with dots between; braces hold what differs between studies.
"""
_COSTS = """`costs_of_runs.parquet`, for figures, is `costs.parquet` without its last
rows, those of collect, draw and report.
"""


def tables_page() -> str:
    """Markdown: a section per table, a row per column with its type and meaning."""
    of_study = [name for name in tables.COLUMNS if _in_study(name)]
    parts = [_HEAD]
    parts += [_section(f"{name.removeprefix(_PREFIX)}.parquet", name) for name in of_study]
    parts += [_RUN + "\n" + table(["key", "meaning"], [[f"`{k}`", v] for k, v in KEYS.items()])]
    parts += ["\n# On the way\n", _COSTS]
    parts += [_section(path, name) for name, path in _ON_THE_WAY.items()]
    return "\n".join(parts)


def _in_study(name: str) -> bool:
    return name not in _ON_THE_WAY and f"{_PREFIX}{name}" not in tables.COLUMNS


def _section(title: str, name: str) -> str:
    rows = [
        [f"`{column}`", str(kind), said] for column, (kind, said) in tables.COLUMNS[name].items()
    ]
    return f"## `{title}`\n\n{table(['column', 'type', 'meaning'], rows)}\n"
