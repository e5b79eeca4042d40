import json
import shutil
from pathlib import Path

import peft
import pytest
import torch
import transformers
from tiny_models import CONTEXT_LENGTH

import lilliput.generate
from lilliput.backends import with_backend
from lilliput.errors import UserError
from lilliput.generate import LanguageModel, load
from lilliput.tokens import train_tokenizer


def test_pieces_of_the_stream_make_the_text(endless: LanguageModel) -> None:
    for seed in range(5):
        settings = {"max_tokens": 40, "temperature": 1.5, "seed": seed, "stop": ["th", "e 😀"]}
        pieces = list(endless.generate("The", stream=True, **settings))  # type: ignore[call-overload]
        assert ["".join(pieces)] == endless.generate("The", **settings)  # type: ignore[call-overload]
        assert all(pieces)


def test_texts_end_before_a_stop_string(endless: LanguageModel) -> None:
    [whole] = endless.generate("The", max_tokens=40, seed=2)
    for length in range(1, 12):
        stop = whole[10 : 10 + length]
        [cut] = endless.generate("The", max_tokens=40, seed=2, stop=stop)
        assert cut == whole[: whole.index(stop)]
        assert (
            "".join(endless.generate("The", max_tokens=40, seed=2, stop=stop, stream=True)) == cut
        )


def test_lists_of_prompts_give_lists_of_lists(endless: LanguageModel) -> None:
    texts = endless.generate(["The", "Once upon"], n=2, seed=1, max_tokens=5)
    assert texts == [
        endless.generate(one, n=2, seed=1, max_tokens=5) for one in ("The", "Once upon")
    ]
    assert endless.generate([], max_tokens=5) == []


def test_settings_that_make_no_sense(model: LanguageModel) -> None:
    with pytest.raises(UserError, match="n is 0"):
        model.generate("The", n=0)
    with pytest.raises(UserError, match="stream"):
        model.generate("The", n=2, stream=True)  # type: ignore[call-overload]
    with pytest.raises(UserError, match="tokens long"):
        model.generate("mat " * CONTEXT_LENGTH, stream=True)  # before the first piece is asked for
    with pytest.raises(UserError, match="tokens long"):
        model.next_tokens("mat " * CONTEXT_LENGTH)


def test_logits_are_those_of_transformers(model: LanguageModel, folders: dict[str, Path]) -> None:
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folders["lilliput"]).eval()
    ids = torch.tensor([[0, 20, 30, 40], [0, 50, 60, 70]])
    with torch.no_grad():
        torch.testing.assert_close(model.logits(ids), theirs(ids).logits, rtol=1e-5, atol=1e-5)


def test_next_tokens_are_the_softmax_in_order(model: LanguageModel) -> None:
    ids = torch.tensor([model.prompt_ids("The cat")])
    probabilities = model.logits(ids)[0, -1].softmax(-1)
    table = model.next_tokens("The cat", top=300)
    assert [one.id for one in table] == probabilities.argsort(descending=True).tolist()
    for one in table:
        assert one.probability == pytest.approx(float(probabilities[one.id]), rel=1e-4)
        assert one.probability == pytest.approx(2.718281828459045**one.log_probability, rel=1e-5)
    assert table[:3] == model.next_tokens("The cat", top=3)


def test_tokens_are_shown_by_text_name_or_bytes(model: LanguageModel) -> None:
    tokenizer = model.tokenizer
    assert model.token_text(tokenizer.end_of_text) == "<|endoftext|>"
    assert model.token_text(tokenizer.bytes_of.index(b"\xf0")) == "\\xf0"
    for token in tokenizer.encode("Once upon a time"):
        assert model.token_text(token) in "Once upon a time"


def test_a_folders_own_conventions_are_followed(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "foreign"
    shutil.copytree(folders["lilliput"], folder)
    ours = load(folder, "cpu")
    assert (ours.beginning, ours.end_tokens) == ((0,), (0,))
    generation = {"bos_token_id": 7, "eos_token_id": [8, 9]}
    (folder / "generation_config.json").write_text(json.dumps(generation), encoding="utf-8")
    foreign = load(folder, "cpu")
    assert (foreign.beginning, foreign.end_tokens) == ((7,), (8, 9))
    settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    settings["add_bos_token"] = False
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    assert load(folder, "cpu").beginning == ()


def test_a_model_is_found_in_its_folder_or_its_run(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    with pytest.raises(UserError, match="lilliput resume"):
        load(run)
    shutil.copytree(folders["gpt2"], run / "model")
    assert load(run).folder == run / "model"
    assert load(str(run / "model")).decoder.config.family == "gpt2"


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    for name, reason in (
        ("absent", "no such folder"),
        ("file", "a file"),
        ("empty", "config.json"),
    ):
        with pytest.raises(UserError, match=reason):
            lilliput.generate.load(tmp_path / name)


@pytest.mark.filterwarnings("ignore")
def test_an_adapter_is_named_behind_a_plus(folders: dict[str, Path], tmp_path: Path) -> None:
    base, adapter = tmp_path / "c++" / "base", tmp_path / "adapter"
    shutil.copytree(folders["lilliput"], base)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(base)
    config = peft.LoraConfig(task_type="CAUSAL_LM", target_modules="all-linear", r=2)
    theirs = peft.get_peft_model(theirs, config).eval()
    for name, parameter in theirs.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    theirs.save_pretrained(adapter)
    ids = torch.tensor([load(base, "cpu").prompt_ids("Once upon a time")])
    with torch.no_grad():
        expected = theirs(ids).logits
    adapted = load(f"{base}+{adapter}", "cpu")
    assert torch.allclose(adapted.logits(ids), expected, atol=1e-3, rtol=1e-5)
    greedy = {"temperature": 0.0, "max_tokens": 12}
    assert adapted.generate("Once", **greedy) != load(base, "cpu").generate("Once", **greedy)
    with pytest.raises(UserError, match="--backend onnxruntime cannot hold this model"):
        with_backend(adapted, "onnxruntime", rows=1)


def test_a_tokenizer_of_another_model_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    shutil.copytree(folders["lilliput"], folder)
    words = [f"{letter}ow {letter}ing {letter}ast {letter}est" for letter in "bcdfghlmnprst"]
    train_tokenizer([" ".join(words)] * 9, vocabulary_size=310).save(folder)
    with pytest.raises(UserError, match="do not belong together"):
        load(folder)
