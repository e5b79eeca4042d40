import math
from pathlib import Path

import pytest
import torch
from tiny_models import CONTEXT_LENGTH

from lilliput.errors import UserError
from lilliput.generate import LanguageModel, Sampling
from lilliput.generate.candidates import candidates
from lilliput.generate.conversation import Conversation, Turn
from lilliput.generate.conversation_file import load_conversation, save_conversation
from lilliput.generate.framing import Framing
from lilliput.generate.turn_prompts import Exchange, fitting_mode, joined, text_of
from lilliput.tokens import Tokenizer, train_tokenizer


@pytest.fixture
def conversation(endless: LanguageModel) -> Conversation:
    return Conversation(endless, Sampling(seed=1, max_tokens=8))


def write(conversation: Conversation, turn: Turn) -> str:
    before = turn.text
    added = "".join(conversation.write(turn))
    assert turn.text == before + added
    return added


def say(conversation: Conversation, said: str) -> str:
    return write(conversation, conversation.reply(said))


# A text written in turns


def test_the_text_grows_by_turns(conversation: Conversation) -> None:
    first = say(conversation, "The cat")
    assert conversation.text == "The cat" + first
    second = say(conversation, "")
    assert conversation.text == "The cat" + first + second
    conversation.undo()
    assert conversation.text == "The cat" + first
    conversation.undo()
    assert conversation.text == ""
    with pytest.raises(UserError, match="nothing is written"):
        conversation.undo()


def test_the_answers_are_those_of_generate(conversation: Conversation) -> None:
    model = conversation.model
    say(conversation, "The cat")
    text = conversation.text + " and then"
    expected = model.complete([model.prompt_ids(text)], Sampling(seed=1, max_tokens=8), n=3)[0][2]
    assert say(conversation, "and then") == expected.text
    assert conversation.last().ids == expected.ids


def test_again_replaces_the_last_reply_and_undo_forgets_both(conversation: Conversation) -> None:
    first = say(conversation, "The cat")
    other = write(conversation, conversation.again())
    assert other != first
    assert conversation.text == "The cat" + other
    conversation.set(seed=1)
    assert write(conversation, conversation.again()) == first
    conversation.undo()
    assert conversation.text == ""
    with pytest.raises(UserError, match="nothing is written"):
        conversation.again()


def test_an_interrupted_reply_keeps_what_was_shown_and_goes_on(conversation: Conversation) -> None:
    pieces = conversation.write(conversation.reply("The"))
    shown = next(pieces) + next(pieces)
    pieces.close()
    assert conversation.text == "The" + shown
    assert conversation.last().finish == "cancelled"
    assert len(conversation.last().ids) == 2
    more = say(conversation, "")
    assert conversation.text == "The" + shown + more


def test_a_text_the_model_ended_is_followed_by_a_new_one(endless: LanguageModel) -> None:
    every_token = range(endless.tokenizer.vocabulary_size)
    brief = LanguageModel(endless.decoder, endless.tokenizer, end_tokens=tuple(every_token))
    conversation = Conversation(brief, Sampling(seed=1))
    assert say(conversation, "The cat.") == ""
    assert conversation.last().finish == "end"
    say(conversation, "A dog.")
    assert conversation.text == "A dog."
    conversation.undo()
    assert conversation.text == "The cat."


def test_stop_strings_end_a_reply_before_them(conversation: Conversation) -> None:
    whole = say(conversation, "The cat")
    conversation.undo()
    conversation.set(seed=1, stop=(whole[3:5],))
    assert say(conversation, "The cat") == whole[: whole.index(whole[3:5])]
    assert conversation.last().finish == "stop"


def test_a_mistake_changes_nothing(conversation: Conversation) -> None:
    say(conversation, "The cat")
    text = conversation.text
    with pytest.raises(UserError):
        conversation.set(temperature=-1)
    with pytest.raises(UserError, match="no version 2"):
        conversation.go_to(2)
    with pytest.raises(UserError, match="has 8 tokens"):
        conversation.branch(9, [20])
    with pytest.raises(UserError, match="no token of this model"):
        conversation.branch(1, [10**6])
    with pytest.raises(UserError, match="at least one token"):
        conversation.branch(1, [])
    assert conversation.sampling.temperature == 0.8
    assert conversation.text == text
    assert len(conversation.threads["complete"].turns) == 1


