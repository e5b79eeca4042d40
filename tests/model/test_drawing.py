"""Drawings of models: nothing is missing from them, the numbers add up, both forms are sound."""

import xml.etree.ElementTree as ElementTree
from collections import Counter
from functools import cache
from itertools import pairwise

import pytest

from lilliput.model import FAMILIES, ModelConfig, shape_of_size
from lilliput.model.counting import count_parts
from lilliput.model.decoder import Decoder
from lilliput.model.drawing import active_parameters, model_diagram
from lilliput.report.diagram import Beside, Box, Column, Diagram, Repeat, Residual, boxes, total
from lilliput.report.diagram_svg import svg_drawing, text_width, wrapped
from lilliput.report.diagram_text import text_drawing

SVG = "{http://www.w3.org/2000/svg}"
# Combinations that no family has.
MIXED = {
    "side by side, with shared experts": {
        "parallel": "one_norm", "n_experts": 4, "n_shared_experts": 2, "residual_scale": 0.5,
        "embedding_norm": True,
    },
    "mixtures in every second layer": {
        "n_experts": 4, "experts_every": 2, "layer_pattern": "GLCN", "window": 16,
        "attention_sinks": True, "n_future_tokens": 2, "attention_temperature": 0.1,
    },
    "relative, with sinks": {"positions": "relative", "attention_sinks": True},
    "sinusoidal, untied, int4": {
        "positions": "sinusoidal", "tied": False, "head_bias": True, "linear": "int4",
    },
    "layers without positions": {"layer_pattern": "N", "qk_norm": "unit", "shared_kv_layers": 2},
    "two norms beside a mixture": {
        "parallel": "two_norms", "n_experts": 4, "norm": "layernorm", "rope_scaling": "yarn",
        "rope_factor": 4.0, "rope_original_context": 64,
    },
    "one layer": {"n_layers": 1},
}  # fmt: skip


@cache
def configuration(name: str) -> ModelConfig:
    chosen = {"family": name} if name in FAMILIES else {"family": "llama", **MIXED[name]}
    return shape_of_size("xs", vocabulary_size=300, **chosen)


@cache
def drawn(name: str) -> Diagram:
    return model_diagram(configuration(name), name)


def every_model() -> pytest.MarkDecorator:
    return pytest.mark.parametrize("name", [*FAMILIES, *MIXED])


def test_all_families_are_drawn() -> None:
    assert len(FAMILIES) >= 58


@every_model()
def test_the_parts_of_a_drawing_are_those_of_the_model(name: str) -> None:
    config, diagram = configuration(name), drawn(name)
    for column, groups in (
        (diagram.column, {"embedding", "norm", "block"}),
        (diagram.training_only, {"future"}),
    ):
        found: Counter[str] = Counter()
        for box in boxes(column):
            for weights in box.weights:
                found[weights.name] += weights.total
        counted = count_parts(config).items()
        assert found == {part.name: n for part, n in counted if part.group in groups}
    assert total(diagram.column) == config.parameters
    assert total(diagram.column) + total(diagram.training_only) == sum(count_parts(config).values())
    assert f"{config.parameters:,} parameters" in diagram.facts[0]


@every_model()
def test_counting_one_layer_of_each_kind_is_counting_all(name: str) -> None:
    config = configuration(name)
    whole = Decoder(config).named_parameters()
    counted = dict.fromkeys((True, False), 0)
    for part, parameter in whole:
        counted[part.startswith("future.")] += parameter.numel()
    assert config.parameters == counted[False]
    future = sum(n for part, n in count_parts(config).items() if part.group == "future")
    assert future == counted[True]
    parts = {part.name: n for part, n in count_parts(config).items()}
    used = config.experts_per_token / config.n_experts if config.n_experts else 1
    idle = parts.get("feed_forward.experts", 0) * (1 - used)
    assert active_parameters(config) == config.parameters - idle


@every_model()
def test_repeats_hold_every_layer_once(name: str) -> None:
    repeats = [node for node in drawn(name).column if isinstance(node, Repeat)]
    blocks = [
        node.times * len([1 for box in boxes(node.inside) if box.kind == "attention"])
        for node in repeats
    ]
    assert sum(blocks) == configuration(name).n_layers
    for node in repeats:
        assert all(len(w.counts) == node.times for box in boxes(node.inside) for w in box.weights)


