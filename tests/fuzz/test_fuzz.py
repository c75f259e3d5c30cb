"""A thousand spoiled files crash no reader; what would crash one is counted."""

import random
import sys
from pathlib import Path

import pytest

from fuzz import mutations, readers, samples, worker
from fuzz.__main__ import fuzz, rows
from patchbench.errors import UserError

# PyTorch takes longer to start than all other inputs take; its reader has tests of its own
NAMES = tuple(name for name in readers.READERS if name != "checkpoint")
DYING = """
import json, os, signal, sys
first, stop, step = map(int, sys.argv[1:4])
for number in range(first, stop, step):
    print(json.dumps([number]), flush=True)
    if number in (3, 6):
        os.kill(os.getpid(), signal.SIGSEGV if number == 3 else signal.SIGPROF)
    print(json.dumps([number, "refused", "too odd"]), flush=True)
"""


def test_a_thousand_spoiled_files_crash_no_reader() -> None:
    tally = fuzz(1000, seed=1, jobs=1, names=NAMES)
    assert not tally.crashes
    assert sum(tally.counts.values()) == 1000
    for name in NAMES:  # spoiled neither beyond recognition nor not at all
        assert tally.counts[name, "refused"] > 0
    assert sum(tally.counts[name, "accepted"] for name in NAMES) > 100


def test_a_process_that_dies_is_counted_and_the_next_goes_on_behind_it() -> None:
    tally = fuzz(9, seed=0, jobs=2, names=("json",), command=(sys.executable, "-c", DYING))
    assert sorted(tally.crashes) == [
        (3, "json: the process died: SIGSEGV"),
        (6, "json: hung: time ran out"),
    ]
    assert tally.counts["json", "refused"] == 7
    assert "| all    | 9     | 0        | 7               | 2       |" in rows(tally, ("json",))


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (UserError("no such thing; take another"), "refused"),
        (UserError(""), "crashed"),
        (KeyError("x"), "crashed"),
        (MemoryError(), "crashed"),
        (AssertionError("it left its folder"), "crashed"),
    ],
)
def test_only_a_sentence_is_a_clean_refusal(
    error: Exception, outcome: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def read(path: Path) -> None:
        raise error

    monkeypatch.setitem(readers.READERS, "json", readers.Reader(1, lambda rng: b"", read))
    assert worker.read("json", tmp_path)[0] == outcome


def test_inputs_depend_on_seed_and_number_alone() -> None:
    made = [readers.content_of(number, NAMES, 5) for number in range(40)]
    assert made == [readers.content_of(number, NAMES, 5) for number in range(40)]
    assert made != [readers.content_of(number, NAMES, 6) for number in range(40)]


def test_sums_made_right_again_let_sound_files_be() -> None:
    rng = random.Random(0)
    for content in samples.pictures():
        if content.startswith(b"\x89PNG"):
            assert mutations.with_sums_of_png(content) == content
    for content in samples.tars():
        assert mutations.with_sums_of_tar(content) == content
    assert mutations.spoil(b"", rng) is not None