@pytest.mark.parametrize("mode", ["complete", "chat"])
def test_one_engine_writes_what_a_fresh_one_writes(endless: LanguageModel, mode: str) -> None:
    settings = Sampling(seed=5, max_tokens=6, stop=("zzzz",))
    kept = Conversation(endless, settings, mode=mode)  # type: ignore[arg-type]
    for number in range(3):
        said = f"The dog {number}"
        turn = kept.reply(said)
        answer = write(kept, turn)
        fresh = Conversation(endless, settings, mode=mode)  # type: ignore[arg-type]
        fresh.threads[fresh.mode].current = turn.before
        fresh.replies = number
        assert write(fresh, fresh.reply(said)) == answer
        assert fresh.last().prompt == turn.prompt


def test_a_turn_reads_only_what_is_new(endless: LanguageModel) -> None:
    conversation = Conversation(endless, Sampling(temperature=0, max_tokens=4))
    pieces = conversation.write(conversation.reply("Once upon a time, the cat sat on the mat."))
    next(pieces)
    pieces.close()  # a stopped reply is remembered too
    known = conversation.last()
    write(conversation, conversation.branch(1, known.ids))
    given, reused = conversation.reused
    assert given - reused == len(known.prompt) + 1


def test_a_long_text_keeps_its_last_part_for_some_turns(conversation: Conversation) -> None:
    seen = []
    for _ in range(CONTEXT_LENGTH // 8 + 6):
        say(conversation, "the dog")
        turn = conversation.last()
        ids = conversation.model.prompt_ids(text_of([Exchange(conversation.text, "")]))
        assert turn.prompt[0] == ids[0]
        assert len(turn.prompt) <= CONTEXT_LENGTH - 8
        seen.append(turn.left_out)
    assert seen[0] == 0 < seen[-1]
    assert len(set(seen)) < len(seen) - 2
    assert all(one % (CONTEXT_LENGTH // 8) == 0 for one in seen)


# Alternatives and branches


def test_alternatives_are_those_of_the_model_and_of_the_settings(
    conversation: Conversation,
) -> None:
    conversation.set(temperature=1.3, top_k=5, repetition_penalty=1.5)
    say(conversation, "The cat")
    turn = conversation.last()
    model = conversation.model
    logits = model.logits(torch.tensor([[*turn.prompt, *turn.ids[:2]]]))[0, -1]
    expected = logits[: model.tokenizer.vocabulary_size].softmax(-1)
    found = conversation.alternatives(3, 6)
    assert [one.id for one in found] == expected.topk(6).indices.tolist()
    assert [one.probability for one in found] == pytest.approx(expected.topk(6).values.tolist())
    every = conversation.alternatives(3, 10**6)
    assert sum(one.sampled > 0 for one in every) == 5
    assert sum(one.sampled for one in every) == pytest.approx(1)
    drawn = next(one for one in every if one.id == turn.ids[2])
    assert drawn.sampled > 0
    assert math.log(drawn.probability) == pytest.approx(turn.written[2].log_probability, abs=1e-4)


def test_penalties_count_what_was_written(endless: LanguageModel) -> None:
    prompt, plain = endless.prompt_ids("The cat"), Sampling(temperature=1)
    [best] = candidates(endless, prompt, (), plain, 1)
    after = {one.id: one for one in candidates(endless, prompt, (best.id,), plain, 300)}
    penalised = {
        one.id: one
        for one in candidates(endless, prompt, (best.id,), Sampling(presence_penalty=50), 300)
    }
    assert penalised[best.id].probability == after[best.id].probability
    assert penalised[best.id].sampled < 1e-9 < after[best.id].sampled


def test_a_branch_goes_on_from_another_token(conversation: Conversation) -> None:
    say(conversation, "The cat")
    first = conversation.last()
    other = next(one for one in conversation.alternatives(3, 5) if one.id != first.ids[2])
    turn = conversation.branch(3, [other.id])
    write(conversation, turn)
    assert turn.ids[:3] == (*first.ids[:2], other.id)
    assert turn.kept == 3 and len(turn.ids) == 3 + 8
    assert turn.origin is first and turn.before is None
    assert turn.written[2].log_probability == pytest.approx(math.log(other.probability), abs=1e-4)
    again = conversation.again()
    write(conversation, again)
    assert again.ids[:3] == turn.ids[:3] and again.ids != turn.ids
    conversation.go_to(1)
    assert conversation.last() is first


def test_every_token_of_the_text_has_its_probability(conversation: Conversation) -> None:
    say(conversation, "The cat")
    turn = conversation.last()
    scored = conversation.scored()
    assert [token for token, _ in scored] == [*turn.prompt, *turn.ids]
    assert scored[0][1] is None
    assert [score for _, score in scored[len(turn.prompt) :]] == pytest.approx(
        [one.log_probability for one in turn.written], abs=1e-4
    )


# Chat turns


def test_chat_turns_are_put_in_the_template(endless: LanguageModel) -> None:
    conversation = Conversation(endless, Sampling(seed=1, max_tokens=5), system="Be brief.")
    assert conversation.mode == "chat"
    first = say(conversation, "Hello <|end|>")
    say(conversation, "And?")
    ids = conversation.last().prompt
    special = conversation.model.tokenizer.special_tokens
    assert conversation.text.startswith(
        "<|endoftext|><|system|>Be brief.<|end|><|user|>Hello <|end|><|end|><|assistant|>"
    )
    assert ids.count(special["<|end|>"]) == 4  # what was spelled out is only text
    assert conversation.model.tokenizer.decode(ids, special=True).endswith(
        first + "<|end|><|user|>And?<|end|><|assistant|>"
    )


def test_a_chat_reply_goes_on_from_its_own_words(endless: LanguageModel) -> None:
    conversation = Conversation(endless, Sampling(seed=1, max_tokens=5), mode="chat")
    with pytest.raises(UserError, match="write a message"):
        conversation.more()
    first = say(conversation, "Hello")
    second = say(conversation, "")
    say(conversation, "Well?")
    text = conversation.text
    assert f"<|assistant|>{first}{second}<|end|><|user|>Well?" in text


def test_the_template_ends_a_reply_and_the_modes_are_apart(endless: LanguageModel) -> None:
    end = endless.tokenizer.special_tokens["<|end|>"]
    settings = Sampling(logit_bias={end: 100.0}, max_tokens=3)
    conversation = Conversation(endless, settings)
    assert conversation.mode == "complete"
    say(conversation, "Hello")
    assert conversation.last().finish == "length"
    conversation.switch("chat")
    assert conversation.turn is None
    assert say(conversation, "Hello") == ""
    assert conversation.last().finish == "end"
    with pytest.raises(UserError, match="write a message"):
        conversation.more()
    conversation.switch("complete")
    assert conversation.text.startswith("Hello")


def test_a_long_chat_forgets_its_first_turns_but_not_the_system(endless: LanguageModel) -> None:
    conversation = Conversation(endless, Sampling(seed=1, max_tokens=8), system="A b.")
    for _ in range(8):
        say(conversation, "The dog.")
    last = conversation.last()
    assert last.left_out > 0
    assert len(last.prompt) <= CONTEXT_LENGTH - 8
    text = conversation.model.tokenizer.decode(last.prompt, special=True)
    assert text.startswith("<|endoftext|><|system|>A b.<|end|><|user|>The dog.<|end|>")
    before = len(conversation.threads["chat"].turns)
    with pytest.raises(UserError, match="shorten"):
        conversation.reply("a long message " * 40)
    assert len(conversation.threads["chat"].turns) == before


def test_a_model_of_framed_inputs_sees_the_last_one(endless: LanguageModel) -> None:
    framing = Framing("Q: {input}\nA:")
    framed = LanguageModel(endless.decoder, endless.tokenizer, end_tokens=(), framing=framing)
    assert fitting_mode(framed) == "chat" and fitting_mode(endless) == "complete"
    conversation = Conversation(framed, Sampling(seed=1, max_tokens=4))
    say(conversation, "one")
    say(conversation, "two")
    assert conversation.last().prompt == framed.prompt_ids("two")
    reply = conversation.last().text
    more = conversation.more()
    assert more.prompt == (*framed.prompt_ids("two"), *framed.tokenizer.encode(reply))
    conversation.switch("complete")
    say(conversation, "one")
    plain = endless.prompt_ids("one")
    assert conversation.last().prompt == plain


def test_a_model_with_a_template_chats(endless: LanguageModel, tmp_path: Path) -> None:
    template = "{% for m in messages %}[{{ m.content }}]{% endfor %}"
    (tmp_path / "chat_template.jinja").write_text(template, encoding="utf-8")
    model = LanguageModel(endless.decoder, endless.tokenizer, tmp_path, end_tokens=())
    conversation = Conversation(model, Sampling(seed=1, max_tokens=2))
    assert conversation.mode == "chat"
    say(conversation, "Hi")
    assert model.tokenizer.decode(conversation.last().prompt) == "[Hi]"


# Files


def full_conversation(model: LanguageModel) -> Conversation:
    conversation = Conversation(model, Sampling(seed=3, max_tokens=4, logit_bias={17: -math.inf}))
    say(conversation, "The “cat”\n")
    write(conversation, conversation.branch(2, [30, 31]))
    say(conversation, "ran")
    conversation.switch("chat")
    conversation.system = "Be 😀."
    say(conversation, "Hi")
    conversation.switch("complete")
    return conversation


def test_a_conversation_comes_back_from_its_file(endless: LanguageModel, tmp_path: Path) -> None:
    conversation, path = full_conversation(endless), tmp_path / "kept.jsonl"
    save_conversation(conversation, path)
    other = Conversation(endless, Sampling())
    load_conversation(other, path)
    assert (other.text, other.mode, other.system) == (
        conversation.text,
        conversation.mode,
        conversation.system,
    )
    assert other.sampling == conversation.sampling
    assert [one.ids for one in other.last().path] == [one.ids for one in conversation.last().path]
    assert other.threads["chat"].current is not None
    assert write(other, other.more()) == write(conversation, conversation.more())
    save_conversation(other, path)  # in place of the old


def test_with_another_tokenizer_the_text_is_kept(endless: LanguageModel, tmp_path: Path) -> None:
    conversation, path = full_conversation(endless), tmp_path / "kept.jsonl"
    save_conversation(conversation, path)
    tokenizer: Tokenizer = train_tokenizer(["abc abd"] * 9, vocabulary_size=274)
    other = Conversation(LanguageModel(endless.decoder, tokenizer), Sampling())
    load_conversation(other, path)
    assert other.text == conversation.text
    with pytest.raises(UserError, match="another tokenizer"):
        other.alternatives(1, 3)
    assert write(other, other.more()) is not None


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda lines: [], "line 1: not a saved conversation"),
        (lambda lines: ["[]"], "line 1: not a saved conversation"),
        (lambda lines: ["{"], "line 1: not a saved conversation"),
        (lambda lines: [lines[0], '{"mode": "complete"}'], "line 2: not a saved conversation"),
        (lambda lines: lines[:1], "line 1: names turn"),
        (lambda lines: [lines[0], lines[2]], "line 2: names turn"),
        (lambda lines: [lines[0].replace('"seed": 3', '"seed": -3'), *lines[1:]], "seed is -3"),
        (lambda lines: [lines[0], lines[1].replace("[[", "[[9999, -1.0], [")], "no token"),
        (
            lambda lines: [lines[0], lines[1].replace('"prompt": [', '"prompt": [9999, ')],
            "no token",
        ),
        (lambda lines: [lines[0], lines[1].replace('"kept": 0', '"kept": -1')], "kept"),
    ],
)
def test_a_file_that_is_no_conversation_is_refused(
    damage: object, message: str, endless: LanguageModel, tmp_path: Path
) -> None:
    conversation, path = full_conversation(endless), tmp_path / "kept.jsonl"
    save_conversation(conversation, path)
    lines = path.read_text(encoding="utf-8").splitlines()
    damaged = damage(lines)  # type: ignore[operator]
    path.write_text("\n".join(damaged), encoding="utf-8")
    text = conversation.text
    with pytest.raises(UserError, match=message):
        load_conversation(conversation, path)
    assert conversation.text == text


def test_files_that_are_not_ours_are_kept(endless: LanguageModel, tmp_path: Path) -> None:
    conversation, path = full_conversation(endless), tmp_path / "notes.txt"
    path.write_text("mine\n", encoding="utf-8")
    with pytest.raises(UserError, match="no saved conversation"):
        save_conversation(conversation, path)
    assert path.read_text(encoding="utf-8") == "mine\n"
    with pytest.raises(UserError, match="cannot be read"):
        load_conversation(conversation, tmp_path / "absent")
    with pytest.raises(UserError, match="cannot be written"):
        save_conversation(conversation, tmp_path)


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
