"""Plain English for words of offices and papers: the map that `Simplify` uses without a file."""

_TABLE = """
abandon: leave | accelerate: speed up | accompany: go with | accomplish: do | accumulate: collect
accurate: correct | acquire: get | additional: extra | adjacent: next | advantageous: helpful
allocate: give | alteration: change | ameliorate: improve | anticipate: expect | apparent: clear
appropriate: right | approximately: about | ascertain: find out | assist: help | assistance: help
attain: reach | attempt: try | beneficial: helpful | beverage: drink | capability: ability
cease: stop | commence: start | compel: force | comprehend: understand
comprise: include | conceal: hide | concerning: about | conclude: end | conclusion: end
consequently: so | considerable: big | construct: build | consume: use
contemplate: think about | courageous: brave | currently: now | demonstrate: show | depart: leave
designate: choose | detrimental: harmful | difficulty: problem | diminish: reduce | disclose: show
discontinue: stop | disseminate: spread | dwell: live | dwelling: home | elevate: raise
eliminate: remove | emphasize: stress | encounter: meet | endeavor: try | endeavour: try
enhance: improve | enormous: huge | enquire: ask | ensure: make sure | erroneous: wrong
error: mistake | establish: set up | evident: clear | exceedingly: very | expedite: speed up
expend: spend | expenditure: cost | extremely: very | fabricate: make | facilitate: help
finalize: finish | fortunate: lucky | frequently: often | fundamental: basic | furthermore: also
generate: make | hazardous: dangerous | hence: so | illustrate: show | immediately: at once
impede: block | implement: carry out | inception: start | indicate: show | initiate: start
inquire: ask | inquiry: question | intention: plan | large: big | locate: find | manufacture: make
magnitude: size | methodology: method | modify: change | moreover: also | necessitate: need
nevertheless: still | notify: tell | numerous: many | observe: watch | obtain: get
occasionally: sometimes | occupation: job | occur: happen | option: choice
participate: take part | perceive: see | portion: part | possess: have | prior: earlier
probability: chance | proceed: go | procure: get | prohibit: forbid | purchase: buy | rapid: fast
rapidly: fast | receive: get | recollect: remember | relocate: move | remain: stay | require: need
requirement: need | reside: live | residence: home | response: answer
retain: keep | select: choose | selection: choice | significant: important | solely: only
subsequent: later | subsequently: later | substantial: big | terminate: end | therefore: so
transmit: send | utilise: use | utilize: use | velocity: speed | verify: check | whilst: while
in order to: to | due to the fact that: because | in the event that: if | prior to: before
with regard to: about | in addition to: besides | at this point in time: now
"""


def _read(table: str) -> dict[str, str]:
    entries = (entry.partition(":") for line in table.splitlines() for entry in line.split("|"))
    return {hard.strip(): easy.strip() for hard, _, easy in entries if easy}


PLAIN_WORDS = _read(_TABLE)
