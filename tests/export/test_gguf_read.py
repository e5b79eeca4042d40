"""GGUF files → folders: the header against the gguf package's reader; damaged files."""

import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy as np
import pytest
from gguf_folders import make_folder, rewritten, sentencepiece, tiny_tokenizer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lilliput.errors import UserError
from lilliput.export.gguf import check as gguf_check
from lilliput.export.gguf.file import open_gguf
from lilliput.export.gguf.read import read_gguf
from lilliput.export.gguf.write import write_gguf
from lilliput.generate.language_model import load
from lilliput.tokens import Tokenizer


@pytest.fixture(scope="module", autouse=True)
def without_llama_cpp() -> Iterator[None]:
    """These tests are the same whether xllamacpp is installed or not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gguf_check, "llama_cpp_parity", lambda *_: None)
        yield


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("file")
    folder = make_folder("llama-tied-biased", place / "llama", tiny_tokenizer())
    write_gguf(folder, place / "model.gguf", kind="q8_0")
    return place / "model.gguf"


def test_header_is_what_gguf_reads(file: Path) -> None:
    own, theirs = open_gguf(file), gguf.GGUFReader(file)
    expected = {key: field.contents() for key, field in theirs.fields.items()}
    assert own.metadata == {k: v for k, v in expected.items() if not k.startswith("GGUF.")}
    assert list(own.tensors) == [tensor.name for tensor in theirs.tensors]
    for tensor in theirs.tensors:
        assert own.tensors[tensor.name].type == tensor.tensor_type.name
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        np.testing.assert_array_equal(own.tensors[tensor.name].dequantised(), values)


def test_every_kind_of_value(tmp_path: Path) -> None:
    path = tmp_path / "values.gguf"
    writer = gguf.GGUFWriter(path, "none")
    values = {
        "uint8": 200, "int8": -3, "uint16": 60_000, "int16": -300, "uint32": 2**31, "int32": -5,
        "uint64": 2**40, "int64": -(2**40), "float32": 0.5, "float64": 0.1, "bool": True,
        "string": "naïve 😀",
    }  # fmt: skip
    for name, value in values.items():
        getattr(writer, f"add_{name}")(name, value)
    writer.add_array("strings", ["a", "", "ü"])
    writer.add_array("numbers", [1, -2, 3])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    found = open_gguf(path).metadata
    assert {name: found[name] for name in values} == values
    assert (found["strings"], found["numbers"]) == (["a", "", "ü"], [1, -2, 3])


@pytest.mark.parametrize(
    "name", ["Q4_1", "Q5_0", "Q5_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS",
             "IQ2_XXS", "IQ3_S", "MXFP4", "TQ1_0"]
)  # fmt: skip
def test_quantised_types(name: str, tmp_path: Path) -> None:
    kind = gguf.GGMLQuantizationType[name]
    block, block_bytes = gguf.GGML_QUANT_SIZES[kind]
    # Scales are float16 somewhere in a block: small bytes keep them finite.
    raw = np.random.default_rng(0).integers(0, 60, (6, 512 // block * block_bytes), dtype=np.uint8)
    writer = gguf.GGUFWriter(tmp_path / "one.gguf", "none")
    writer.add_tensor("matrix", raw, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    tensor = open_gguf(tmp_path / "one.gguf").tensors["matrix"]
    assert tensor.shape == (6, 512)
    np.testing.assert_array_equal(tensor.dequantised(), gguf.quants.dequantize(raw, kind))


def test_reads_what_others_leave_out(file: Path, tmp_path: Path) -> None:
    """Files of other writers lack what has a default in llama.cpp."""
    short = rewritten(
        file,
        tmp_path / "short.gguf",
        drop=(
            "llama.vocab_size",
            "llama.rope.freq_base",
            "llama.rope.dimension_count",
            "tokenizer.ggml.add_bos_token",
            "tokenizer.ggml.padding_token_id",
        ),
    )
    read_gguf(file, tmp_path / "whole")
    read_gguf(short, tmp_path / "short")
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "short")]
    assert weights[0] == weights[1]


def test_sentencepiece_from_its_scores(tmp_path: Path) -> None:
    """The merges found from scores encode as the tokenizer that was trained with its own."""
    folder = make_folder("llama", tmp_path / "llama", tiny_tokenizer(), vocab_size=340)
    file = write_gguf(folder, tmp_path / "model.gguf").path
    trained, metadata, drop = sentencepiece(340)
    read_gguf(rewritten(file, tmp_path / "sp.gguf", drop, **metadata), tmp_path / "again")
    tokenizer = Tokenizer.load(tmp_path / "again")
    first = metadata["tokenizer__ggml__tokens"].index("<0xFF>") + 1
    for text in ["Once upon a time, the cat didn't see 12 dogs", "naïve café dogs", "It's 2026!"]:
        assert tokenizer.encode(text) == [number + first for number in trained.encode(text).ids]
    # Bytes, where there is no token.
    assert tokenizer.decode(tokenizer.encode("the 🐈")) == " the 🐈"
    model = load(tmp_path / "again", "cpu")
    assert (model.beginning, model.end_tokens) == ((1,), (2,))


REFUSED = {
    "architecture": ({"llama__block_count": 3}, (), r"lacks model\.layers\.2\."),
    "heads": ({"llama__attention__head_count": 3}, (), "do not divide"),
    "heads of a layer": ({"llama__attention__head_count_kv": [1, 2]}, (), "of a wrong kind"),
    "width": ({"llama__embedding_length": 128}, (), "has shape"),
    "text": ({"llama__block_count": "two"}, (), "of a wrong kind"),
    "zero": ({"llama__block_count": 0}, (), "block_count is 0"),
    "tensor": ({}, ("blk.1.ffn_up.weight",), "mlp.up_proj.weight"),
    "kind of tokenizer": ({"tokenizer__ggml__model": "bert"}, (), "of the kind 'bert'"),
    "no scores": ({"tokenizer__ggml__model": "llama"}, (), r"lack tokenizer\.ggml\.scores"),
    "way to cut": ({"tokenizer__ggml__pre": "viking"}, (), "'viking', is not known"),
    "no way to cut": ({}, ("tokenizer.ggml.pre",), "None, is not known"),
    "tokens": ({"tokenizer__ggml__tokens": ["a", "a"]}, ("tokenizer.ggml.token_type",), "twice"),
    "types": ({"tokenizer__ggml__token_type": [1]}, (), "1 token types"),
    "merge": ({"tokenizer__ggml__merges": ["zzz q"]}, (), "its merge 'zzz q'"),
    "end": ({"tokenizer__ggml__eos_token_id": 9999}, (), "9999: no token"),
    "rope": ({"llama__rope__scaling__type": "longrope", "llama__rope__scaling__factor": 2.0}, (),
             "'longrope' are not known"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(case: str, file: Path, tmp_path: Path) -> None:
    changes, drop, reason = REFUSED[case]
    path = rewritten(file, tmp_path / "changed.gguf", drop=drop, **changes)
    with pytest.raises(UserError, match=reason) as caught:
        read_gguf(path, tmp_path / "folder")
    assert "changed.gguf" in str(caught.value)
    assert not (tmp_path / "folder" / "model.safetensors").exists()


def test_other_files(file: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_gguf(tmp_path / "absent.gguf", tmp_path / "folder")
    (tmp_path / "empty.gguf").touch()
    with pytest.raises(UserError, match="it is empty"):
        read_gguf(tmp_path / "empty.gguf", tmp_path / "folder")
    (tmp_path / "zip.gguf").write_bytes(b"PK\x03\x04" * 100)
    with pytest.raises(UserError, match="does not begin with GGUF"):
        read_gguf(tmp_path / "zip.gguf", tmp_path / "folder")
    (tmp_path / "old.gguf").write_bytes(b"GGUF" + struct.pack("<IQQ", 1, 0, 0))
    with pytest.raises(UserError, match="version 1"):
        read_gguf(tmp_path / "old.gguf", tmp_path / "folder")
    read_gguf(file, tmp_path / "folder")
    with pytest.raises(UserError, match="already holds a model"):
        read_gguf(file, tmp_path / "folder")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_damaged_files_are_named(file: Path, data: st.DataObject) -> None:
    """Cut anywhere, or with bytes changed in the header: a folder or a UserError, never else."""
    whole = file.read_bytes()
    header = whole.index(b"blk.1.ffn_down.bias") + 60
    if data.draw(st.booleans(), label="cut"):
        damaged = bytearray(whole[: data.draw(st.integers(0, len(whole) - 1))])
    else:
        damaged = bytearray(whole)
        # Long lists fill most of the header: half of the changes go to its start.
        last = data.draw(st.sampled_from([1500, header]))
        for place in data.draw(st.lists(st.integers(0, last), min_size=1, max_size=6)):
            damaged[place] = data.draw(st.sampled_from([0, 1, 8, 9, 127, 255]))
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "damaged.gguf"
        path.write_bytes(damaged)
        try:
            read_gguf(path, Path(place) / "folder")
        except UserError as error:
            assert "damaged.gguf" in str(error)
