"""Direct speech: a quotation with a reporting clause that fits its speaker and its tone."""

from __future__ import annotations

from lilliput.corpus.stories.clauses import Node, Teller, compile_inline, run
from lilliput.corpus.stories.discourse import Telling
from lilliput.corpus.stories.grammar import START

# Tone → reporting verbs, what may follow them, what the speaker may do just before speaking.
_Tone = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
_TONES: dict[str, _Tone] = {
    "": (("said",), ("",), ("looked up", "thought for a moment", "turned around")),
    "happy": (
        ("said", "said", "cheered", "laughed", "called"),
        ("", "with a smile", "happily", "with a big smile"),
        ("smiled", "laughed", "clapped", "gave a big smile", "jumped up and down"),
    ),
    "sad": (
        ("said", "said", "whispered", "cried"),
        ("", "sadly", "in a small voice", "with tears falling down"),
        ("looked down", "wiped away a tear", "let out a sigh", "let out a small sob"),
    ),
    "cross": (
        ("said", "shouted", "cried"),
        ("", "crossly", "in an angry voice", "loudly"),
        ("stamped one foot", "turned red", "made an angry face", "frowned"),
    ),
    "afraid": (
        ("whispered", "said", "cried"),
        ("", "in a shaky voice", "with big eyes", "without moving"),
        ("stood very still", "shook with fear", "took a step back"),
    ),
    "excited": (
        ("said", "shouted", "called", "cried"),
        ("", "with shining eyes", "in a loud voice", "happily"),
        ("jumped up", "ran over", "pointed", "could not stand still"),
    ),
    "kind": (
        ("said",),
        ("", "softly", "gently", "kindly", "in a warm voice"),
        ("smiled", "nodded", "came closer", "sat down close by"),
    ),
    "proud": (
        ("said", "said", "called"),
        ("", "proudly", "with a proud smile"),
        ("stood up tall", "smiled a proud smile"),
    ),
    "sorry": (
        ("said", "whispered", "said"),
        ("", "quietly", "in a soft voice", "sadly"),
        ("looked at the ground", "turned red", "took a deep breath"),
    ),
    "brave": (
        ("said", "said", "called"),
        ("", "bravely", "in a clear voice", "firmly"),
        ("took a deep breath", "stood up tall", "stepped forward"),
    ),
    "wise": (
        ("said",),
        ("", "slowly", "in a calm voice", "wisely"),
        ("nodded", "thought for a while", "smiled a little"),
    ),
}
# A question or an exclamation changes a plain "said".
_ASKING = ("asked",) * 9 + ("wanted to know",)
_CALLING = ("said", "cried", "called")
# Verbs that a listener can follow: said to Tom, asked Tom.
_TO_LISTENER = {
    "said": "said to",
    "asked": "asked",
    "called": "called to",
    "whispered": "whispered to",
}


def compile_speech(speaker: str, listener: str, tone: str, text: str) -> Teller:
    """Compile a line of dialogue; the reporting clause is chosen when it is told."""
    words = compile_inline(text)
    who = compile_inline("{" + speaker + "}")
    name = compile_inline("{" + speaker + ".name}")
    whom = compile_inline("{" + listener + ".him}") if listener else ""
    verbs, manners, actions = _TONES[tone]

    def tell(telling: Telling) -> str:
        telling.features.add("dialogue")
        form = telling.random()
        if form < (0.14 if tone else 0.04):
            action = f"{run(who, telling)} {telling.dice.pick(actions)}. "
            return f"{START}{action}{_quote(words, telling)}"
        if form < 0.38 and not telling.plain_speech:
            return START + leading(telling)
        return trailing(telling)

    def leading(telling: Telling) -> str:
        """`Tom said to Lily sadly, "I am tired."`"""
        subject = run(who, telling)
        listening = run(whom, telling) if telling.random() < 0.6 else ""
        said = _quote(words, telling)
        verb = _report(verbs, said, telling)
        if verb == "wanted to know":
            verb = "asked"
        manner = telling.dice.pick(manners) if telling.random() < 0.3 else ""
        return f"{subject} {_heard(verb, listening)} {manner}, {said}"

    def trailing(telling: Telling) -> str:
        """`"I am tired," said Tom sadly.` or `"I am tired," said Tom. "I want to sleep."`"""
        said = _quote(words, telling)
        before, after = _halves(said) if telling.random() < 0.3 else (said, "")
        verb = _report(verbs, before, telling)
        subject = run(name if telling.random() < 0.3 else who, telling)
        if (
            subject not in {"he", "she", "it", "they"}
            and verb != "wanted to know"
            and (telling.random() < 0.55)
        ):
            tag = f"{verb} {subject}"
        else:
            named = telling.random() < 0.15 and not telling.plain_speech
            listening = run(whom, telling) if named else ""
            tag = f"{subject} {_heard(verb, listening)}"
        if verb != "wanted to know" and telling.random() < 0.4:
            tag += " " + telling.dice.pick(manners)
        if not after and before[-2] == ".":
            before = before[:-2] + ',"'
        return f"{before} {tag}.{after}"

    return tell


def _quote(words: Node, telling: Telling) -> str:
    telling.quoting = True
    text = run(words, telling)
    telling.quoting = False
    return f'"{START}{text}"'


def _report(verbs: tuple[str, ...], quote: str, telling: Telling) -> str:
    verb = telling.dice.pick(verbs)
    if verb in {"said", "answered"}:
        if quote[-2] == "?":
            return telling.dice.pick(_ASKING)
        if quote[-2] == "!" and verb == "said":
            return telling.dice.pick(_CALLING)
    return verb


def _heard(verb: str, listener: str) -> str:
    """The reporting verb, with the listener if one is named: `asked Tom`, `said to Tom`."""
    return f"{_TO_LISTENER.get(verb, 'said to')} {listener}" if listener else verb


def _halves(quote: str) -> tuple[str, str]:
    """A quotation cut after its first sentence: `"Yes," … "I will."`; or whole, and nothing."""
    for stop in (". ", "! ", "? "):
        first, found, rest = quote.partition(stop + START)
        if found and len(rest) > 12:
            mark = "," if stop == ". " else stop[0]
            return f'{first}{mark}"', f' "{START}{rest}'
    return quote, ""
