"""`/v1/completions` by the official client, against the model itself."""

import asyncio
import math

import openai
import pytest
import torch
from conftest import CONTEXT_LENGTH, Running

from lilliput.generate import LanguageModel, Sampling


def test_a_completion_is_what_the_model_writes(client: openai.OpenAI, model: LanguageModel) -> None:
    answer = client.completions.create(
        model="tiny", prompt="Once upon", max_tokens=20, seed=3, temperature=0.7, n=3
    )
    expected = model.complete(
        [model.prompt_ids("Once upon")],
        Sampling(max_tokens=20, seed=3, temperature=0.7),
        n=3,
    )[0]
    assert [one.text for one in answer.choices] == [one.text for one in expected]
    finishes = {"end": "stop", "stop": "stop", "length": "length", "context": "length"}
    assert [one.finish_reason for one in answer.choices] == [
        finishes[one.finish] for one in expected
    ]
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == len(model.prompt_ids("Once upon"))
    assert answer.usage.completion_tokens == sum(len(one.ids) for one in expected)


def test_prompts_of_every_shape(client: openai.OpenAI, model: LanguageModel) -> None:
    texts = ["The cat", "The dog saw"]
    ids = [model.tokenizer.encode(text) for text in texts]
    begun = [[*model.beginning, *one] for one in ids]
    answers = [
        client.completions.create(model="tiny", prompt=prompt, max_tokens=6, temperature=0)
        for prompt in (texts, ids, begun)
    ]
    written = [[(one.index, one.text) for one in answer.choices] for answer in answers]
    assert written[0] == written[1] == written[2]
    alone = client.completions.create(model="tiny", prompt=ids[1], max_tokens=6, temperature=0)
    assert alone.choices[0].text == written[0][1][1]
    bare = client.completions.create(
        model="tiny",
        prompt=ids[1],
        max_tokens=6,
        temperature=0,
        extra_body={"add_special_tokens": False},
    )
    [[expected]] = model.complete([ids[1]], Sampling(max_tokens=6, temperature=0))
    assert bare.choices[0].text == expected.text


@pytest.mark.parametrize("stop", [None, "e", ["zz", " "]])
def test_a_stream_is_the_answer_in_pieces(
    client: openai.OpenAI, stop: str | list[str] | None
) -> None:
    question = {
        "model": "endless",
        "prompt": ["naïve 😀", "The"],
        "max_tokens": 40,
        "seed": 5,
        "n": 2,
        "stop": stop,
        "logprobs": 1,
        "echo": True,
    }
    whole = client.completions.create(**question)  # type: ignore[call-overload]
    texts, finishes, tokens = [""] * 4, [None] * 4, [[] for _ in range(4)]  # type: ignore[var-annotated]
    usage = None
    for chunk in client.completions.create(
        **question, stream=True, stream_options={"include_usage": True}
    ):  # type: ignore[call-overload]
        usage = chunk.usage
        for choice in chunk.choices:
            assert usage is None
            assert finishes[choice.index] is None
            texts[choice.index] += choice.text
            finishes[choice.index] = choice.finish_reason
            if choice.logprobs:
                places = choice.logprobs.text_offset
                tokens[choice.index] += zip(places, choice.logprobs.tokens, strict=True)
    assert texts == [one.text for one in whole.choices]
    assert finishes == [one.finish_reason for one in whole.choices]
    assert tokens == [
        list(zip(one.logprobs.text_offset, one.logprobs.tokens, strict=True))
        for one in whole.choices
    ]
    assert usage == whole.usage
    if stop is not None:
        assert "stop" in finishes