@every_model()
@pytest.mark.parametrize("width", [30, 80, 101])
def test_the_text_drawing_keeps_to_its_width(name: str, width: int) -> None:
    text = text_drawing(drawn(name), width)
    assert max(map(len, text.splitlines())) <= max(width, 60)
    assert text.count("┏") == text.count("┓") == text.count("┗") == text.count("┛")
    for box in boxes(drawn(name).column):
        words = box.size.split() if width < 80 else [*box.title.split(), *box.size.split()]
        assert set(words) <= set(text.split())


@every_model()
@pytest.mark.parametrize("width", [60, 79, 80])
def test_lines_of_a_text_drawing_meet(name: str, width: int) -> None:
    lines = text_drawing(drawn(name), width).splitlines()
    first = next(index for index, line in enumerate(lines) if "┌" in line)
    rows = [line.ljust(width) for line in lines[first:]]
    for above, below in pairwise(rows):
        for one, other in zip(above, below, strict=True):
            if one in "┌┐├┬┼│⊕" and "┏" not in below:  # a frame's label may hide where it enters
                assert other in "└┘├┴┼│▼⊕┯┬", f"{above}\n{below}"
            if one in "┏┓┃":
                assert other in "┃┗┛", f"{above}\n{below}"


def test_a_console_without_box_characters_gets_ascii() -> None:
    for encoding in ("ascii", "cp1252", None):
        text_drawing(drawn("deepseek-v3"), 80, encoding=encoding).encode("ascii")
    assert "┏" in text_drawing(drawn("deepseek-v3"), 80, encoding="utf-8")


def ends(text: ElementTree.Element) -> tuple[float, float]:
    """Where a text begins and ends, by an upper estimate."""
    x, size = float(text.attrib["x"]), text_width("".join(text.itertext()), text.attrib["class"])
    left = {"middle": x - size / 2, "end": x - size}.get(text.attrib.get("text-anchor", ""), x)
    return left, left + size


def rectangles(root: ElementTree.Element) -> list[tuple[float, ...]]:
    """Place and size of every box."""
    return [
        tuple(float(one.attrib[key]) for key in ("x", "y", "width", "height"))
        for one in root.findall(f".//{SVG}rect[@class='box']")
    ]


@every_model()
def test_the_svg_is_xml_that_fetches_nothing_and_fits(name: str) -> None:
    markup = svg_drawing(drawn(name))
    root = ElementTree.fromstring(markup)
    assert root.tag == f"{SVG}svg"
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    texts = root.findall(f".//{SVG}text")
    written = " ".join("".join(text.itertext()) for text in texts)
    for box in boxes(drawn(name).column):
        assert box.title in written
        assert box.size in written
    for text in texts:
        assert 0 < float(text.attrib["y"]) < height
        left, right = ends(text)
        assert left >= 10
        assert right <= width - 10
    for x, y, box_width, box_height in rectangles(root):
        for text in texts:
            if y < float(text.attrib["y"]) < y + box_height and x <= ends(text)[0] < x + box_width:
                assert ends(text)[1] <= x + box_width - 4, "".join(text.itertext())
    without_name = markup.replace("http://www.w3.org/2000/svg", "")
    for forbidden in ("http", "url(", "@import", "<script", "href", "<image", "foreignObject"):
        assert forbidden not in without_name
    assert "prefers-color-scheme:dark" in markup


@every_model()
def test_boxes_of_an_svg_do_not_overlap(name: str) -> None:
    root = ElementTree.fromstring(svg_drawing(drawn(name)))
    found = rectangles(root)
    assert len(found) == len(list(boxes(drawn(name).column + drawn(name).training_only)))
    for index, (x, y, width, height) in enumerate(found):
        for other_x, other_y, other_width, other_height in found[index + 1 :]:
            apart = x + width <= other_x or other_x + other_width <= x
            assert apart or y + height <= other_y or other_y + other_height <= y


def test_titles_are_escaped_and_words_stay_whole() -> None:
    diagram = Diagram("a < b & c", (), "in", (Box("x > y", "norm"),), "out")
    assert ElementTree.fromstring(svg_drawing(diagram)).find(f"{SVG}title").text == "a < b & c"
    assert wrapped("one two three", 1) == ["one", "two", "three"]
    assert wrapped("128 → 64 → 128", 1) == ["128 → 64 → 128"]


