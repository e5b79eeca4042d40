"""Names, traits and the kinds of people."""

from lilliput.corpus.stories.characters import Kind
from lilliput.corpus.stories.lexicon import words

GIRLS = words(
    """Lily Mia Anna Emma Sara Lucy Zoe Ella Nora Ruby Daisy Molly Amy Tina Nina Kate Jane Rosie
Maya Lena Ivy Poppy Ada Bella Clara Eva Fay Gina Hanna Ida Julia Kim Lola Nell Olive Penny Rita
Sally Tessa Uma Vera Wendy Holly Mina Leah Dora"""
)
BOYS = words(
    """Tom Tim Ben Sam Max Leo Jack Noah Finn Owen Jake Luke Dan Billy Peter Adam Oscar Eli Theo
Henry Hugo Ian Joe Karl Liam Mike Nick Otto Paul Ravi Toby Victor Walter Zack Felix Gus Ollie Roy
Andy Bobby Danny Freddy George Harry Jimmy Kevin"""
)
ANIMAL_NAMES = words(
    """Pip Bibi Coco Momo Tiko Nibbles Biscuit Pepper Button Clover Hazel Juniper Maple Willow
Bramble Fern Moss Pebble Rusty Sandy Sunny Misty Dusty Fluffy Snowy Patch Spot Cookie Honey
Ginger Peanut Pumpkin Tilly Bobo Dodo Fifi Gigi Kiki Lulu Nana Pogo Zuzu Teddy Toto Wiggles
Bounce Dash Flick Twig"""
)
ANIMAL_NAMES = tuple(name for name in ANIMAL_NAMES if not name.endswith("s"))

TRAITS = words(
    """kind curious brave shy clever cheerful gentle friendly quiet careful helpful funny busy
proud silly playful polite patient stubborn thoughtful"""
)

GIRL = Kind("girl", move="walk", young="little,young,small")
BOY = Kind("boy", move="walk", young="little,young,small")

# Grown-ups a story may meet: noun, pronoun, looks.
GROWN_UPS = {
    "farmer": (Kind("farmer", "farm"), "old,kind,tall"),
    "baker": (Kind("baker", "bakery"), "kind,round,jolly"),
    "gardener": (Kind("gardener"), "old,quiet,kind"),
    "fisherman": (Kind("fisherman", "boat"), "old,kind,tall"),
    "sailor": (Kind("sailor", "ship"), "old,tall,jolly"),
    "teacher": (Kind("teacher", "school"), "kind,young,tall"),
    "doctor": (Kind("doctor"), "kind,gentle,busy"),
    "neighbor": (Kind("neighbor"), "old,kind,friendly"),
    "man": (Kind("man"), "old,kind,tall"),
    "woman": (Kind("woman"), "old,kind,tall"),
    "policeman": (Kind("policeman"), "tall,kind,friendly"),
    "shopkeeper": (Kind("shopkeeper", "shop"), "old,kind,busy"),
    "painter": (Kind("painter"), "old,quiet,kind"),
    "wizard": (Kind("wizard", "tower"), "old,funny,wise"),
    "fairy": (Kind("fairy", "flower", move="fly"), "tiny,kind,shining"),
    "giant": (Kind("giant", "castle"), "huge,lonely,gentle"),
    "king": (Kind("king", "castle"), "old,rich,grumpy"),
    "queen": (Kind("queen", "castle"), "wise,old,kind"),
    "princess": (Kind("princess", "castle"), "young,clever,brave"),
    "prince": (Kind("prince", "castle"), "young,clever,brave"),
}
ALWAYS_HE = frozenset({"fisherman", "man", "policeman", "wizard", "king", "prince"})
ALWAYS_SHE = frozenset({"woman", "fairy", "queen", "princess"})

MOTHERS = ("mom", "mom", "mother", "mama", "mommy")
FATHERS = ("dad", "dad", "father", "papa", "daddy")
