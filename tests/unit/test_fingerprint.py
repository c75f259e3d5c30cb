"""A fingerprint changes with the code a job runs, and with nothing else."""

import shutil
from pathlib import Path

import pytest

from patchbench import fingerprint as module

FILES = {
    "pkg/__init__.py": '"""Package."""\n',
    "pkg/base.py": '"""Base."""\n\n\ndef f(x):\n    """Say."""\n    return x + 1\n',
    "pkg/one.py": "from pkg.base import f\n",
    "pkg/two.py": "def g():\n    from pkg import base\n    return base\n",
    "pkg/alone.py": "x = 1\n",
    "pkg/tables.py": 'COLUMNS: dict = {"images": 1, "metrics": 2}\n',
    "pkg/reader.py": 'from pkg.tables import COLUMNS\n\nx = COLUMNS["images"]\n',
}


def forget() -> None:
    """Have modules read anew."""
    for function in vars(module).values():
        if hasattr(function, "cache_clear"):
            function.cache_clear()


@pytest.fixture
def hashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "_REGISTERS", {"pkg.tables": "COLUMNS"})

    def after(edit: dict[str, str]) -> dict[str, str]:
        for name, text in edit.items():
            (tmp_path / name).write_text(text, encoding="utf-8")
        forget()
        return {
            name: module.fingerprint(f"pkg.{name}") for name in ("one", "two", "alone", "reader")
        }

    yield after
    forget()
    shutil.rmtree(tmp_path)


def test_logic_below_changes_those_who_import_it_also_inside_functions(hashes) -> None:
    before = hashes({})
    now = hashes({"pkg/base.py": FILES["pkg/base.py"].replace("+ 1", "+ 2")})
    assert now["one"] != before["one"]
    assert now["two"] != before["two"]
    assert now["alone"] == before["alone"]


def test_of_tables_those_count_that_the_code_names(hashes) -> None:
    before = hashes({})
    text = FILES["pkg/tables.py"]
    assert hashes({"pkg/tables.py": text.replace("2}", '2, "new": 3}')}) == before
    assert hashes({"pkg/tables.py": text.replace("2}", "4}")}) == before
    assert hashes({"pkg/tables.py": text.replace("1,", "5,")})["reader"] != before["reader"]
    assert hashes({"pkg/tables.py": text + "y = 1\n"})["reader"] != before["reader"]


def test_comments_docstrings_and_layout_change_nothing(hashes) -> None:
    before = hashes({})
    text = (
        '"""Another."""\n# why\ndef f(x):\n    "Told otherwise."\n\n    return (x +\n        1)\n'
    )
    assert hashes({"pkg/base.py": text}) == before


def test_a_touched_file_changes_nothing(hashes) -> None:
    before = hashes({})
    assert hashes(FILES) == before


def test_a_folder_changes_with_its_files(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "1.png").write_bytes(b"x")
    seen = [module.folder_digest(tmp_path)]
    assert module.folder_digest(tmp_path) == seen[0]
    (tmp_path / "cat" / "2.png").write_bytes(b"x")
    seen.append(module.folder_digest(tmp_path))
    (tmp_path / "cat" / "2.png").write_bytes(b"yy")
    seen.append(module.folder_digest(tmp_path))
    (tmp_path / "cat" / "1.png").unlink()
    seen.append(module.folder_digest(tmp_path))
    assert len(set(seen)) == 4


def test_an_installed_package_beside_the_source_is_no_data(hashes, tmp_path: Path) -> None:
    before = hashes({})
    (tmp_path / "pkg.egg-info").mkdir()
    assert hashes({}) == before
