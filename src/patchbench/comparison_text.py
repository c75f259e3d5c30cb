"""A comparison told: one sentence first, then tables in plain text, or everything as JSON.

The plain text is Markdown as well, so it can be pasted into an issue as it is.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from patchbench.comparison import (
    APART,
    CHANGED,
    COSTS,
    IDENTICAL,
    OTHER,
    OVERLAP,
    SAME,
    SIGNIFICANT,
    UNDEFINED,
    UNTOLD,
)
from patchbench.comparison_costs import changed_costs, changed_text
from patchbench.markdown import number, p_value, table, with_interval
from patchbench.sides import ABSENT, METHOD, Side, settings
from patchbench.study import NONE

_MOST_NAMED = 5
_HEADS = {
    "train_s": ("training, s", 1),
    "inference_ms_per_image": ("ms per image", 2),
    "peak_rss_mib": ("peak MiB", 0),
    "peak_gpu_mib": ("peak GPU MiB", 0),
}


def summary(frame: pd.DataFrame) -> str:
    """The finding in one sentence, then what else there is to know, from `comparison.compare`."""
    if frame.empty:
        return "A and B have no method in common, so there is nothing to compare."
    if (frame["verdict"] == IDENTICAL).all():
        return f"Nothing changed: {_methods(len(frame))} decide identically, to the last bit."
    count = frame["verdict"].value_counts()
    paired = frame[~frame["verdict"].isin([APART, OVERLAP, OTHER])]
    changed = frame[frame["verdict"] == CHANGED]
    parts = []
    if len(paired):
        parts.append(
            f"Of {_methods(len(paired))} {len(changed) or 'none'} changed beyond noise "
            f"(Holm, {SIGNIFICANT * 100:.0f} %){_named(changed)}."
        )
        rest = [
            f"{count[verdict]} {words}"
            for verdict, words in (
                (UNTOLD, "changed, but draws of images do not tell how surely"),
                (SAME, "changed within noise"),
                (IDENTICAL, "decide identically, to the last bit"),
                (UNDEFINED, "have no AUC on one side"),
            )
            if verdict in count
        ]
        parts += [f"{'; '.join(rest)}."] if rest else []
    if n_judged := int(count.get(APART, 0) + count.get(OVERLAP, 0)):
        parts.append(
            f"Of {_methods(n_judged)} on other test images {count.get(APART, 0)} "
            "have intervals that do not overlap, which is no paired test."
        )
    if OTHER in count:
        parts.append(f"{_methods(int(count[OTHER]))} on other test images cannot be paired.")
    return " ".join(parts).replace("1 decide ", "1 decides ").replace("1 have ", "1 has ")


def _methods(n: int) -> str:
    return f"{n} method{'s' * (n != 1)}"


def _named(changed: pd.DataFrame) -> str:
    """What changed and by how much, as far as a sentence holds it."""
    rows, varied = changed.to_dict("records"), _varied(changed)
    names = [f"{_name(row, varied)} {_signed(row['difference'])}" for row in rows[:_MOST_NAMED]]
    more = [f"and {len(rows) - _MOST_NAMED} more"] if len(rows) > _MOST_NAMED else []
    return f": {', '.join(names + more)}" if names else ""


def _name(row: Mapping[Any, Any], parts: Sequence[str]) -> str:
    return " / ".join(
        f"seed {row[part]}" if part == "seed" else str(row[part])
        for part in parts
        if row[part] != NONE
    )


def _varied(frame: pd.DataFrame) -> list[str]:
    """The parts of a method's name that tell these methods apart; never none of them."""
    varied = [part for part in METHOD if frame[part].nunique() > 1]
    return [p for p in METHOD if p in {*varied, "encoder", "classifier", "fusion"}]


def as_json(a: Side, b: Side, frame: pd.DataFrame) -> dict[str, Any]:
    """Everything that the comparison says, ready for JSON: what is not known is null."""
    return {
        "summary": summary(frame),
        "notes": notes(a, b, frame),
        "a": _about(a),
        "b": _about(b),
        "methods": json.loads(frame.to_json(orient="records", double_precision=15)),
        "changed_costs": changed_costs(a, b).to_dict("records"),
        "only_in": {name: rows.to_dict("records") for name, rows in only(a, b).items()},
        "settings": [
            {"key": key, "a": None if one == ABSENT else one, "b": None if o == ABSENT else o}
            for key, one, o in settings(a, b)
        ],
    }


