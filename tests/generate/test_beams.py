from pathlib import Path

import pytest
import torch
import transformers
from tiny_models import CONTEXT_LENGTH, random_decoder

from lilliput.errors import UserError
from lilliput.generate import LanguageModel, load
from lilliput.generate.beams import beam_search
from lilliput.generate.scoring import Target, log_probabilities

FAMILIES = ("lilliput", "gemma2", "deepseek-v3", "mistral")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("beams", "length_penalty"), [(2, 1.0), (4, 1.0), (5, 0.3), (3, 2.0)])
def test_beams_are_those_of_transformers(
    family: str, beams: int, length_penalty: float, folders: dict[str, Path]
) -> None:
    ours = load(folders[family], "cpu")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folders[family]).eval()
    likely = ours.next_tokens("The cat", top=40)
    for end in (ours.tokenizer.end_of_text, likely[3].id, likely[39].id):
        for prompt in ("The cat", "Once upon a time, the"):
            ids = torch.tensor([ours.prompt_ids(prompt)])
            expected = theirs.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                do_sample=False,
                num_beams=beams,
                num_return_sequences=beams,
                length_penalty=length_penalty,
                max_new_tokens=14,
                eos_token_id=end,
                pad_token_id=1,
                return_dict_in_generate=True,
                output_scores=True,
            )
            found = beam_search(
                ours.decoder,
                ids[0].tolist(),
                beams,
                max_tokens=14,
                end_tokens=[end],
                vocabulary_size=300,
                length_penalty=length_penalty,
            )
            for beam, row, score in zip(
                found, expected.sequences, expected.sequences_scores, strict=True
            ):
                written = row[ids.shape[1] :].tolist()
                assert beam.score == pytest.approx(float(score), abs=1e-4)
                assert list(beam.ids) == written[: len(beam.ids)]
                assert set(written[len(beam.ids) :]) <= {1}
                assert beam.finish == ("end" if beam.ids[-1] == end else "length")


def test_log_probabilities_are_the_scorers() -> None:
    decoder = random_decoder("lilliput", 300)
    beams = beam_search(decoder, [0, 40, 50], 4, max_tokens=9, end_tokens=[7], vocabulary_size=300)
    for beam in beams:
        [scores] = log_probabilities(decoder, [Target((0, 40, 50, *beam.ids), 3)])
        told = torch.tensor([one.log_probability for one in beam.written]).double()
        torch.testing.assert_close(told, scores, rtol=1e-4, atol=1e-4)
        assert beam.score == pytest.approx(float(scores.sum()) / len(beam.ids), abs=1e-4)
    assert [beam.score for beam in beams] == sorted((one.score for one in beams), reverse=True)


def test_one_beam_is_greedy(endless: LanguageModel) -> None:
    ids = endless.prompt_ids("The cat")
    [beam] = endless.search(ids, 1, max_tokens=20)
    [greedy] = endless.generate("The cat", temperature=0, max_tokens=20)
    assert beam.text == greedy


def test_a_search_ends_with_the_context(endless: LanguageModel) -> None:
    ids = [5] * (CONTEXT_LENGTH - 3)
    completions = endless.search(ids, 3, n=3)
    assert [(len(one.ids), one.finish) for one in completions] == [(3, "context")] * 3


def test_numbers_of_beams_that_make_no_sense(endless: LanguageModel) -> None:
    with pytest.raises(UserError, match="number of beams"):
        endless.search((5,), 2, n=3)
    with pytest.raises(UserError, match="beams is 301"):
        endless.search((5,), 301)
    with pytest.raises(UserError, match="no token"):
        endless.search((), 2)
