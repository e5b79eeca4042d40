import pytest
from tiny_models import CONTEXT_LENGTH

from lilliput.errors import UserError
from lilliput.generate import LanguageModel, Sampling
from lilliput.generate.conversation import Conversation, joined


@pytest.fixture
def conversation(endless: LanguageModel) -> Conversation:
    return Conversation(endless, Sampling(seed=1, max_tokens=8))


def say(conversation: Conversation, line: str) -> str:
    pieces = conversation.command(line) if line.startswith("/") else conversation.reply(line)
    assert pieces is not None
    return "".join(pieces)


def test_the_text_grows_by_turns(conversation: Conversation) -> None:
    first = say(conversation, "The cat")
    assert conversation.text == "The cat" + first
    second = say(conversation, "")
    assert conversation.text == "The cat" + first + second
    say(conversation, "/undo")
    assert conversation.text == "The cat" + first
    say(conversation, "/undo")
    assert conversation.text == ""
    with pytest.raises(UserError, match="nothing to take back"):
        say(conversation, "/undo")


def test_again_replaces_the_last_reply(conversation: Conversation) -> None:
    first = say(conversation, "The cat")
    other = say(conversation, "/again")
    assert other != first
    assert conversation.text == "The cat" + other
    say(conversation, "/seed 1")
    assert say(conversation, "/again") == first
    say(conversation, "/undo")
    assert conversation.text == ""
    with pytest.raises(UserError, match="nothing to take back"):
        say(conversation, "/again")


def test_an_interrupted_reply_keeps_what_was_shown(conversation: Conversation) -> None:
    pieces = conversation.reply("The")
    shown = next(pieces)
    pieces.close()  # type: ignore[attr-defined]
    assert conversation.text == "The" + shown
    say(conversation, "/undo")
    assert conversation.text == ""


def test_a_text_the_model_ended_is_followed_by_a_new_one(endless: LanguageModel) -> None:
    every_token = range(endless.tokenizer.vocabulary_size)
    brief = LanguageModel(endless.decoder, endless.tokenizer, end_tokens=tuple(every_token))
    conversation = Conversation(brief, Sampling(seed=1))
    assert say(conversation, "The cat.") == ""
    assert conversation.ended
    say(conversation, "A dog.")
    assert conversation.text == "A dog."
    say(conversation, "/undo")
    assert (conversation.text, conversation.ended) == ("The cat.", True)


def test_settings_by_command(conversation: Conversation) -> None:
    assert say(conversation, "/temperature 0.25") == "temperature 0.25"
    assert say(conversation, "/top-k 5") == "top-k 5"
    assert conversation.sampling == Sampling(temperature=0.25, top_k=5, seed=1, max_tokens=8)
    assert say(conversation, "/top-k") == "top-k 5"
    for line in ("/temperature hot", "/temperature -1", "/top-k 1.5", "/nonsense"):
        with pytest.raises(UserError):
            say(conversation, line)
    assert conversation.sampling.temperature == 0.25


def test_showing_and_leaving(conversation: Conversation) -> None:
    say(conversation, "The cat")
    assert say(conversation, "/text") == conversation.text
    ids = conversation.model.tokenizer.encode(conversation.text)
    assert [
        int(part.rpartition(":")[2])
        for part in say(conversation, "/tokens").split(" ")
        if ":" in part
    ][-1] == ids[-1]
    assert "/again" in say(conversation, "/help")
    say(conversation, "/reset")
    assert conversation.text == ""
    assert conversation.command("/quit") is None


def test_a_long_text_keeps_its_last_part(conversation: Conversation) -> None:
    for _ in range(CONTEXT_LENGTH // 8 + 4):
        say(conversation, "the dog")
    ids = conversation.model.prompt_ids(conversation.text)
    assert len(ids) > CONTEXT_LENGTH
    prompt = conversation._prompt()
    assert len(prompt) == CONTEXT_LENGTH - 8
    assert prompt[0] == ids[0]
    assert prompt[1:] == ids[-len(prompt) + 1 :]
    assert conversation.left_out == len(ids) - len(prompt)


@pytest.mark.parametrize(
    ("text", "more", "whole"),
    [
        ("The cat", "sat", "The cat sat"),
        ("The cat", " sat", "The cat sat"),
        ("The cat ", "sat", "The cat sat"),
        ("The cat", ", then", "The cat, then"),
        ("The end.", '"Why?"', 'The end. "Why?"'),
        ("", "Once", "Once"),
        ("Once", "", "Once"),
    ],
)
def test_words_do_not_run_together(text: str, more: str, whole: str) -> None:
    assert joined(text, more) == whole
