"""Sentences: text with slots, choices and verbs, and the ways two clauses make one sentence.

Inside a sentence
    {hero}        what the role's entity is called here (`{hero.his}`, `{toy.a}`: other forms)
    [a|b|c]       one of them; `[a|]` is a or nothing
    <run>         the verb in the past, or as -ing form where the sentence wants one
    {#twist}      says nothing; notes that the story now has this feature

Between clauses (one kind to a sentence)
    cause => effect          so, because, that is why
    clause -> clause         when, as soon as
    clause >< clause         but, although
    {hero} <take> it >> <run> home          one after the other: and, then, after -ing
    {hero} <walk> home // <sing> a song     at the same time: and, -ing
    ~in the garden~ clause   an adverbial, in front or at the end
"""

from __future__ import annotations

import re
from collections.abc import Callable

from lilliput.corpus.stories.discourse import Telling
from lilliput.corpus.stories.grammar import START, participle, past
from lilliput.corpus.stories.variants import vary

Teller = Callable[[Telling], str]
Node = str | Teller

_SENTENCE_END = re.compile(r"(?<=[.!?]) ")
_OPERATOR = re.compile(r" (=>|->|><|>>|//) ")
_TOKEN = re.compile(r"\[|\]|\||\{[^}]*\}|<[a-z]+>|[^\[\]|{<]+")


def compile_inline(text: str) -> Node:
    """Compile text with slots, choices and verbs."""
    tokens = _TOKEN.findall(text)
    node, end = _sequence(tokens, 0, text)
    if end != len(tokens):
        raise ValueError(f"unbalanced brackets: {text}")
    return node


def _sequence(tokens: list[str], at: int, text: str) -> tuple[Node, int]:
    parts: list[Node] = []
    while at < len(tokens) and tokens[at] not in "|]":
        token = tokens[at]
        if token == "[":
            alternatives: list[Node] = []
            while token != "]":
                node, at = _sequence(tokens, at + 1, text)
                alternatives.append(node)
                if at >= len(tokens):
                    raise ValueError(f"unbalanced brackets: {text}")
                token = tokens[at]
            parts.append(_choice(tuple(alternatives)))
        elif token[0] == "{":
            parts.append(_slot(token[1:-1]))
        elif token[0] == "<":
            parts.append(_verb(token[1:-1]))
        else:
            pieces = _SENTENCE_END.split(token)
            after_choice = at > 1 and tokens[at - 1] == "]" and tokens[at - 2][-1] in ".!?"
            for number, piece in enumerate(pieces):
                if number or (after_choice and piece.startswith(" ")):
                    parts += [" ", _next_sentence]
                parts += vary(piece.lstrip() if after_choice and not number else piece)
        at += 1
    return _join(parts), at


def _join(parts: list[Node]) -> Node:
    if all(isinstance(part, str) for part in parts):
        return "".join(str(part) for part in parts)
    if len(parts) == 1:
        return parts[0]
    fixed = tuple(part for part in parts if part)

    def tell(telling: Telling) -> str:
        return "".join([p if type(p) is str else p(telling) for p in fixed])  # type: ignore[operator]

    return tell


def _next_sentence(telling: Telling) -> str:
    if not telling.quoting:
        telling.end_sentence()
    return START


def _choice(alternatives: tuple[Node, ...]) -> Teller:
    count = len(alternatives)

    def tell(telling: Telling) -> str:
        chosen = alternatives[int(telling.random() * count)]
        return chosen if isinstance(chosen, str) else chosen(telling)

    return tell


def _slot(inside: str) -> Teller:
    if inside[0] == "#":
        feature = inside[1:]

        def note(telling: Telling) -> str:
            telling.features.add(feature)
            return ""

        return note
    role, _, form = inside.partition(".")
    method = "say_" + form if form else "say"

    def tell(telling: Telling) -> str:
        entity = telling.roles[role]
        if type(entity) is str:
            return entity
        said: str = getattr(entity, method)(telling)
        return said

    return tell


def _verb(base: str) -> Teller:
    forms = (past(base), participle(base))
    return lambda telling: forms[telling.participles]


def run(node: Node, telling: Telling) -> str:
    return node if isinstance(node, str) else node(telling)


def compile_line(text: str) -> Node:
    """Compile a line of one or more sentences."""
    sentences, start = [], 0
    for found in _SENTENCE_END.finditer(text):
        before = text[: found.start()]
        if before.count("[") == before.count("]"):
            sentences.append(text[start : found.start()])
            start = found.end()
    nodes: list[Node] = []
    for sentence in [*sentences, text[start:]]:
        nodes += (
            [" ", _next_sentence, _compile_sentence(sentence)]
            if nodes
            else [_compile_sentence(sentence)]
        )
    return _join(nodes)