def _about(side: Side) -> dict[str, Any]:
    names = ("study", "date", "commit", "host", "versions")
    return {"folder": str(side.folder)} | {name: side.run.get(name) for name in names}


# ---------------------------------------------------------------------------------- tables


def text(a: Side, b: Side, frame: pd.DataFrame) -> str:
    """Everything that the comparison says, for people."""
    parts = [summary(frame), *notes(a, b, frame), _sides(a, b)]
    if len(frame):
        shown = frame[frame["verdict"] != IDENTICAL]
        same = [part for part in METHOD if part not in _varied(frame)]
        parts.append("In all of them: " + ", ".join(f"{p} {frame[p].iloc[0]}" for p in same) + ".")
        parts += [_score_table(shown, _varied(frame))] if len(shown) else []
        for reason, rows in frame.groupby("reason", sort=False):
            parts.append(_listing(f"{str(reason)[0].upper()}{str(reason)[1:]}", rows))
        identical = frame[frame["verdict"] == IDENTICAL]
        parts += [_listing("Identical decisions", identical)] if len(identical) else []
        parts += [_cost_table(frame), changed_text(changed_costs(a, b))]
    parts += [_listing(f"Only in {name}", rows) for name, rows in only(a, b).items() if len(rows)]
    parts.append(_settings(a, b))
    return "\n\n".join(part for part in parts if part)


def notes(a: Side, b: Side, frame: pd.DataFrame) -> list[str]:
    """What a reader should know before trusting the numbers."""
    found = []
    if frame.empty:
        for part in METHOD:
            in_a, in_b = (set(side.predictions[part].astype(str)) for side in (a, b))
            if in_a.isdisjoint(in_b):
                names = f"A: {', '.join(sorted(in_a))}; B: {', '.join(sorted(in_b))}"
                found.append(f"Note: they share nothing under {part} ({names}).")
    for key, one, other in settings(a, b):
        if key.startswith("datasets."):
            found.append(
                f"Note: {key} is {_short(one)} in A and {_short(other)} in B, so images of one "
                "name may not be the same picture."
            )
    if a.folder.resolve() == b.folder.resolve():
        found.append("Note: A and B are the same folder.")
    return found


def only(a: Side, b: Side) -> dict[str, pd.DataFrame]:
    """Methods that only A has, and those that only B has."""
    of_a, of_b = a.methods(), b.methods()
    return {
        "A": pd.DataFrame([m for m in of_a if m not in set(of_b)], columns=METHOD),
        "B": pd.DataFrame([m for m in of_b if m not in set(of_a)], columns=METHOD),
    }


def _sides(a: Side, b: Side) -> str:
    rows = []
    for name, side in (("A", a), ("B", b)):
        run, host = side.run, side.run.get("host", {})
        machine = f"{host.get('cpu', '?')}, {host.get('cores', '?')} cores"
        commit = run.get("commit") or "unknown"
        rows.append([name, str(side.folder), run["study"], run.get("date", "?"), commit, machine])
    return table(["", "folder", "study", "date", "commit", "machine"], rows)


