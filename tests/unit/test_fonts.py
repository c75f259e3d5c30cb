"""Pictures write names in fonts that have their letters, and say what to install where none has."""

from collections.abc import Iterator

import pytest
from matplotlib import font_manager, rcParams

from patchbench import fonts
from patchbench.figures import _style as style

NAMES = "cat's Bär кот قطة חתול e\N{COMBINING ACUTE ACCENT}\n"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Fonts by name and the characters that they have, instead of those of this machine."""
    found: dict[str, str] = {}

    def listed() -> list[font_manager.FontEntry]:
        return [font_manager.FontEntry(fname=name, name=name) for name in found]

    real = fonts._written_by

    def written(path: str, index: int, characters: frozenset[str]) -> frozenset[str]:
        if path in found:
            return characters & set(found[path])
        return real(path, index, characters)

    monkeypatch.setattr(fonts, "_upright", listed)
    monkeypatch.setattr(fonts, "_written_by", written)
    fonts._for_the_rest.cache_clear()
    yield found
    fonts._for_the_rest.cache_clear()


def families(text: str) -> list[str]:
    with style.look(text):
        return list(rcParams["font.family"])


def test_names_that_the_first_font_can_write_change_no_byte(installed: dict[str, str]) -> None:
    installed["Everything Sans"] = NAMES
    assert families(NAMES) == families("") == [fonts.FIRST]
    assert fonts.hint(NAMES) is None


def test_other_letters_come_from_the_fewest_and_plainest_fonts(installed: dict[str, str]) -> None:
    installed |= {
        "A Serif": "漢字",
        "B Sans": "漢字",
        "C Sans Mono": "漢字",
        "D Sans": "漢",
        "E": "🦊",
    }
    assert families(f"{NAMES} 漢字 🦊") == [fonts.FIRST, "B Sans", "E"]
    assert fonts.hint("漢字 🦊") is None


def test_what_no_font_has_is_told_in_one_sentence(installed: dict[str, str]) -> None:
    installed["B Sans"] = "漢"
    told = fonts.hint("漢字 🦊\u200d🐶\ufe0f")
    assert told is not None and "no font here has 字 🐶 🦊, so pictures show boxes" in told
    assert "fonts-noto-cjk" in told and "\n" not in told
    assert "..." in str(fonts.hint("".join(map(chr, range(0x4E00, 0x4E40)))))


def test_boxes_are_drawn_without_a_warning(installed: dict[str, str]) -> None:
    with style.look("漢字"):
        figure = style.figure(1.0)
        style.write(figure, 0.1, 0.5, "漢字")
        figure.draw_without_rendering()


def test_fonts_of_this_machine_are_listed_and_can_be_asked() -> None:
    entries = fonts._upright()
    assert any(entry.name == fonts.FIRST for entry in entries)
    assert not any("Last Resort" in entry.name for entry in entries)
    for entry in entries:
        assert fonts._written_by(entry.fname, entry.index, frozenset("a")) <= {"a"}
    assert fonts._written_by("/no/such.ttf", 0, frozenset("a")) == frozenset()
