"""The report in a real Chromium: it sorts, filters and browses, asks for nothing, runs nothing."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from browser._chromium import NAMES, Page, executable, running
from patchbench.report.page import render
from patchbench.study import Study
from unit._synthetic_study import make_study

CHROMIUM = executable()  # found once for all tests
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason=f"no Chromium on this machine: none of {', '.join(NAMES)} on PATH"
)
NASTY = """<img src=x onerror=alert(1)> "q" & 'q' </script><script>alert(2)</script> {{ 7*7 }} 🌷"""
LONG = "a-name-without-any-space-" * 6
CHOSEN = "document.querySelector('input[name=browse-image]:checked').value"
PICTURE = "document.getElementById('browse-canvas').toDataURL()"


def hostile_study() -> Study:
    """Two datasets whose classes, images, encoders and study are named to break a page."""
    encoders = (NASTY, LONG, "bagnet17")
    classes = (NASTY, LONG, "rose")
    study = make_study(
        n_datasets=2,
        n_fusions=3,
        encoders=encoders,
        classes=classes,
        classifiers=["logistic"],
        browse=True,
    )
    names = {"image-000": NASTY, "image-001": LONG}
    predictions = study.predictions.assign(image_id=study.predictions["image_id"].replace(names))
    seen = {
        key: np.array([names.get(str(name), str(name)) for name in array])
        if key.endswith("/ids")
        else array
        for key, array in study.browser.items()
    }
    metrics = study.metrics.copy()
    metrics.loc[metrics["encoder"] == "bagnet17", ["value", "low", "high"]] = np.nan
    return replace(study, name=NASTY, predictions=predictions, browser=seen, metrics=metrics)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    studies = {
        "hostile": hostile_study(),
        "plain": make_study(n_encoders=1, n_fusions=1, classifiers=["logistic"]),
        "long": make_study(n_encoders=5, classifiers=["logistic", "linear_svm", "nbnn"]),
    }
    for name, study in studies.items():
        (folder / f"{name}.html").write_text(render(study, folder), encoding="utf-8")
    return {name: folder / f"{name}.html" for name in studies}


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    assert CHROMIUM is not None
    with running(CHROMIUM, tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def page(chromium: Page, files: dict[str, Path]) -> Iterator[Page]:
    """The hostile page, freshly opened; whatever a test does must raise no complaint."""
    chromium.open(files["hostile"])
    chromium.settle()
    yield chromium
    assert chromium.complaints == []
    assert chromium.requests == []


def column(page: Page, number: int) -> list[str]:
    cells = f"#table tbody td:nth-child({number})"
    found: list[str] = page.evaluate(
        f"[...document.querySelectorAll('{cells}')].map(c=>c.innerText)"
    )
    return found


def test_a_heading_sorts_by_click_and_by_enter_and_blanks_stay_last(page: Page) -> None:
    heads: list[str] = page.evaluate(
        "[...document.querySelectorAll('#table th button')].map(b => b.innerText)"
    )
    auc = heads.index("Image AUC") + 1
    page.click(f"#table th:nth-child({auc}) button")
    falling = column(page, auc)
    known = [float(text) for text in falling if text]
    assert known == sorted(known, reverse=True) and len(set(known)) > 5
    assert falling[len(known) :] and not any(falling[len(known) :])
    page.press("Enter")  # the heading has the focus
    rising = column(page, auc)
    assert [float(text) for text in rising if text] == sorted(known)
    assert not rising[-1]
    order = "document.querySelector('#table th[aria-sort]')"
    assert page.evaluate(f"{order}.getAttribute('aria-sort')") == "ascending"
    assert page.evaluate(f"{order}.innerText") == "Image AUC"
    page.click(f"#table th:nth-child({heads.index('Fusion') + 1}) button")
    assert (names := column(page, heads.index("Fusion") + 1)) == sorted(names)


def test_the_box_keeps_rows_that_hold_all_words(page: Page) -> None:
    n_rows = len(column(page, 1))
    page.click("#filter")
    page.type("max_logit FLOWERS")
    assert page.text("#count") == f"0 of {n_rows} rows"
    page.evaluate("document.getElementById('filter').select()")
    page.type("max_logit SCENES-texture")
    rows = column(page, 1)
    assert 0 < len(rows) < n_rows and set(rows) == {"scenes-texture"}
    assert page.text("#count") == f"{len(rows)} of {n_rows} rows"


def test_rows_past_the_first_are_sorted_filtered_and_shown_when_asked_for(
    chromium: Page, files: dict[str, Path]
) -> None:
    chromium.open(files["long"])
    n_rows = int(chromium.text("#count").split()[0])
    assert len(column(chromium, 1)) == 60 < n_rows
    heads: list[str] = chromium.evaluate(
        "[...document.querySelectorAll('#table th button')].map(b => b.innerText)"
    )
    auc = heads.index("Image AUC") + 1
    chromium.click(f"#table th:nth-child({auc}) button")
    chromium.click(f"#table th:nth-child({auc}) button")
    lowest = [float(text) for text in column(chromium, auc)]
    chromium.click("#more")
    everything = [float(text) for text in column(chromium, auc)]
    assert len(everything) == n_rows and everything == sorted(everything)
    assert lowest == everything[:60]
    chromium.click("#filter")
    chromium.type("random_projection nbnn")
    assert set(column(chromium, heads.index("Classifier") + 1)) == {"nbnn"}
    assert chromium.complaints == []


def test_arrow_keys_browse_images(page: Page) -> None:
    page.evaluate("document.querySelector('input[name=browse-image]').focus()")
    before, about = page.evaluate(PICTURE), page.text("#image-about")
    page.press("ArrowRight", "ArrowRight")
    assert page.evaluate(CHOSEN) == "2"
    assert page.evaluate(PICTURE) != before
    assert page.text("#image-about") != about and "true class: rose" in page.text("#image-about")
    page.press("ArrowLeft")
    assert page.evaluate(CHOSEN) == "1"


def test_tab_reaches_what_is_shown_the_rule_and_the_method(page: Page) -> None:
    page.evaluate("document.querySelector('input[name=browse-image]').focus()")
    reached = []
    for _ in range(5):
        reached.append(page.evaluate("document.activeElement.name || document.activeElement.id"))
        page.press("Tab")
    assert reached == [
        "browse-image",
        "browse-view",
        "browse-class",
        "browse-rule",
        "browse-method",
    ]


def test_a_click_chooses_an_image_a_view_a_rule_and_a_method(page: Page) -> None:
    page.click("#browse-images label:nth-child(4) img")
    assert page.evaluate(CHOSEN) == "3"
    shown = {page.evaluate(PICTURE)}
    for view in ("votes", "decided", "image"):
        page.click(f"input[value={view}] + span")
        shown.add(page.evaluate(PICTURE))
    assert len(shown) == 4
    told = page.text("#rule-about")
    assert "of 9 patches speak for" in told and "without it the probability would be" in told
    page.click("#browse-rules label:nth-child(2)")
    assert page.text("#rule-about") != told
    name = page.text("#method-name")
    page.click("#browse-methods label:last-child canvas")
    assert page.text("#method-name") != name


def test_votes_are_counted_by_class(page: Page) -> None:
    page.click("input[value=votes] + span")
    counts = [
        line.rsplit(": ")[1] for line in page.text("#browse-legend").split("\n") if ": " in line
    ]
    assert sum(int(text.split(" of ")[0]) for text in counts) == 9


def test_everything_that_can_be_chosen_is_drawn(page: Page) -> None:
    n_drawn = page.evaluate(
        """(async () => {
          let drawn = 0;
          const all = (query) => [...document.querySelectorAll(query)];
          const texts = new Set();
          for (const data of [1, 0]) {
            const select = document.getElementById("browse-dataset");
            select.value = data;
            select.dispatchEvent(new Event("change"));
            const pairs = all("[name=browse-method]").flatMap((method) =>
              all("[name=browse-view]").map((view) => [method, view]));
            for (const pair of pairs) {
              pair.forEach((input) => input.click());
              await new Promise(requestAnimationFrame);
              for (const rule of all("[name=browse-rule]")) {
                rule.click();
                texts.add(document.getElementById("canvas-about").textContent);
                drawn += 1;
              }
            }
          }
          return [drawn, texts.size];
        })()"""
    )
    assert n_drawn[0] > 50 and n_drawn[1] > 8


def test_hostile_names_are_shown_and_nothing_of_them_runs(page: Page) -> None:
    assert NASTY in page.text("h1")
    assert NASTY in page.text("#image-about")
    assert NASTY in page.text("#browse-methods")
    assert NASTY in page.text("#table")
    assert page.evaluate("document.querySelectorAll('img[onerror], script').length") == 3


def test_a_handler_that_slips_in_is_refused(chromium: Page, files: dict[str, Path]) -> None:
    chromium.open(files["plain"])
    chromium.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<img src=\"data:,\" onerror=\"alert(1)\">')"
    )
    chromium.settle()
    assert any("Content Security Policy" in text for text in chromium.complaints)
    assert not any("dialog" in text for text in chromium.complaints)


def test_a_study_without_images_to_browse_says_so(chromium: Page, files: dict[str, Path]) -> None:
    chromium.open(files["plain"])
    assert "This study kept no test images to browse." in chromium.text("#browse")
    assert chromium.complaints == [] and chromium.requests == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_scrolls_down_but_never_sideways(
    chromium: Page, files: dict[str, Path], scheme: str
) -> None:
    chromium.open(files["hostile"], 390, scheme)
    chromium.settle()
    assert chromium.evaluate("document.documentElement.scrollWidth") <= 390
    color = chromium.evaluate("getComputedStyle(document.body).backgroundColor")
    assert color == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 27)"}[scheme]
    assert chromium.complaints == [] and chromium.requests == []