def _shape(column: Column) -> list[object]:
    """The skeleton of a column: titles, and lists for what goes around or beside."""
    found: list[object] = []
    for node in column:
        match node:
            case Box():
                found.append(node.title)
            case Residual() | Repeat():
                found.append([type(node).__name__, *_shape(node.inside)])
            case Beside():
                found.append(["Beside", *(_shape(branch) for branch in node.branches)])
    return found


@pytest.mark.parametrize(
    ("family", "block"),
    [
        ("llama1", [
            ["Residual", "RMSNorm", "Multi-head attention"],
            ["Residual", "RMSNorm", "Feed-forward"],
        ]),
        ("gpt1", [
            ["Residual", "Multi-head attention"], "LayerNorm",
            ["Residual", "Feed-forward"], "LayerNorm",
        ]),
        ("gemma2", [
            ["Residual", "RMSNorm", "Grouped-query attention", "RMSNorm"],
            ["Residual", "RMSNorm", "Feed-forward", "RMSNorm"],
        ]),
        ("olmo2", [
            ["Residual", "Multi-head attention", "RMSNorm"],
            ["Residual", "Feed-forward", "RMSNorm"],
        ]),
        ("gpt-j", [
            ["Residual", "LayerNorm", ["Beside", ["Multi-head attention"], ["Feed-forward"]]],
        ]),
        ("falcon-40b", [
            ["Residual", ["Beside", ["LayerNorm", "Multi-query attention"],
                          ["LayerNorm", "Feed-forward"]]],
        ]),
        ("mixtral", [
            ["Residual", "RMSNorm", "Multi-query attention"],
            ["Residual", "RMSNorm", "Router", "8 experts"],
        ]),
        ("llama4", [
            ["Residual", "RMSNorm", "Multi-query attention"],
            ["Residual", "RMSNorm", ["Beside", ["Router", "8 experts"], ["1 shared expert"]]],
        ]),
        ("side by side, with shared experts", [
            ["Residual", "RMSNorm", ["Beside", ["Grouped-query attention"],
                                     ["Router", "4 experts"], ["2 shared experts"]]],
        ]),
    ],
)  # fmt: skip
def test_norms_and_branches_stand_where_the_decoder_has_them(
    family: str, block: list[object]
) -> None:
    [repeat] = [node for node in drawn(family).column if isinstance(node, Repeat)]
    assert repeat.times == 4
    assert _shape(repeat.inside) == block


def test_layers_that_differ_are_drawn_apart() -> None:
    labels = {
        name: [node.label.split(":")[0] for node in drawn(name).column if isinstance(node, Repeat)]
        for name in ("deepseek-v3", "apple", "mixtures in every second layer", "one layer")
    }
    assert labels == {
        "deepseek-v3": ["layer 1", "3 × (layers 2 to 4)"],
        "apple": ["3 × (layers 1 to 3)", "layer 4"],
        "mixtures in every second layer": ["2 × 2 layers (1 to 4)"],
        "one layer": ["layer 1"],
    }


@pytest.mark.parametrize(
    ("name", "sentences"),
    [
        ("gemma3", ["sees the last 128 tokens", "local layers: base 10,000",
                    "norm of each query and key head"]),
        ("gemma2", ["layers LGLG", "L sees the last 128 tokens", "G sees all tokens before",
                    "scores capped at ±50", "logits capped softly at ±30", "times 8"]),
        ("gpt-oss", ["a sink: a learned score for nothing, each head", "biased logits"]),
        ("bloom", ["ALiBi: a penalty by distance, a slope each head"]),
        ("deepseek-v3", ["from the best 2 of 4 groups, by their two best",
                         "keys and values from a latent of 16", "weights times 2.5"]),
        ("llama3.1", ["stretched by 8, llama3 (from 64 tokens)"]),
        ("bitnet", ["ternary matrices, 8-bit activations", "a norm before the output matrix"]),
        ("gpt-j", ["4 of a head's 16 dimensions turn", "with a bias"]),
        ("openelm", ["SwiGLU, 64 → 32 to 256 → 64"]),
        ("apple", ["keys and values: the layer's before it"]),
        ("starcoder", ["4 query heads on 1 key/value head, 16 wide"]),
        ("layers without positions", ["sees all tokens before, without positions"]),
    ],
)  # fmt: skip
def test_boxes_say_what_is_special(name: str, sentences: list[str]) -> None:
    said = {fact for box in boxes(drawn(name).column) for fact in box.facts}
    assert set(sentences) <= said