def test_log_probabilities_of_what_is_written(client: openai.OpenAI, model: LanguageModel) -> None:
    answer = client.completions.create(
        model="endless", prompt="The cat", max_tokens=12, logprobs=3, temperature=0
    )
    told = answer.choices[0].logprobs
    assert told is not None
    [[written]] = LanguageModel(model.decoder, model.tokenizer, end_tokens=()).complete(
        [model.prompt_ids("The cat")], Sampling(max_tokens=12, temperature=0)
    )
    ids = [*model.prompt_ids("The cat"), *written.ids]
    expected = model.logits(torch.tensor([ids]))[0].log_softmax(-1)
    for place, token in enumerate(written.ids, len(ids) - len(written.ids)):
        number = place - len(ids) + len(written.ids)
        score = float(expected[place - 1, token])
        assert told.token_logprobs[number] == pytest.approx(score, abs=1e-4)
        top = told.top_logprobs[number]
        assert max(top.values()) == told.token_logprobs[number]  # greedy: itself the likeliest
        assert sorted(top.values())[-3:] == pytest.approx(
            sorted(expected[place - 1].topk(3).values.tolist()), abs=1e-4
        )


def test_lm_evaluation_harness_scores_as_the_model_does(
    server: Running, client: openai.OpenAI, model: LanguageModel
) -> None:
    """The request and the reading of lm-eval 0.4's `local-completions`."""
    pairs = [("The cat", " sat on the mat."), ("Once upon", " a time, the dog"), ("naïve", " 😀")]
    contexts = [model.tokenizer.encode(context) for context, _ in pairs]
    both = [model.tokenizer.encode(context + more) for context, more in pairs]
    lengths = [
        len(context) if ids[: len(context)] == context else None
        for context, ids in zip(contexts, both, strict=True)
    ]
    assert None not in lengths, "choose pairs whose tokens do not span the boundary"
    answer = server.http().post(
        "/v1/completions",
        json={
            "model": "tiny",
            "prompt": both,
            "temperature": 0,
            "max_tokens": 1,
            "logprobs": 1,
            "seed": 1234,
            "echo": True,
        },
    )
    assert answer.status_code == 200
    for choice, length, (context, more) in zip(
        answer.json()["choices"], lengths, pairs, strict=True
    ):
        scores = choice["logprobs"]["token_logprobs"][length:-1]
        tops = choice["logprobs"]["top_logprobs"][length:-1]
        assert sum(scores) == pytest.approx(model.score(context, [more])[0], abs=1e-3)
        ids = model.tokenizer.encode(context + more)
        logits = model.logits(torch.tensor([[*model.beginning, *ids]]))[0]
        greedy = logits.argmax(-1)[length:-1].tolist() == ids[length:]  # type: ignore[misc]
        assert all(score == max(top.values()) for score, top in zip(scores, tops, strict=True)) == (
            greedy
        )


def test_a_prompt_may_fill_the_context_when_it_is_scored(
    client: openai.OpenAI, model: LanguageModel
) -> None:
    ids = model.tokenizer.encode("The cat sat. " * 200)[: CONTEXT_LENGTH - 1]
    answer = client.completions.create(
        model="tiny", prompt=ids, max_tokens=1, logprobs=1, echo=True, temperature=0
    )
    told = answer.choices[0].logprobs
    assert told is not None and len(told.token_logprobs) >= CONTEXT_LENGTH - 1
    expected = float(model.log_probability(model.tokenizer.decode(ids)))
    assert sum(told.token_logprobs[: len(ids)]) == pytest.approx(expected, rel=1e-4)


def test_echo_alone_gives_back_the_prompt_and_its_scores(
    client: openai.OpenAI, model: LanguageModel
) -> None:
    text = "The naïve café 😀."
    answer = client.completions.create(
        model="tiny", prompt=text, max_tokens=0, logprobs=0, echo=True
    )
    choice = answer.choices[0]
    assert (choice.text, choice.finish_reason) == (text, "length")
    assert choice.logprobs is not None
    assert sum(choice.logprobs.token_logprobs) == pytest.approx(
        model.log_probability(text), abs=1e-3
    )
    spans = zip(choice.logprobs.text_offset, choice.logprobs.tokens, strict=True)
    for offset, token in spans:
        if not token.startswith("bytes:"):
            assert text[offset : offset + len(token)] == token
    ids = [*model.beginning, *model.tokenizer.encode(text)]
    begun = client.completions.create(
        model="tiny", prompt=ids, max_tokens=0, logprobs=0, echo=True
    ).choices[0]
    assert begun.logprobs is not None
    assert begun.logprobs.token_logprobs[0] is None
    assert begun.logprobs.token_logprobs[1:] == choice.logprobs.token_logprobs


