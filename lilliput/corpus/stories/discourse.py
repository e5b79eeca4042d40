"""What a teller keeps in mind while telling: who was just spoken of, and what was told."""

from __future__ import annotations

from typing import Any

from lilliput.corpus.stories.dice import Dice


class Entity:
    """Somebody or something a story refers to.

    A script's slot `{role}` calls the entity's `say`, and `{role.form}` its `say_form`.
    """

    pronoun: str  # "he", "she", "it" or "they"
    animate = False

    def __init__(self) -> None:
        self.seen = False  # has been told of in the text
        self.told: dict[str, Any] = {}  # attribute → value, as far as the text told it


class Telling:
    """The state of one story's telling.

    `previous` and `current` hold the entities named in the last and in the present sentence. A
    pronoun is used only where exactly one of them can be meant.
    """

    def __init__(self, dice: Dice, roles: dict[str, Any], *, plain_speech: bool = False) -> None:
        self.dice = dice
        self.random = dice.random
        self.roles = roles
        self.previous: list[Entity] = []
        self.current: list[Entity] = []
        self.pronouns_in_a_row = 0
        self.quoting = False
        self.plain = False  # phrases of the plan: no pronouns for subjects, no variation
        self.participles = False  # verbs in <angle brackets> are told as -ing forms
        self.features: set[str] = set()
        self.entities: list[Entity] = []  # everything seen, in order
        self.moral = ""
        self.airy = dice.random() < 0.4  # speech starts a new paragraph
        self.plain_speech = plain_speech  # said first, then by whom, without naming who listens
        self.casual = dice.random() < 0.3  # contractions outside of speech too

    def end_sentence(self) -> None:
        self.previous = self.current
        self.current = []

    def end_paragraph(self) -> None:
        self.previous = []
        self.current = []
        self.pronouns_in_a_row = 0

    def mention(self, entity: Entity) -> None:
        if not entity.seen:
            entity.seen = True
            self.entities.append(entity)
        if not self.quoting:
            self.current.append(entity)

    def clear(self, entity: Entity) -> bool:
        """Whether the entity's pronoun, said now, can mean only this entity."""
        pronoun = entity.pronoun
        known = entity in self.current
        for other in self.current:
            if other is not entity and other.pronoun == pronoun:
                return False
        if known:
            return True
        if entity not in self.previous:
            return False
        return all(other is entity or other.pronoun != pronoun for other in self.previous)