def _score_table(frame: pd.DataFrame, parts: Sequence[str]) -> str:
    paired = frame["difference"].notna().any()
    head = [*parts, "AUC A", "AUC B"]
    head += ["B - A [95 %]", "p", "p (Holm)"] if paired else []
    head += ["accuracy A", "B", *(["decided otherwise"] if paired else []), "verdict"]
    rows = []
    for row in frame.to_dict("records"):
        cells = [str(row[part]) for part in parts]
        if row["difference"] == row["difference"]:
            cells += [number(row["auc_a"], 3), number(row["auc_b"], 3)]
            cells.append(with_interval(row["difference"], row["low"], row["high"], sign=True))
            cells += [p_value(row["p"]), p_value(row["p_holm"])]
        else:
            sides = ([row[f"{end}_{side}"] for end in ("auc", "low", "high")] for side in "ab")
            cells += [with_interval(*side) for side in sides]
            cells += ["", "", ""] if paired else []
        cells += [number(row["accuracy_a"], 3), number(row["accuracy_b"], 3)]
        unlike = row["n_changed"]
        if paired:
            cells.append("" if pd.isna(unlike) else f"{int(unlike)} of {row['n_images_a']}")
        rows.append([*cells, row["verdict"]])
    caption = (
        f"AUC of test images (macro, one class against the rest); above 0: B is better. Intervals "
        f"and p from {_draws(frame)} bootstrap draws of images, the same for A and B; Holm over "
        f"the {_methods(int(frame['p_holm'].notna().sum()))} not identical:"
        if paired
        else "AUC of test images (macro, one class against the rest) with its own interval each:"
    )
    return f"{caption}\n\n{table(head, rows)}"


def _draws(frame: pd.DataFrame) -> str:
    """How many draws were made: more where p is small."""
    fewest, most = int(frame["n_draws"].min()), int(frame["n_draws"].max())
    return f"{fewest:,}" if fewest == most else f"{fewest:,} (where p is small {most:,})"


def _cost_table(frame: pd.DataFrame) -> str:
    """What methods took; rules that join the same votes took the same and stand together."""
    frame = frame.assign(fusion=frame["fusion"].where(frame["classifier"] == NONE, NONE))
    frame = frame.drop_duplicates(METHOD).sort_values(METHOD, kind="stable")
    names = [part for part in _varied(frame) if part != "fusion" or frame["fusion"].nunique() > 1]
    known = [cost for cost in COSTS if frame[[f"{cost}_a", f"{cost}_b"]].notna().any(axis=None)]
    if not known:
        return ""
    head = [*names, *(text for cost in known for text in (f"{_HEADS[cost][0]} A", "B", "B / A"))]
    rows = []
    for row in frame.to_dict("records"):
        cells = [str(row[name]) for name in names]
        for cost in known:
            digits = _HEADS[cost][1]
            cells += [number(row[f"{cost}_{side}"], digits) for side in "ab"]
            cells.append(number(row[f"{cost}_ratio"], 2))
        rows.append(cells)
    sentence = "Costs, each measured once on either side, so small factors of time are noise:"
    return f"{sentence}\n\n{table(head, rows)}"


def _listing(title: str, frame: pd.DataFrame) -> str:
    """Methods in few lines: one for all that were joined by the same rules."""
    parts = [part for part in _varied(frame) if part != "fusion"]
    named: dict[str, list[str]] = {}
    for _, rows in frame.groupby([p for p in METHOD if p != "fusion"], sort=False):
        fusions = ", ".join(name for name in rows["fusion"] if name != NONE)
        named.setdefault(fusions, []).append(_name(rows.iloc[0].to_dict(), parts))
    lines = [f"{title} ({_methods(len(frame))}):", ""]
    for fusions, names in named.items():
        lines.append(f"- {'; '.join(names)}{': ' if fusions else ''}{fusions}")
    return "\n".join(lines)


def _signed(value: float) -> str:
    return f"{round(value, 3) + 0.0:+.3f}"  # the sum makes a zero of -0


def _settings(a: Side, b: Side) -> str:
    found = settings(a, b)
    if not found:
        return "Settings, versions and machine are the same."
    lines = []
    for key, one, other in found:
        if isinstance(one, list) and isinstance(other, list):
            sides = {
                "A": [x for x in one if x not in other],
                "B": [x for x in other if x not in one],
            }
            told = [f"only {s}: {', '.join(map(str, x))}" for s, x in sides.items() if x]
            lines.append(f"- {key}: {'; '.join(told) or 'in another order'}")
        else:
            lines.append(f"- {key}: {_short(one)} in A, {_short(other)} in B")
    return "\n".join([f"Settings that differ ({len(found)}):", "", *lines])


def _short(value: Any) -> str:
    told = value if isinstance(value, str) else json.dumps(value)
    return told if len(told) <= 60 else told[:57] + "..."