def _compile_sentence(text: str) -> Node:
    """Compile a plain sentence, or clauses with an operator between them."""
    pieces = _split_outside_brackets(text)
    if len(pieces) == 1:
        return _fronted(text) if text.startswith("~") else compile_inline(text)
    operator, clauses = pieces[1], pieces[::2]
    clauses[-1], stop = clauses[-1][:-1], clauses[-1][-1]
    if stop not in ".!?":
        raise ValueError(f"a sentence must end in . ! or ?: {text}")
    if operator in {">>", "//"}:
        before, verb, rest = clauses[0].partition("<")
        setting, brace, subject = before.rstrip().rpartition("{")
        predicates = [compile_inline(clause) for clause in (verb + rest, *clauses[1:])]
        build = _in_order if operator == ">>" else _at_once
        return _join(
            [compile_inline(setting), build(compile_inline(brace + subject), predicates, stop)]
        )
    first, second = (compile_inline(clause) for clause in clauses)
    return {"=>": _cause, "->": _when, "><": _contrast}[operator](first, second, stop)


def _split_outside_brackets(text: str) -> list[str]:
    pieces, start = [], 0
    for found in _OPERATOR.finditer(text):
        before = text[: found.start()]
        if before.count("[") == before.count("]"):
            pieces += [text[start : found.start()], found[1]]
            start = found.end()
    return [*pieces, text[start:]]


def _fronted(text: str) -> Teller:
    _, where, clause = text.split("~")
    adverbial, main, stop = compile_inline(where), compile_inline(clause[1:-1]), clause[-1]

    def tell(telling: Telling) -> str:
        if telling.random() < 0.6:
            return f"{run(adverbial, telling)}, {run(main, telling)}{stop}"
        return f"{run(main, telling)} {run(adverbial, telling)}{stop}"

    return tell


def _cause(cause: Node, effect: Node, stop: str) -> Teller:
    def tell(telling: Telling) -> str:
        form = telling.random()
        if form < 0.4:
            return f"{run(cause, telling)}, so {run(effect, telling)}{stop}"
        if form < 0.65:
            return f"{run(effect, telling)} because {run(cause, telling)}{stop}"
        if form < 0.85:
            return f"Because {run(cause, telling)}, {run(effect, telling)}{stop}"
        start = f"{run(cause, telling)}. "
        telling.end_sentence()
        link = "So" if telling.random() < 0.6 else "That was why"
        return f"{start}{link} {run(effect, telling)}{stop}"

    return tell


def _when(first: Node, second: Node, stop: str) -> Teller:
    def tell(telling: Telling) -> str:
        form = telling.random()
        if form < 0.5:
            return f"When {run(first, telling)}, {run(second, telling)}{stop}"
        if form < 0.75:
            return f"As soon as {run(first, telling)}, {run(second, telling)}{stop}"
        return f"{run(second, telling)} when {run(first, telling)}{stop}"

    return tell


def _contrast(first: Node, second: Node, stop: str) -> Teller:
    def tell(telling: Telling) -> str:
        form = telling.random()
        if form < 0.55:
            return f"{run(first, telling)}, but {run(second, telling)}{stop}"
        if form < 0.75:
            return f"Although {run(first, telling)}, {run(second, telling)}{stop}"
        start = f"{run(first, telling)}. "
        telling.end_sentence()
        return f"{start}But {run(second, telling)}{stop}"

    return tell


def _in_order(subject: Node, predicates: list[Node], stop: str) -> Teller:
    """`Tom took the ball and ran home`, `After taking the ball, Tom ran home`, …"""

    def tell(telling: Telling) -> str:
        who = run(subject, telling)
        form = telling.random()
        if form < 0.2 and len(predicates) == 2:
            telling.participles = True
            before = run(predicates[0], telling)
            telling.participles = False
            return f"after {before}, {who} {run(predicates[1], telling)}{stop}"
        told = [run(predicates[0], telling)]
        if form < 0.4:
            told += [run(predicate, telling) for predicate in predicates[1:-1]]
            start = f"{who} {' and '.join(told)}. "
            telling.end_sentence()
            again = run(subject, telling)
            return f"{start}{START}Then {again} {run(predicates[-1], telling)}{stop}"
        told += [run(predicate, telling) for predicate in predicates[1:]]
        link = ", then " if form < 0.5 else " and "
        return f"{who} {', '.join(told[:-1])}{link}{told[-1]}{stop}"

    return tell


def _at_once(subject: Node, predicates: list[Node], stop: str) -> Teller:
    """`Tom walked home, singing a song`, `Singing a song, Tom walked home`, …"""
    main, other = predicates

    def tell(telling: Telling) -> str:
        who = run(subject, telling)
        form = telling.random()
        if form < 0.3:
            return f"{who} {run(main, telling)} and {run(other, telling)}{stop}"
        if form < 0.45:
            telling.participles = True
            before = run(other, telling)
            telling.participles = False
            return f"{before}, {who} {run(main, telling)}{stop}"
        told = run(main, telling)
        telling.participles = True
        during = run(other, telling)
        telling.participles = False
        return f"{who} {told}, {during}{stop}"

    return tell
