"""Scripts: a story's beats, written line by line, and their telling.

    - {hero} looked [under|behind] the bed.     lines with - are alternatives (a following list
    - {hero} opened the big box.                uses *); lines indented below one belong to it
    ?40 It was raining.                         told in 40 of 100 stories
    hero>mom/sad: I cannot find {toy.my}.       hero says this to mom, sadly
    @thanks hero mom                            the beat `thanks`, with its roles filled
    (an empty line)                             a new paragraph

Sentences are written as `clauses` describes.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from lilliput.corpus.stories.clauses import Node, compile_line, run
from lilliput.corpus.stories.discourse import Telling
from lilliput.corpus.stories.grammar import START, finish
from lilliput.corpus.stories.speech import compile_speech

Step = Callable[[Telling, list[str]], None]

_SPEECH = re.compile(r"((?:\{#\w+\})*)(\w+)(?:>(\w+))?(?:/(\w+))?: (.+)")
_BEATS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {}
_COMPILED: dict[str, Step] = {}
_PHRASES: dict[str, Node] = {}
PARAGRAPH = "\n\n"


def beat(name: str, roles: str, *scripts: str) -> None:
    """Register a beat: `@name a b` tells one of the scripts, in which its roles are a and b."""
    assert name not in _BEATS, name
    _BEATS[name] = (tuple(roles.split()), scripts)


def tell(script: str, telling: Telling) -> str:
    """Tell a whole script: finished text, paragraphs apart by an empty line."""
    lines: list[str] = []
    _compiled(script)(telling, lines)
    return finish(" ".join(lines).replace(f" {PARAGRAPH} ", PARAGRAPH)).strip()


def phrase(text: str, telling: Telling) -> str:
    """Tell a phrase of the plan, for the metadata: everybody by name."""
    node = _PHRASES.get(text)
    if node is None:
        node = _PHRASES[text] = compile_line(text)
    telling.quoting = telling.plain = True
    told = run(node, telling)
    telling.quoting = telling.plain = False
    return finish(told)


def _compiled(script: str) -> Step:
    step = _COMPILED.get(script)
    if step is None:
        step = _COMPILED[script] = _compile(
            [line.rstrip() for line in script.strip("\n").split("\n")]
        )
    return step


def _compile(lines: list[str]) -> Step:
    steps: list[Step] = []
    at = 0
    while at < len(lines):
        bullet = lines[at][:2]
        if bullet in {"- ", "* ", "-", "*"}:
            alternatives: list[list[str]] = []
            while at < len(lines) and (lines[at][:1] == bullet[0] or lines[at][:2] == "  "):
                if lines[at][:2] == "  ":
                    alternatives[-1].append(lines[at][2:])
                else:
                    alternatives.append([lines[at][2:]])
                at += 1
            steps.append(_one_of([_compile(block) for block in alternatives]))
        else:
            steps.append(_line(lines[at]))
            at += 1
    return steps[0] if len(steps) == 1 else _all_of(tuple(steps))


def _all_of(steps: tuple[Step, ...]) -> Step:
    def go(telling: Telling, lines: list[str]) -> None:
        for step in steps:
            step(telling, lines)

    return go


def _one_of(steps: list[Step]) -> Step:
    def go(telling: Telling, lines: list[str]) -> None:
        steps[int(telling.random() * len(steps))](telling, lines)

    return go


def _line(line: str) -> Step:
    if not line.strip():
        return _paragraph
    if line[0] == "?":
        share, _, rest = line[1:].partition(" ")
        return _sometimes(int(share) / 100, _line(rest))
    if line[0] == "@":
        name, *roles = line[1:].split()
        return _beat(name, roles)
    if speech := _SPEECH.fullmatch(line):
        notes, speaker, listener, tone, text = speech.groups()
        said = compile_speech(speaker, listener or "", tone or "", notes + text)
        return _sentence(said, speech=True)
    return _sentence(compile_line(line), speech=False)


def _sometimes(probability: float, step: Step) -> Step:
    def go(telling: Telling, lines: list[str]) -> None:
        if telling.random() < probability:
            step(telling, lines)

    return go


def _paragraph(telling: Telling, lines: list[str]) -> None:
    if lines and lines[-1] != PARAGRAPH:
        lines.append(PARAGRAPH)
        telling.end_paragraph()


def _sentence(node: Node, *, speech: bool) -> Step:
    def go(telling: Telling, lines: list[str]) -> None:
        if speech and telling.airy:
            _paragraph(telling, lines)
        telling.end_sentence()
        told = run(node, telling)
        if told:
            lines.append(START + told)

    return go


def _beat(name: str, roles: list[str]) -> Step:
    """A beat; `{world}` in its name stands for "child" or "animal"."""
    varies = "{world}" in name

    def go(telling: Telling, lines: list[str]) -> None:
        outside = telling.roles
        called = name.replace("{world}", outside["world"]) if varies else name
        parameters, scripts = _BEATS[called]
        if roles:
            inside = {key: outside[role] for key, role in zip(parameters, roles, strict=True)}
            telling.roles = {**outside, **inside}
        _compiled(scripts[int(telling.random() * len(scripts))])(telling, lines)
        telling.roles = outside

    return go
