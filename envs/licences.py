"""Write LICENCES.md: every package of lock.txt with the licence that it tells when installed."""

from importlib.metadata import Distribution, distribution
from pathlib import Path

HERE = Path(__file__).parent
HEAD = """# Licences of what patchbench stands on

Every package of `lock.txt`, with the licence that the package itself tells; rendered by
`make licences`. On Linux the PyTorch of PyPI brings NVIDIA's CUDA libraries along, which stand
under NVIDIA's own licences and not in the lock; the wheel for processors does without them.

| package | version | licence |
|---|---|---|
"""


def licence(package: Distribution) -> str:
    """The SPDX expression, or else the classifiers, the licence's name, its file's first line."""
    told = package.metadata
    if expression := told.get("License-Expression"):
        return expression
    classifiers = [text.split(" :: ") for text in told.get_all("Classifier") or []]
    named = [parts[-1] for parts in classifiers if parts[0] == "License"]
    if named:
        return " or ".join(named)
    files = [file for file in package.files or [] if file.name.upper().startswith("LICEN")]
    texts = [told.get("License") or "", *(file.read_text() for file in files)]
    lines = [line.strip() for text in texts for line in text.splitlines() if line.strip()]
    if not lines:
        raise ValueError(f"{package.name} tells no licence; look it up and name it here")
    return lines[0]


if __name__ == "__main__":
    pinned = [line.split("==") for line in (HERE / "lock.txt").read_text().split() if "==" in line]
    rows = [f"| {name} | {version} | {licence(distribution(name))} |" for name, version in pinned]
    (HERE / "LICENCES.md").write_text(HEAD + "\n".join(rows) + "\n", encoding="utf-8")
