"""What the doctor found, piece by piece, and how it is told."""

from collections.abc import Iterable
from dataclasses import dataclass

OK, NOTE, MISSING = "ok", "note", "missing"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    section, name, value : str
        Where it stands, what it is, and what was found.
    level : str
        ``"ok"``; ``"note"``: the study runs, but one should know; ``"missing"``: it cannot run.
    way_out : str
        One sentence: what is wrong and what to do; empty where all is well, the same where one
        thing to do mends several.
    """

    section: str
    name: str
    value: str
    level: str = OK
    way_out: str = ""


_SIGNS = {OK: " ", NOTE: "!", MISSING: "x"}


def text(verdict: str, findings: Iterable[Finding]) -> str:
    """The verdict, the ways out, then everything by section."""
    findings = list(findings)
    parts = [verdict]
    for level, title in ((MISSING, "Missing:"), (NOTE, "Worth knowing:")):
        sentences = dict.fromkeys(f.way_out for f in findings if f.level == level)
        if sentences:
            parts.append("\n".join([title, *(f"  {_SIGNS[level]} {s}" for s in sentences)]))
    width = max(len(finding.name) for finding in findings)
    for section in dict.fromkeys(finding.section for finding in findings):
        rows = [f for f in findings if f.section == section]
        lines = [f"  {_SIGNS[f.level]} {f.name:<{width}}  {f.value}".rstrip() for f in rows]
        parts.append("\n".join([section.capitalize(), *lines]))
    return "\n\n".join(parts)
