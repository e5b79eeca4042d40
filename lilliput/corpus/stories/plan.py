"""Planning: who is in the story, where it happens, and what is wished, met and reached."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from lilliput.corpus.stories.characters import Character, Group, Kind
from lilliput.corpus.stories.dice import Dice
from lilliput.corpus.stories.lexicon import people
from lilliput.corpus.stories.lexicon.activities import ANIMAL_HOBBIES, CHILD_HOBBIES, DAYS
from lilliput.corpus.stories.lexicon.animals import HEROES, KINDS, WISE
from lilliput.corpus.stories.lexicon.places import PLACES, PlaceKind
from lilliput.corpus.stories.lexicon.things import COLOURS, THINGS, ThingKind
from lilliput.corpus.stories.things import Phrase, Place, Thing

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a plot decides before a word is told. The texts are phrases with slots."""

    plot: str
    roles: dict[str, Any]
    script: str
    summary: str
    wish: str
    obstacle: str
    turn: str
    resolution: str
    ending: str  # "good", "bad" or "mixed"


_BY_TAG: dict[frozenset[str], tuple[ThingKind, ...]] = {}
_PLACES_BY_TAG: dict[frozenset[str], tuple[PlaceKind, ...]] = {}


class Cast:
    """Casts a story: every method adds one role and returns its entity.

    `dice` is the chance of the story. `casting`, if given, is the chance of one way to cast the
    plot: the same casting binds the same animals, others beside the hero, things, places and
    spots, whatever the story. The hero's name, a child hero's sex, looks, trait and hobby, and
    the moral stay the story's own.
    """

    def __init__(
        self, dice: Dice, *, names: int | None = None, casting: Dice | None = None
    ) -> None:
        self.dice = casting or dice  # decides what a casting binds
        self._own = dice  # decides what is the story's own
        self._bound = casting is not None
        self._names = names  # how many of each kind are in use; all of them if None
        self.roles: dict[str, Any] = {}
        self._used: set[str] = set()  # names and kinds already taken
        self._characters: list[Character] = []

    def bind(self, role: str, value: Value) -> Value:
        """Give a role a value: an entity, or a text told as it stands."""
        self.roles[role] = value
        if isinstance(value, Character):
            for other in self._characters:
                if other.kind.noun == value.kind.noun:
                    other.kind_is_unique = value.kind_is_unique = False
            self._characters.append(value)
        return value

    def choose(self, role: str, *values: str) -> str:
        """Give a role one of some texts."""
        return self.bind(role, self.dice.pick(values))

    def do(self, role: str, *phrases: str) -> None:
        """Give a role one of some verb phrases in the base form."""
        self.bind(role, Phrase(self.dice.pick(phrases)))

    # People

    def child(self, role: str = "hero", *, pronoun: str = "") -> Character:
        """A named child. `pronoun` fixes it; otherwise a second child mostly gets the other one."""
        pronoun = pronoun or (self._other_pronoun() if self._characters else _she_or_he(self._own))
        names = people.GIRLS if pronoun == "she" else people.BOYS
        kind = people.GIRL if pronoun == "she" else people.BOY
        return self._named(role, kind, pronoun, names)

    def animal(self, role: str = "hero", *kinds: str, pronoun: str = "") -> Character:
        """A named animal: of the kinds given, or any that may be a hero."""
        kind = self._animal_kind(kinds, HEROES)
        return self._named(role, kind, pronoun or self._bound_pronoun(), people.ANIMAL_NAMES)

    def hero(self) -> Character:
        """A child (mostly) or an animal as the hero."""
        return self.child() if self.dice.chance(0.6) else self.animal()

    def friend(self, role: str = "friend", relation: str = "friend") -> Character:
        """A friend of the hero, of the hero's world."""
        hero: Character = self.roles["hero"]
        if hero.kind in (people.GIRL, people.BOY):
            friend = self.child(role)
        else:
            near = [k for k in HEROES if k.tags & hero.kind.tags & _COUNTRIES] or list(HEROES)
            friend = self.animal(role, *[kind.noun for kind in near])
        friend.relation, friend.of = relation, hero
        return friend

    def kin(self, role: str, *relations: str, of: str = "hero") -> Character:
        """A grown-up of the hero's family, called by the family word."""
        relations = relations or ("mom", "dad", "grandma", "grandpa")
        relation = self.dice.pick(relations)
        owner: Character = self.roles[of]
        female = relation in {"mom", "grandma", "aunt"}
        if relation == "mom":
            relation = self.dice.pick(people.MOTHERS)
        elif relation == "dad":
            relation = self.dice.pick(people.FATHERS)
        name = ""
        if relation in {"aunt", "uncle"}:
            names = people.GIRLS if female else people.BOYS
            name = f"{relation.capitalize()} {self.dice.favour(self._free_names(names, role))}"
        kind = Kind("woman" if female else "man")
        character = Character(
            kind, "she" if female else "he", name=name, relation=relation, of=owner
        )
        return self.bind(role, character)

    def sibling(self, role: str = "sibling", age: str = "little") -> Character:
        """A named brother or sister of the hero."""
        character = self.child(role)
        noun = "sister" if character.pronoun == "she" else "brother"
        character.relation, character.of = f"{age} {noun}".strip(), self.roles["hero"]
        return character

    def pet(self, role: str = "pet", *kinds: str) -> Character:
        """A named pet of the hero."""
        character = self.animal(role, *(kinds or ("dog", "cat", "puppy", "kitten")))
        character.relation, character.of = character.kind.noun, self.roles["hero"]
        return character

    def grown_up(
        self, role: str, *nouns: str, looks: str = "", definite: bool = False
    ) -> Character:
        """Somebody known only by what they are: a baker, an old woman."""
        noun = self.dice.pick(nouns)
        kind, usual_looks = people.GROWN_UPS[noun]
        looks = looks or usual_looks
        pronoun = "she" if noun in people.ALWAYS_SHE else "he"
        if noun not in people.ALWAYS_SHE | people.ALWAYS_HE:
            pronoun = self._bound_pronoun()
        character = Character(
            kind, pronoun, looks=self.dice.pick(looks.split(",")), definite=definite
        )
        return self.bind(role, character)

    def being(self, role: str, noun: str, looks: str, *names: str) -> Character:
        """A named being that is neither he nor she: a cloud, a dragon."""
        character = Character(
            Kind(noun, move="fly"),
            "it",
            name=self.dice.pick(names),
            looks=self.dice.pick(looks.split(",")),
        )
        return self.bind(role, character)

    def creature(self, role: str, *kinds: str, looks: str = "") -> Character:
        """An animal without a name: of the kinds given, or any that is wise."""
        kind = self._animal_kind(kinds, WISE)
        self._used.add(kind.noun)
        looks = looks or kind.young
        character = Character(kind, self._bound_pronoun(), looks=self.dice.pick(looks.split(",")))
        return self.bind(role, character)

    def group(self, role: str, *members: str, noun: str = "") -> Group:
        """Several roles together, so that a script can say `they`."""
        return self.bind(role, Group(tuple(self.roles[m] for m in members), noun))

    def _animal_kind(self, kinds: Sequence[str], usual: Sequence[Kind]) -> Kind:
        """One of the kinds, or of the usual ones if none is given, that nobody in the story is."""
        choice = [KINDS[kind] for kind in kinds] or list(usual)
        return self.dice.pick([kind for kind in choice if kind.noun not in self._used] or choice)

    def _free_names(self, names: Sequence[str], role: str) -> Sequence[str]:
        """The names that may be given to a role and that nobody in the story has.

        In a smaller world the hero's are never another's while there are enough: a small model
        need not learn to compare the two, and a casting can bind the others'.
        """
        in_use = names[: self._names]
        free_for_all = self._names is None and not self._bound
        own = in_use if free_for_all else in_use[role != "hero" :: 2]
        free = [name for name in own if name not in self._used]
        return free or [name for name in in_use if name not in self._used]

    def _other_pronoun(self) -> str:
        """Mostly not the last character's pronoun, so that both can be used; never, if bound."""
        last = self._characters[-1].pronoun
        other = "he" if last == "she" else "she"
        return other if self._bound or self.dice.chance(0.8) else last

    def _bound_pronoun(self) -> str:
        """The pronoun of somebody whose name does not tell it: a casting binds it.

        It is therefore not taken from a child's, which is the story's own.
        """
        child = self.roles.get("world") == "child"
        if not self._characters or (self._bound and child):
            return _she_or_he(self.dice)
        return self._other_pronoun()

    def _named(self, role: str, kind: Kind, pronoun: str, names: tuple[str, ...]) -> Character:
        human = kind in (people.GIRL, people.BOY)
        dice = self._own if role == "hero" else self.dice
        name = dice.favour(self._free_names(names, role))
        self._used |= {name, kind.noun}
        character = Character(
            kind,
            pronoun,
            name=name,
            trait=dice.pick(people.TRAITS),
            looks=(dice if human else self.dice).pick(kind.young.split(",")),
            age=3 + int(dice.random() * 5),
        )
        if role == "hero":
            self.roles["world"] = "child" if human else "animal"
            self.bind("hobby", Phrase(dice.pick(CHILD_HOBBIES if human else ANIMAL_HOBBIES)))
            self.bind("day", dice.pick(DAYS))
        self.bind(role, character)
        return character

    # Things and places

    def thing(self, role: str, *tags: str, owner: str = "", noun: str = "") -> Thing:
        """An object that has all the tags (or one of the nouns, separated by commas)."""
        if noun:
            nouns = noun.split(",")
            kinds = tuple(kind for kind in THINGS if kind.noun in nouns)
        else:
            wanted = frozenset(tags)
            if wanted not in _BY_TAG:
                _BY_TAG[wanted] = tuple(kind for kind in THINGS if wanted <= kind.tags)
            kinds = _BY_TAG[wanted]
        kind = self.dice.pick(kinds)
        while kind.noun in self._used and len(kinds) > 2:
            kind = self.dice.pick(kinds)
        self._used.add(kind.noun)
        colour = self.dice.pick(COLOURS) if kind.coloured else ""
        adjective = ""
        if kind.adjectives and (not colour or self.dice.chance(0.4)):
            adjective = self.dice.pick(kind.adjectives)
        if adjective in COLOURS:
            adjective, colour = "", adjective
        thing = Thing(
            kind.noun,
            adjective=adjective,
            colour=colour,
            number=kind.number,
            use=self.dice.pick(kind.use),
            material=kind.material,
            owner=self.roles[owner] if owner else None,
        )
        return self.bind(role, thing)

    def prop(self, role: str, noun: str, adjectives: str, number: str = "one") -> Thing:
        """An object made for this plot only, with one of the adjectives."""
        adjective = self.dice.pick(adjectives.split(","))
        return self.bind(role, Thing(noun, adjective=adjective, number=number))

    def place(self, *tags: str, role: str = "place", noun: str = "") -> Place:
        """A place that has all the tags (or one of the nouns, separated by commas)."""
        if noun:
            nouns = noun.split(",")
            kinds = tuple(kind for kind in PLACES if kind.noun in nouns)
        else:
            wanted = frozenset(tags)
            if wanted not in _PLACES_BY_TAG:
                _PLACES_BY_TAG[wanted] = tuple(kind for kind in PLACES if wanted <= kind.tags)
            kinds = _PLACES_BY_TAG[wanted]
        kind = self.dice.pick(kinds)
        return self.bind(role, Place(kind.noun, kind.preposition, kind.spots))

    def spot(self, role: str, place: Place) -> str:
        """A spot in the place, the same whenever the story speaks of it."""
        return self.choose(role, *place.spots)

    def plan(self, script: str, *, summary: str, wish: str, obstacle: str, turn: str,
             resolution: str, moral: Sequence[str] = (), ending: str = "good") -> Plan:  # fmt: skip
        """The finished plan. `@moral` in the script tells one of the morals."""
        if moral:
            self.bind("moral", self._own.pick(moral))
        return Plan("", self.roles, script, summary, wish, obstacle, turn, resolution, ending)


def _she_or_he(dice: Dice) -> str:
    return "she" if dice.chance(0.5) else "he"


_COUNTRIES = frozenset({"meadow", "forest", "pond", "farm", "house"})


@dataclass(slots=True)
class PlotBook:
    """All plots, by name."""

    plots: dict[str, Callable[[Cast], Plan]] = field(default_factory=dict)

    def add(self, name: str) -> Callable[[Callable[[Cast], Plan]], Callable[[Cast], Plan]]:
        def register(make: Callable[[Cast], Plan]) -> Callable[[Cast], Plan]:
            assert name not in self.plots, name
            self.plots[name] = make
            return make

        return register

    def by_theme(self) -> list[list[str]]:
        """The plots' names, those of one theme (a module of plots) together."""
        themes: dict[str, list[str]] = {}
        for name, make in self.plots.items():
            themes.setdefault(make.__module__, []).append(name)
        return list(themes.values())


BOOK = PlotBook()
plot = BOOK.add
