"""`lilliput families`: what it lists and shows, and that its page in the docs is current."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from lilliput.cli import families as command_line
from lilliput.cli import main
from lilliput.model import FAMILIES, SIZES, TRUNK_FAMILIES, ModelConfig, shape_of_size
from lilliput.model.trunks import shape_of
from lilliput.report.diagram_svg import svg_drawing
from lilliput.verbs import families as verb
from lilliput.verbs.families import (
    TARGETS,
    all_families,
    exports_of,
    groups_of_switches,
    list_families,
    show_family,
    switches,
)
from lilliput.verbs.family_text import (
    DRAWN,
    families_text,
    family_text,
    filled_page,
    short_count,
)

PAGE = Path(__file__).parents[2] / "docs" / "families.md"


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What `lilliput families ARGUMENTS` prints."""
    main(["families", *arguments])
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What it says on standard error as it ends with exit code 2."""
    with pytest.raises(SystemExit) as ended:
        main(["families", *arguments])
    assert ended.value.code == 2
    return capsys.readouterr().err


def test_the_list_holds_every_family_with_all_that_matters(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for columns in (60, 80, 200):
        monkeypatch.setenv("COLUMNS", str(columns))
        text = said(capsys)
        assert max(map(len, text.splitlines())) <= min(120, max(80, columns))
        flowing = " ".join(text.split())
        for one in all_families().values():
            assert f"\n{one.name} " in text
            assert f"{one.distinctive} ({one.paper})" in flowing
    assert "MixtralForCausalLM" in flowing
    assert "MambaForCausalLM" in flowing
    assert "T5ForConditionalGeneration" in flowing


def test_the_list_as_json_counts_what_the_models_have(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(said(capsys, "--json", "--vocabulary", "1000"))
    assert found["vocabulary_size"] == 1000
    rows = {row["name"]: row for row in found["families"]}
    assert set(rows) == {*FAMILIES, *TRUNK_FAMILIES}
    years = [row["year"] for row in found["families"]]
    assert years == sorted(years)
    for name, row in rows.items():
        assert set(row) == {"name", "year", "paper", "distinctive", "parameters", "exports"}
        assert set(row["parameters"]) == set(SIZES)
        for size in ("xs", "l"):
            config = shape_of(name, vocabulary_size=1000, end_of_text=0, size=size)
            assert row["parameters"][size] == config.parameters
        assert set(row["exports"]) == {
            "transformers", "gguf", "onnx", "single_file", "refusals",
        }  # fmt: skip


def test_words_narrow_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    def names(*words: str) -> list[str]:
        return [row["name"] for row in json.loads(said(capsys, *words, "--json"))["families"]]

    rotary = names("rotary")
    assert "llama" in rotary
    assert "gpt2" not in rotary
    assert names("ROTARY", "n_experts") == [name for name in rotary if "n_experts" in
                                            FAMILIES[name].switches]  # fmt: skip
    assert names("MixtralForCausalLM") == ["mixtral"]
    assert names("2405.04434") == ["deepseek-v2"]
    assert names("state", "space") == ["mamba"]
    assert set(names("alibi")) == {"bloom", "falcon-rw"}
    assert names("list", "alibi") == names("alibi")
    assert "no family matches 'rotary' and 'alibi'" in refused(capsys, "rotary", "alibi")


def test_exports_narrow_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    found = {
        target: {one.name for one in list_families(exports_to=target, vocabulary_size=300)}
        for target in TARGETS
    }
    assert {"lilliput", "llama", "mixtral", "gpt2"} <= found["gguf"]
    assert {"phi2", "phi4", "gemma2", "command-r", "nemotron4", "gpt-oss"} <= found["gguf"]
    assert {"deepseek-v3", "kimi-k2", "helium", "gpt-j", "starcoder"} <= found["gguf"]
    assert not {"gopher", "mistral", "gpt-neo", "bitnet", "deepseek-v2"} & found["gguf"]
    assert {"lilliput", "llama", "qwen3"} <= found["single-file"]
    assert {"qwen2.5", "mistral", "granite", "olmo2", "smollm3", "gemma3"} <= found["onnx"]
    assert not {"mixtral", "gpt2"} & found["onnx"]
    assert "llama3.1" in found["single-file"]
    assert "qwen2.5" not in found["single-file"]
    assert found["single-file"] < found["onnx"]
    assert found["transformers"] == {
        name for name in all_families() if name not in
        ("gpt3", "gopher", "chinchilla", "grok1", "openelm", "apple", "mixture-of-depths", "retro")
    }  # fmt: skip
    text = said(capsys, "gemma", "--exports-to", "gguf")
    assert "\ngemma3 " in text
    text = said(capsys, "falcon", "--exports-to", "gguf")
    assert "\nfalcon-rw " not in text
    assert "choose transformers, gguf, onnx, single-file" in refused(
        capsys, "--exports-to", "pickle"
    )


def test_what_does_not_export_says_why() -> None:
    refusals = exports_of(shape_of_size("xs", vocabulary_size=300, family="mistral")).refusals
    assert set(refusals) == {"gguf", "single-file"}
    assert "sliding window" in refusals["gguf"]
    assert "llama and qwen3" in refusals["single-file"]
    ours = exports_of(shape_of_size("xs", vocabulary_size=300, family="gopher"))
    assert ours.transformers is None
    assert set(ours.refusals) == set(TARGETS)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_is_shown_with_its_switches(name: str) -> None:
    shown = show_family(name, "xs", vocabulary_size=300)
    text = family_text(shown, 80)
    assert max(map(len, text.splitlines())) <= 80
    flowing = " ".join(text.split())
    defaults = {one.name: one.default for one in switches(shown.config)}
    for field, value in FAMILIES[name].switches.items():
        differs = value != defaults[field]
        assert (f"{field} = " in flowing) == differs
        assert (field in {one.name for one in shown.switches}) == differs
    for switch in shown.switches:
        assert " ".join(switch.help.split()) in flowing


@pytest.mark.parametrize("name", TRUNK_FAMILIES)
def test_what_is_no_decoder_is_shown_too(name: str) -> None:
    shown = show_family(name, "xs", vocabulary_size=300)
    config = shape_of(name, vocabulary_size=300, end_of_text=0, size="xs")
    facts = json.loads(json.dumps(shown.values()))
    assert facts["parameters"] == config.parameters == _drawn(facts["diagram"])
    assert sum(facts["parts"].values()) == config.parameters
    text = family_text(shown, 80)
    assert max(map(len, text.splitlines())) <= 80
    assert "Fields of its own" in text
    assert ("nothing but Lilliput retrieves" in " ".join(text.split())) == (name == "retro")
    ElementTree.fromstring(svg_drawing(shown.diagram))


@pytest.mark.parametrize("name", FAMILIES)
def test_the_facts_of_a_family_are_json_whose_parts_add_up(name: str) -> None:
    facts = json.loads(json.dumps(show_family(name, "xs", vocabulary_size=300).values()))
    config = ModelConfig.from_dict(facts["config"])
    assert sum(facts["parts"].values()) == facts["parameters"] == config.parameters
    assert facts["active_parameters"] <= facts["parameters"]
    assert _drawn(facts["diagram"]) == facts["parameters"]
    assert {one["name"] for one in facts["switches"]} <= set(facts["config"])
    assert facts["family"] == name
    assert facts["size"] == "xs"


def _drawn(column: list[dict[str, Any]]) -> int:
    found = 0
    for node in column:
        if node["node"] == "box":
            found += node["parameters"]
        for inside in (node.get("inside", []), *node.get("branches", [])):
            found += _drawn(inside)
    return found


def test_show_prints_the_drawing_and_writes_it_as_svg(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "new" / "mixtral.svg"
    arguments = ["show", "mixtral", "--size", "xs", "--vocabulary", "300", "--svg", str(path)]
    text = said(capsys, *arguments)
    assert "4 × (layers 1 to 4)" in text
    assert "n_experts = 8 (default 0)" in text
    assert "arXiv 2101.03961" in text
    assert ElementTree.parse(path).getroot().tag.endswith("svg")
    facts = json.loads(said(capsys, *arguments, "--json"))
    assert facts["config"]["vocabulary_size"] == 300


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "mixtrl"], "did you mean mixtral, "),
        (["show", "GPT-2"], "gpt2"),
        (["show", "deepseek"], "deepseek-v2, deepseek-v3"),
        (["show", "zzzzzz"], f"lists all {len(all_families())}"),
        (["show", "mixtral", "--size", "xxl"], "choose xs, s, m, l, xl"),
        (["show", "mixtral", "--vocabulary", "0"], "--vocabulary"),
        (["show"], "Missing argument"),
        (["--colour"], "No such option"),
    ],
)
def test_a_mistake_is_answered_with_what_was_near(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in " ".join(refused(capsys, *arguments).split())


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys\nfrom lilliput.cli import main\n"
        "try:\n    main(['families', '--help'])\nexcept SystemExit:\n    pass\n"
        "assert not {'torch', 'numpy', 'rich'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Example:" in done.stdout


def test_the_command_lines_default_is_the_verbs() -> None:
    assert command_line._VOCABULARY == verb.VOCABULARY


def test_every_field_is_in_a_group_of_switches() -> None:
    groups = groups_of_switches()
    assert [one.name for found in groups.values() for one in found] == list(
        ModelConfig.__dataclass_fields__
    )
    assert "" not in groups
    assert set(groups) == set(verb._GROUPS.values())


def test_a_list_of_one_is_laid_out_too() -> None:
    [only] = list_families(["mixtral"], vocabulary_size=300)
    assert families_text([only], 80, 300).splitlines()[1].startswith("mixtral  2024")


@pytest.mark.parametrize(
    ("count", "text"),
    [(7, "7"), (999, "999"), (1000, "1.00k"), (12_345, "12.3k"), (999_499, "999k"),
     (999_600, "1.00M"), (9_996_000, "10.0M"), (1_234_567_890, "1.23B")],
)  # fmt: skip
def test_counts_have_three_digits(count: int, text: str) -> None:
    assert short_count(count) == text


def test_the_page_of_the_docs_is_current() -> None:
    page = PAGE.read_text(encoding="utf-8")
    drawing = PAGE.with_suffix(".svg").read_text(encoding="utf-8")
    how = "run `lilliput families page docs/families.md`, which writes both anew"
    assert filled_page(page) == page, f"docs/families.md is out of date: {how}"
    current = svg_drawing(show_family(*DRAWN).diagram) + "\n"
    assert drawing == current, f"docs/families.svg is out of date: {how}"


def test_a_page_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="the page lacks"):
        filled_page("# Families\n")
