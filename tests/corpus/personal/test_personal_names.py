"""Names by the user's lists and by a local model."""

import json
from pathlib import Path

import pyarrow as pa
import pytest

from lilliput.corpus.personal import PersonalData, TokenClassifier, name_lists
from lilliput.errors import UserError


@pytest.fixture
def lists(tmp_path: Path) -> tuple[str, ...]:
    (tmp_path / "given.txt").write_text("# given names\nAda\nJosé\n", encoding="utf-8")
    (tmp_path / "family.txt").write_text("Lovelace\nGarcía\n", encoding="utf-8")
    (tmp_path / "staff.txt").write_text("Grace Brewster Hopper\n", encoding="utf-8")
    return tuple(str(tmp_path / name) for name in ("given.txt", "family.txt", "staff.txt"))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Yesterday Ada Lovelace wrote.", ["Ada Lovelace"]),
        ("José M. García and Dr Ada spoke.", ["José M. García", "Ada"]),
        ("Ask Grace Brewster Hopper.", ["Grace Brewster Hopper"]),
        ("Mrs Lovelace called.", ["Lovelace"]),
        ("Ada is a language; Lovelace a film.", []),
        ("ada lovelace", []),
    ],
)
def test_lists(lists: tuple[str, ...], text: str, names: list[str]) -> None:
    (findings,) = name_lists(lists)([text])
    assert [text[one.start : one.end] for one in findings] == names


def test_the_stage_replaces_names_of_lists(lists: tuple[str, ...]) -> None:
    batch = pa.RecordBatch.from_pydict(
        {"id": ["0"], "text": ["Ada Lovelace, ada@acme.org"], "source": ["s"]}
    )
    assert PersonalData(names=lists)(batch).batch.column("text").to_pylist() == ["[NAME], [EMAIL]"]


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot read .*none\.txt"):
        name_lists((str(tmp_path / "none.txt"),))
    with pytest.raises(UserError, match="not a token-classification folder"):
        TokenClassifier(str(tmp_path))(["x"])


def test_a_local_model(tmp_path: Path) -> None:
    """A one-layer BERT whose classifier reads the embedding: it calls one word a name."""
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = ["[UNK]", "[CLS]", "[SEP]", "ada", "lovelace", "street", "the", "9"]
    tokenizer = Tokenizer(models.WordLevel({w: n for n, w in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    labels = {0: "O", 1: "B-PER", 2: "I-PER", 3: "B-ADDRESS", 4: "I-ADDRESS"}
    label_of = {"ada": 1, "lovelace": 2, "9": 3, "street": 4}
    config = transformers.BertConfig(
        vocab_size=len(words), hidden_size=8, num_hidden_layers=0, num_attention_heads=1,
        intermediate_size=8, id2label=labels, label2id={v: k for k, v in labels.items()},
    )  # fmt: skip
    model = transformers.BertForTokenClassification(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.bert.embeddings.LayerNorm.weight.fill_(1.0)
        for number, word in enumerate(words):
            model.bert.embeddings.word_embeddings.weight[number, label_of.get(word, 0)] = 1.0
        for label in labels:
            model.classifier.weight[label, label] = 1.0
    model.save_pretrained(tmp_path)
    assert (
        json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))["id2label"]["1"]
        == "B-PER"
    )
    text = "the ada lovelace 9 street the ada"
    (findings,) = TokenClassifier(str(tmp_path))([text])
    assert [(text[one.start : one.end], one.kind) for one in findings] == [
        ("ada lovelace", "name"),
        ("9 street", "address"),
        ("ada", "name"),
    ]
    batch = pa.RecordBatch.from_pydict({"id": ["0"], "text": [text], "source": ["s"]})
    after = PersonalData(recogniser=str(tmp_path))(batch).batch.column("text").to_pylist()
    assert after == ["the [NAME] [ADDRESS] the [NAME]"]
