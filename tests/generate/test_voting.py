import pytest

from lilliput.errors import UserError
from lilliput.generate import LanguageModel
from lilliput.generate.voting import answer_by, vote

TEXTS = ["2 + 2 is 5. No: is 4", "it is 4", "it is 5", "who knows", "is  4"]


def test_the_last_match_of_most_texts_wins() -> None:
    result = vote(TEXTS, answer_by(r"is +(\d)"))
    assert (result.answer, result.share) == ("4", 3 / 5)
    assert result.counts == {"4": 3, "5": 1}
    assert vote(TEXTS, answer_by("[0-9]")).counts == {"4": 3, "5": 1}
    assert list(vote(["b", "a", "a", "b"], lambda text: text).counts) == ["b", "a"]


def test_no_answer() -> None:
    result = vote(["a", "b"], answer_by(r"\d"))
    assert (result.answer, result.share, result.counts) == (None, 0.0, {})


def test_an_expression_that_is_none() -> None:
    with pytest.raises(UserError, match="no regular expression"):
        answer_by("(")


def test_a_model_votes(endless: LanguageModel) -> None:
    texts = endless.generate("The cat", n=5, seed=1, max_tokens=10)
    result = endless.vote("The cat", lambda text: text[:1], n=5, seed=1, max_tokens=10)
    assert list(result.texts) == texts
    assert sum(result.counts.values()) == 5
