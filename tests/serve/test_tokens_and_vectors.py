"""Embeddings, tokens, the list of models, health and metrics."""

import math
import re

import openai
import pytest
import torch
from conftest import CONTEXT_LENGTH, Running, running

from lilliput.generate import LanguageModel, Sampling
from lilliput.model import build, initialise, shape_of
from lilliput.tokens import Tokenizer


def test_an_embedding_is_the_mean_of_the_hidden_states(
    client: openai.OpenAI, model: LanguageModel
) -> None:
    texts = ["The cat sat on the mat.", "naïve 😀", "a"]
    for given in (texts, [model.tokenizer.encode(text) for text in texts]):
        for form in ("float", openai.omit):  # the client asks for base64 and decodes it
            answer = client.embeddings.create(model="tiny", input=given, encoding_format=form)  # type: ignore[arg-type]
            for text, found in zip(texts, answer.data, strict=True):
                ids = [*model.beginning, *model.tokenizer.encode(text)]
                hidden = model.decoder.hidden(torch.tensor([ids]))[0, len(model.beginning) :]
                expected = torch.nn.functional.normalize(hidden.mean(dim=0), dim=0)
                assert found.embedding == pytest.approx(expected.tolist(), abs=1e-5)
                assert math.fsum(x * x for x in found.embedding) == pytest.approx(1, abs=1e-5)
    assert answer.usage.prompt_tokens == sum(
        len(model.beginning) + len(model.tokenizer.encode(text)) for text in texts
    )
    [alone] = client.embeddings.create(model="tiny", input=texts[0]).data
    assert alone.embedding == pytest.approx(
        client.embeddings.create(model="tiny", input=texts).data[0].embedding, abs=1e-5
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"input": ""}, "empty"),
        ({"input": []}, "empty"),
        ({"input": ["ok", ""]}, "empty"),
        ({"input": "The cat " * CONTEXT_LENGTH}, "context"),
        ({"input": [99999]}, "token ids"),
        ({"dimensions": 3}, "32"),
        ({"encoding_format": "int8"}, "encoding_format"),
    ],
)
def test_what_has_no_vector(server: Running, change: dict[str, object], words: str) -> None:
    with pytest.raises(openai.BadRequestError, match=words):
        server.client().post(
            "/embeddings", body={"model": "tiny", "input": "x", **change}, cast_to=object
        )


def test_tokens_of_a_text_and_back(server: Running, model: LanguageModel) -> None:
    http, text = server.http(), "The naïve cat 😀 <|end|>"
    body = {"model": "tiny", "prompt": text}
    found = http.post("/tokenize", json=body).json()
    plain = model.tokenizer.encode(text, special=True)
    assert found["tokens"] == [*model.beginning, *plain]
    assert found["count"] == len(found["tokens"]) == len(found["token_strs"])
    assert found["max_model_len"] == CONTEXT_LENGTH
    bare = http.post("/tokenize", json={**body, "add_special_tokens": False}).json()["tokens"]
    assert bare == plain
    back = http.post("/detokenize", json={"model": "tiny", "tokens": bare}).json()
    assert back == {"prompt": text}
    spelled = {**body, "add_special_tokens": False, "special": False}
    assert http.post("/tokenize", json=spelled).json()["tokens"] == model.tokenizer.encode(text)
    assert http.post("/detokenize", json={"model": "tiny", "tokens": [4096]}).status_code == 400
    assert "name one of" in http.post("/tokenize", json={"prompt": "x"}).json()["error"]["message"]


def test_what_clients_that_make_prompts_need(server: Running, model: LanguageModel) -> None:
    """lm-evaluation-harness finds its tokenizer by these fields."""
    info = server.http().get("/tokenizer_info", params={"model": "tiny"}).json()
    assert (info["bos_token"], info["eos_token"]) == ("<|endoftext|>", "<|endoftext|>")
    assert "messages" in info["chat_template"]
    eos = {"model": "tiny", "prompt": info["eos_token"], "add_special_tokens": False}
    assert server.http().post("/tokenize", json=eos).json()["tokens"] == [
        model.tokenizer.end_of_text
    ]


def test_the_models_on_offer(client: openai.OpenAI, server: Running) -> None:
    cards = client.models.list().data
    assert [card.id for card in cards] == ["tiny", "other", "endless"]
    assert client.models.retrieve("other").id == "other"
    assert server.http().get("/v1/models").json()["data"][0]["max_model_len"] == CONTEXT_LENGTH
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("a/b")


def test_metrics_are_prometheus_text_and_count(server: Running, client: openai.OpenAI) -> None:
    def value(series: str) -> float:
        text = server.http().get("/metrics").text
        found = re.search(rf"^{re.escape(series)} (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    written = 'lilliput_completion_tokens_total{model="endless"}'
    requests = 'lilliput_requests_total{route="/v1/completions",status="200"}'
    first = 'lilliput_time_to_first_token_seconds_count{model="endless"}'
    before = value(written), value(requests), value(first)
    client.completions.create(model="endless", prompt="x", max_tokens=7, n=2)
    assert (value(written), value(requests), value(first)) == (
        before[0] + 14,
        before[1] + 1,
        before[2] + 2,
    )
    assert value('lilliput_rows_in_use{model="endless"}') == 0
    answer = server.http().get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    line = re.compile(r'(# (HELP|TYPE) \w+ .+|\w+(\{(\w+="[^"\n]*",?)*\})? (\d+(\.\d+)?(e-?\d+)?))')
    assert all(line.fullmatch(one) for one in answer.text.splitlines())


def test_paths_that_clients_make_up_make_no_series(server: Running) -> None:
    for path in ("/made-up-1", "/v1/made-up-2"):
        assert server.http().get(path).json()["error"]["type"] == "invalid_request_error"
    assert server.http().delete("/v1/models").status_code == 405
    assert "made-up" not in server.http().get("/metrics").text


@pytest.mark.parametrize("family", ["mamba", "t5"])
def test_other_trunks_are_served_too(family: str, tokenizer: Tokenizer) -> None:
    config = shape_of(
        family,
        vocabulary_size=tokenizer.vocabulary_size,
        end_of_text=tokenizer.end_of_text,
        depth=1,
    )
    trunk = build(config)
    initialise(trunk, 1)
    found = LanguageModel(trunk.eval().requires_grad_(False), tokenizer)
    with running({"it": found}) as server:
        client = server.client()
        written = client.completions.create(
            model="it", prompt=["The cat", "a"], max_tokens=5, temperature=0
        )
        [[expected], _] = found.complete(
            [found.prompt_ids("The cat"), found.prompt_ids("a")],
            Sampling(max_tokens=5, temperature=0),
        )
        assert written.choices[0].text == expected.text
        together = client.embeddings.create(model="it", input=["The cat sat.", "a"]).data
        [alone] = client.embeddings.create(model="it", input="a").data
        assert together[1].embedding == pytest.approx(alone.embedding, abs=1e-5)
        question = {"model": "it", "prompt": "The cat", "max_tokens": 0, "logprobs": 0}
        if family == "t5":  # its prompt is read, not predicted
            with pytest.raises(openai.BadRequestError, match="reads its prompt"):
                client.completions.create(**question, echo=True)  # type: ignore[call-overload]
        else:
            told = client.completions.create(**question, echo=True)  # type: ignore[call-overload]
            assert math.fsum(told.choices[0].logprobs.token_logprobs) == pytest.approx(
                found.log_probability("The cat"), abs=1e-3
            )
