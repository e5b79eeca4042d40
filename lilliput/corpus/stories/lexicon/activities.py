"""What characters like to do, as verb phrases in the base form."""

from lilliput.corpus.stories.lexicon import phrases

CHILD_HOBBIES = tuple(
    """draw pictures of animals|climb trees|sing funny songs|build tall towers|look at the stars|
dance in the living room|read stories about dragons|collect smooth stones|play with blocks|
ride on the swings|help in the kitchen|make paper hats|ask questions|tell jokes|run fast|
jump in puddles|feed the ducks|watch the clouds|paint with bright colors|dig in the sand|
play hide and seek|make up stories|listen to the rain|catch leaves in the wind|count the birds|
pick flowers|play pirates|bake with grandma|look for bugs|whistle little tunes""".replace(
        "\n", ""
    ).split("|")
)

ANIMAL_HOBBIES = phrases(
    """play in the tall grass|sleep in the warm sun|look at the moon|sing little songs|
chase falling leaves|listen to the wind|tell jokes|explore new paths|roll down the hill|
collect smooth stones|smell the flowers|play hide and seek|count the stars|splash in puddles|
watch the clouds|ask questions|make new friends|dream about faraway places|help the others|
listen to old stories"""
)

SKILLS = phrases(
    """ride a bike|swim|whistle|tie a shoe|skip rope|juggle|skate|dive|write a name|play the flute|
do a handstand|catch a ball|bake bread|knit"""
)

# How a story's day begins.
DAYS = phrases(
    """one day|one day|one day|one morning|one afternoon|one sunny day|one bright morning|
one warm afternoon|early one morning|one Saturday|one Sunday|on a quiet morning|
one fine day|on a sunny afternoon|one lazy afternoon|one spring day|one summer morning|
on the first day of the week|one windy day|one cool morning|right after breakfast one day|
after lunch one day"""
)
