"""Settings made to do harm end in one sentence, and none of them becomes shell."""

import re
from pathlib import Path

import pytest

from patchbench.config import check
from patchbench.doctor_study import SCHEMA, load
from patchbench.errors import UserError
from patchbench.limits import Limits, current, hold

ROOT = Path(__file__).parents[2]
LAUGHS = "datasets:\n  scenes:\n    r0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"    r{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 30)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("device: !!python/object/apply:os.system ['touch hacked']", "cannot be read as YAML"),
        ("device: !!python/name:os.system", "cannot be read as YAML"),
        ("__use_yte__: true\nstudy: ?open('hacked', 'w').name", "unknown key __use_yte__"),
        (LAUGHS, "more than 100,000 values"),
        ("study: &a [x, *a]", "50 within each other, at study"),
        ("study: " + "[" * 1200, "cannot be read as YAML"),
        ("max_bad_images: 2020-99-99", "cannot be read as YAML"),
        ("max_bad_images: 2020-01-01", r"max_bad_images is .*of type date; give text \(in quotes"),
        ("device: !!binary aGVsbG8=", "device is b'hello', of type bytes"),
        ("datasets: {1: {image_size_px: 8}}", "datasets has the key 1, which is no text"),
        ("cnns: {resnet18: {lr: .nan}}", r"cnns\.resnet18\.lr is nan; give a finite number"),
        ("encoders: {sift: {type: 0.5}}", r"encoders\.sift\.type is 0\.5: .*'string'"),
        ("max_fit_mib: 1024.0", "max_fit_mib is 1024.0: .*not of type 'integer'"),
        ("benchmark: {seeds: [0.0]}", r"benchmark\.seeds\.0 is 0\.0"),
        ('study: "a\\n"', r"study is 'a\\n'"),
        ('study: "$(touch hacked)"', r"study is '\$\(touch hacked\)'"),
        ("study: -rf", "study is '-rf'"),
        (f"study: {'a' * 101}", "is too long"),
        ("encoders: {-rf: {type: sift}}", "encoders has an entry named '-rf'; names are"),
        ('encoders: {"a\\n": {type: sift}}', "encoders has an entry named"),
        (f"patches: {{{'a' * 101}: {{}}}}", "patches has an entry named 'aaa"),
        ('encoders: {bagnet17: {type: bagnet, weights: "{w}"}}', "takes what stands in braces"),
        ("datasets: {scenes: {image_size_px: 1000000}}", "image_size_px is 1000000"),
        ("noise: {n_folds: 1000000000}", "n_folds is 1000000000"),
        ("max_image_megapixels: 179", "max_image_megapixels is 179"),
        ("datasets: {scenes: {max_download_gib: 0}}", r"scenes\.max_download_gib is 0"),
    ],
)
def test_a_config_that_means_harm_is_refused_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "{w}").touch()
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        check(load([tmp_path / "mine.yaml"]), SCHEMA)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000
    assert not (tmp_path / "hacked").exists()


# numbers, words from a list, entries' names by the schema's pattern, options quoted in common.smk
BARE = re.compile(
    r"wildcards\.(classifier|cnn|encoder|explain|seed|shard|study|task|way)|threads"
    r"|params\.(size|limit|device|max_fit_mib|n_folds|fractions|entry\[\w+\])"
    r"|params\.(sides|memory|time|threads)"
    r"|params\.(weights|fold|folds|maps|noise|rival)"
)


# of rules with two stages, said once for the rules with one as well; and the name of a shard
CONSTANTS = {"CUT", "INDEX", "FIT_ENCODER", "ENCODE", "FIT", "CLASSIFY", "ONLY_SHARD"}


def test_what_rules_hand_to_a_shell_is_quoted_or_cannot_need_it() -> None:
    found, constants = [], {"ONLY_SHARD"}
    for path in sorted((ROOT / "workflow/rules").glob("*.smk")):
        text = path.read_text(encoding="utf-8")
        commands = re.findall(r"^    shell:\n((?: {8}.*\n|\n)+)", text, re.MULTILINE)
        said = re.findall(r'^([A-Z_]+) = (\(\n(?:    ".*"\n)+\)|"\w+ --.*")$', text, re.MULTILINE)
        constants |= {name for name, _ in said}
        for command in [*commands, *(words for _, words in said)]:
            found += re.findall(r"\{([^{}]+)\}", command)
    assert constants == CONSTANTS
    assert len(found) > 160 and {"params.entry[edge]", "output.part:q", "input.pixels:q"} <= {
        *found
    }
    bare = [name for name in found if not name.endswith(":q") and name not in CONSTANTS]
    assert not [name for name in bare if not BARE.fullmatch(name)]


def test_options_that_rules_build_are_quoted() -> None:
    text = "".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "workflow/rules").glob("*.smk")
    )
    options = [line for line in text.splitlines() if re.search(r'f"--\w', line)]
    assert len(options) >= 5
    for line in options:
        values = re.findall(r"\{([^{}]+)\}", line)
        assert all(value in ("LIMIT", "states", "path") or "shlex" in value for value in values)


def test_limits_hold_within_a_block_and_make_sense() -> None:
    with hold(Limits(max_image_megapixels=2)):
        assert current().max_image_megapixels == 2
    assert current() == Limits()
    for settings in ({"max_image_megapixels": 0}, {"max_download_gib": -1}):
        with pytest.raises(ValueError, match="must be above 0"):
            Limits(**settings)
