"""The report page in a real Chromium: its size, how fast it opens, sorts and filters.

    .venv/bin/python benchmarks/report.py [REPORT.html ...]

Without arguments it makes up a study of 5,000 result rows, with figures and images to browse, and
measures its page; otherwise it measures the given pages. Prints the size; the time until the page
is loaded and its first content painted; and the longest of several sorts (every column, both ways)
and filters: script and layout alone, and until the screen has been drawn again.
"""

import sys
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # the driver and made-up studies

from browser._chromium import NAMES, Page, executable, running
from patchbench import plan_figures, plugins
from patchbench.figures import _style as style
from patchbench.report.page import render
from patchbench.stages.draw import save
from patchbench.study import Study
from unit._synthetic_study import make_study

N_ROWS, N_OPENED, WORDS = 5_000, 7, ("b", "bagnet", "bagnet17 logistic mean", "no such row", "")
LOADED = """(() => {
  const [page] = performance.getEntriesByType("navigation");
  const [paint] = performance.getEntriesByName("first-contentful-paint");
  return [page.loadEventEnd, paint ? paint.startTime : NaN];
})()"""
# what an action takes: with layout, and until the frame after it was drawn
TIMED = """(async (act) => {
  await new Promise(requestAnimationFrame);
  const start = performance.now();
  act();
  document.body.getBoundingClientRect();
  const done = performance.now();
  await new Promise((drawn) => requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = drawn;
    channel.port2.postMessage(0);
  }));
  return [done - start, performance.now() - start];
})"""


def made_up() -> tuple[Study, Study]:
    """A study as it may be, and the same with the rows of many seeds."""
    study = make_study(browse=True)
    whole = study.metrics["level"] == "image"
    n_seeds = -(-N_ROWS // study.metrics[whole & (study.metrics["metric"] == "auc_macro")].shape[0])
    tables: dict[str, Any] = {
        name: pd.concat(
            [getattr(study, name).assign(seed=seed) for seed in range(n_seeds)], ignore_index=True
        )
        for name in ("metrics", "costs")
    }
    return study, replace(study, **tables)


def page_of_many_rows(folder: Path) -> Path:
    """Draw and write the page of a made-up study."""
    study, large = made_up()
    with style.look():
        for dataset, name in plan_figures.figures(study.run["config"]):
            save(plugins.load("figures", name).draw(study, dataset), folder / dataset / name)
    path = folder / "report.html"
    path.write_text(render(large, folder), encoding="utf-8")
    return path


def measure(page: Page, path: Path) -> None:
    """Print what a page takes."""
    times = []
    for _ in range(N_OPENED):
        page.open(path)
        page.settle()
        times.append(page.evaluate(LOADED))
    loaded, painted = (median(column) for column in zip(*times, strict=True))
    n_heads = int(page.evaluate("document.querySelectorAll('#table th button').length"))
    print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB, {page.text('#count')}")
    print(f"  loaded after {loaded:.0f} ms, first painted after {painted:.0f} ms")
    sort = "() => document.querySelectorAll('#table th button')[{}].click()"
    report("sort", page, [sort.format(i // 2) for i in range(2 * n_heads)])
    type_in = (
        "() => {{ const box = document.getElementById('filter'); box.value = '{}';"
        "box.dispatchEvent(new Event('input')); }}"
    )
    report("filter", page, [type_in.format(words) for words in WORDS])
    more = "() => document.getElementById('more').click()"
    report("show all rows", page, [more])


def report(what: str, page: Page, actions: list[str]) -> None:
    """Print the longest and the middle one of some actions."""
    scripted, drawn = zip(*(page.evaluate(f"{TIMED}({act})") for act in actions), strict=True)
    print(
        f"  {what}: at most {max(scripted):.0f} ms with layout, {max(drawn):.0f} ms until drawn "
        f"(middle of {len(actions)}: {median(scripted):.0f} and {median(drawn):.0f} ms)"
    )


def main() -> None:
    """Measure the pages named on the command line, or a made-up one."""
    chromium = executable()
    if chromium is None:
        sys.exit(f"No Chromium on this machine: none of {', '.join(NAMES)} is on PATH.")
    with TemporaryDirectory() as name:
        folder = Path(name)
        paths = [Path(text).resolve() for text in sys.argv[1:]] or [page_of_many_rows(folder)]
        with running(chromium, folder / "profile") as page:
            for path in paths:
                measure(page, path)


if __name__ == "__main__":
    main()