def test_best_of_keeps_the_most_probable(client: openai.OpenAI) -> None:
    question = {"model": "endless", "prompt": "The", "max_tokens": 8, "seed": 1, "logprobs": 0}
    every = client.completions.create(**question, n=6)  # type: ignore[call-overload]
    best = client.completions.create(**question, best_of=6, n=2)  # type: ignore[call-overload]
    ranked = sorted(every.choices, key=lambda one: -math.fsum(one.logprobs.token_logprobs))
    assert [one.text for one in best.choices] == [one.text for one in ranked[:2]]
    assert best.usage.completion_tokens == every.usage.completion_tokens


def test_biases_and_penalties_reach_the_engine(client: openai.OpenAI, model: LanguageModel) -> None:
    wanted = model.tokenizer.encode(" the")[0]
    answer = client.completions.create(
        model="endless", prompt="a", max_tokens=5, temperature=0, logit_bias={str(wanted): 100}
    )
    assert answer.choices[0].text == model.tokenizer.decode([wanted]) * 5
    varied = client.completions.create(
        model="endless",
        prompt="a",
        max_tokens=30,
        temperature=0,
        logprobs=0,
        presence_penalty=2,
        frequency_penalty=2,
        extra_body={"repetition_penalty": 50.0},
    )
    assert varied.choices[0].logprobs is not None
    tokens = varied.choices[0].logprobs.tokens
    assert tokens is not None and len(set(tokens)) == len(tokens)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"suffix": " end"}, "suffix"),
        ({"max_tokens": 0}, "echo"),
        ({"max_tokens": 1_000_000}, "max_tokens"),
        ({"best_of": 1, "n": 2}, "best_of"),
        ({"best_of": 3, "stream": True}, "best_of"),
        ({"n": 1000}, "n"),
        ({"prompt": []}, "prompt is empty"),
        ({"prompt": [9999]}, "token ids go from 0"),
        ({"prompt": ["x"] * 1000}, "at most 128"),
        ({"prompt": "The cat " * 1000}, "context"),
        ({"logit_bias": {"cat": 1}}, "no token id"),
        ({"logit_bias": {"99999": 1}}, "logit_bias"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": 3}, "temperature"),
        ({"dance": True}, "Unrecognized request argument supplied: dance"),
        ({"logprobs": 1000}, "logprobs"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
    ],
)
def test_what_makes_no_sense_is_refused(
    server: Running, change: dict[str, object], words: str
) -> None:
    body = {"model": "tiny", "prompt": "The", **change}
    with pytest.raises(openai.BadRequestError, match=words) as refused:
        server.client().post("/completions", body=body, cast_to=object)
    assert isinstance(refused.value.body, dict)
    assert refused.value.body["type"] == "invalid_request_error"


def test_a_model_that_is_not_served(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="tiny, other, endless") as refused:
        client.completions.create(model="gpt-5", prompt="The")
    assert refused.value.code == "model_not_found"


def test_models_do_not_mix(client: openai.OpenAI, other: LanguageModel) -> None:
    answer = client.completions.create(model="other", prompt="The cat", max_tokens=9, seed=2)
    [expected] = other.generate("The cat", max_tokens=9, seed=2, temperature=1.0)
    assert answer.choices[0].text == expected
    assert answer.model == "other"


def test_the_asynchronous_client_and_many_at_once(server: Running, client: openai.OpenAI) -> None:
    """What one client is told does not depend on who else asks."""

    async def ask_all() -> list[str]:
        async with openai.AsyncOpenAI(api_key="none", base_url=f"{server.url}/v1") as asking:

            async def ask(seed: int) -> str:
                stream = await asking.completions.create(
                    model="tiny", prompt=f"{seed} cats", max_tokens=25, seed=seed, stream=True
                )
                return "".join([chunk.choices[0].text async for chunk in stream])

            return await asyncio.gather(*(ask(seed) for seed in range(24)))

    together = asyncio.run(ask_all())
    alone = [
        client.completions.create(model="tiny", prompt=f"{seed} cats", max_tokens=25, seed=seed)
        .choices[0]
        .text
        for seed in range(24)
    ]
    assert together == alone
