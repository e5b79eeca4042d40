import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from tiny_models import CONTEXT_LENGTH, TRIED, random_decoder

from lilliput.errors import UserError
from lilliput.generate import LanguageModel
from lilliput.generate.requests import Request
from lilliput.generate.sampling import Sampling, filtered_logits
from lilliput.generate.speculative import ModelDrafter, Speculation
from lilliput.model import FAMILIES, Decoder
from lilliput.model.mamba.config import MambaConfig
from lilliput.model.mamba.trunk import Mamba
from lilliput.tokens import Tokenizer

SIZE = 4
GREEDY = Sampling(temperature=0, max_tokens=200)


def nearly(decoder: Decoder, noise: float) -> Decoder:
    """A copy that agrees with a decoder most of the time."""
    copy = Decoder(decoder.config)
    copy.load_state_dict(decoder.state_dict())
    generator = torch.Generator().manual_seed(3)
    for parameter in copy.parameters():
        parameter.data += noise * torch.randn(parameter.shape, generator=generator)
    return copy.eval().requires_grad_(False)


@pytest.mark.parametrize("family", TRIED)
@pytest.mark.parametrize("noise", [0.0, 0.003, 0.5])
def test_greedy_texts_are_those_without_a_draft(
    family: str, noise: float, tokenizer: Tokenizer
) -> None:
    decoder = random_decoder(family, tokenizer.vocabulary_size)
    model = LanguageModel(decoder, tokenizer, end_tokens=())
    draft = LanguageModel(nearly(decoder, noise), tokenizer)
    speculation = model.speculation(draft)
    prompts = [model.prompt_ids(text) for text in ("The cat", "Once upon a time, the")]
    plain = model.complete(prompts, GREEDY)
    drafted = model.complete(prompts, GREEDY, draft=speculation)
    assert [[one.ids for one in row] for row in drafted] == [
        [one.ids for one in row] for row in plain
    ]
    assert drafted[0][0].finish == plain[0][0].finish == "context"
    acceptance = speculation.acceptance
    tokens = sum(len(one.ids) for row in plain for one in row)
    assert acceptance.passes + acceptance.accepted == tokens
    if not noise:
        assert acceptance.share == 1
        assert acceptance.passes < tokens / 4


def test_own_predictors_draft(tokenizer: Tokenizer) -> None:
    config = FAMILIES["lilliput"].shape(
        n_layers=3, d_model=48, vocabulary_size=300, context_length=64, n_future_tokens=2
    )
    torch.manual_seed(3)
    decoder = Decoder(config)
    for parameter in decoder.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    model = LanguageModel(decoder.eval().requires_grad_(False), tokenizer, end_tokens=())
    speculation = model.speculation("own")
    plain = model.generate("The cat", temperature=0, max_tokens=40)
    assert model.generate("The cat", temperature=0, max_tokens=40, draft=speculation) == plain
    assert speculation.acceptance.drafted >= 40
    pieces = model.generate("The cat", temperature=0, max_tokens=40, draft="own", stream=True)
    assert ["".join(pieces)] == plain


@pytest.mark.parametrize("sampling", [Sampling(temperature=1.4), Sampling(top_k=3, top_p=0.95)])
def test_sampled_texts_keep_their_distribution(sampling: Sampling) -> None:
    """The second and third of three tokens are drafted: their joint frequencies are the model's."""
    decoder = small(seed=1)
    draft = small(seed=2)
    sampling = Sampling(
        temperature=sampling.temperature, top_k=sampling.top_k, top_p=sampling.top_p, max_tokens=3
    )
    speculation = Speculation(
        decoder, ModelDrafter(draft, SIZE), end_tokens=(), vocabulary_size=SIZE, ahead=2
    )
    texts = 1500
    counts = np.zeros((SIZE, SIZE, SIZE))
    for seed in range(texts):
        written = list(speculation.write(Request((1, 2), sampling, seed)))
        counts[tuple(one.id for one in written)] += 1
    assert 0.2 < speculation.acceptance.share < 0.95
    expected = np.ones((SIZE, SIZE, SIZE))
    for first in range(SIZE):
        for second in range(SIZE):
            ids = torch.tensor([[1, 2, first, second]])
            logits = filtered_logits(decoder(ids)[0, 1:], sampling).softmax(-1).double()
            one, two, three = logits.numpy()
            expected[first, second] = one[first] * two[second] * three
    expected *= texts
    assert (counts[expected == 0] == 0).all()
    common = expected >= 5
    observed = np.append(counts[common], counts[~common].sum())
    wanted = np.append(expected[common], expected[~common].sum())
    if wanted[-1] < 1:
        observed, wanted = observed[:-1], wanted[:-1]
    assert chisquare(observed, wanted * observed.sum() / wanted.sum()).pvalue > 0.001


def small(seed: int) -> Decoder:
    config = FAMILIES["llama"].shape(
        n_layers=1, d_model=16, vocabulary_size=SIZE, context_length=16
    )
    torch.manual_seed(seed)
    decoder = Decoder(config)
    for parameter in decoder.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return decoder.eval().requires_grad_(False)


def test_log_probabilities_are_the_models_own(endless: LanguageModel) -> None:
    draft = LanguageModel(nearly(endless.decoder, 0.01), endless.tokenizer)
    prompts = [endless.prompt_ids("The cat")]
    sampling = Sampling(temperature=0, max_tokens=20)
    [[plain]] = endless.complete(prompts, sampling, alternatives=3)
    [[drafted]] = endless.complete(prompts, sampling, alternatives=3, draft=draft)
    for one, other in zip(plain.written, drafted.written, strict=True):
        assert one.log_probability == pytest.approx(other.log_probability, abs=1e-4)
        assert [token for token, _ in one.alternatives] == [t for t, _ in other.alternatives]


def test_texts_end_at_end_tokens_and_stop_strings(endless: LanguageModel) -> None:
    [whole] = endless.generate("The", temperature=0, max_tokens=40)
    [ids] = [one.ids for one in endless.complete([endless.prompt_ids("The")], GREEDY)[0]]
    draft = LanguageModel(nearly(endless.decoder, 0.0), endless.tokenizer)
    ending = LanguageModel(endless.decoder, endless.tokenizer, end_tokens=(ids[7],))
    [[cut]] = ending.complete([endless.prompt_ids("The")], GREEDY, draft=draft)
    assert (cut.ids, cut.finish) == (ids[: ids.index(ids[7]) + 1], "end")
    stop = whole[9:12]
    [short] = endless.generate("The", temperature=0, max_tokens=40, stop=stop, draft=draft)
    assert short == whole[: whole.index(stop)]


def test_what_cannot_be_drafted_is_refused(endless: LanguageModel, tokenizer: Tokenizer) -> None:
    with pytest.raises(UserError, match="n_future_tokens"):
        endless.generate("The", draft="own")
    draft = LanguageModel(endless.decoder, tokenizer)
    with pytest.raises(UserError, match="penalties"):
        endless.generate("The", repetition_penalty=1.1, draft=draft)
    with pytest.raises(UserError, match=f"{CONTEXT_LENGTH} tokens long"):
        endless.complete([[5] * CONTEXT_LENGTH], GREEDY, draft=draft)
    mamba = Mamba(MambaConfig(vocabulary_size=300, d_model=32, n_layers=1))
    with pytest.raises(UserError, match="Mamba"):
        LanguageModel(mamba, tokenizer).generate("The", draft=draft)
