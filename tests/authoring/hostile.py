"""Definitions that mean harm, or are merely odd: well-formed ones at and beyond every limit, and broken ones."""

from __future__ import annotations

import random
from copy import deepcopy
from typing import Any

from tests.authoring.definitions import lamp

TEXTS = (
    "",
    "x",
    "__import__('os').system('id')",
    "');raise SystemExit(#",
    "{0.__class__}",
    "%s%n",
    "\u202e\u0000\ud7ff",
    "'''\n\"\"\"",
    "1e999999999",
    "-0",
    "NaN",
    "1_000",
    "½",
    "../../etc/passwd",
    "<script>",
    "a" * 6_000,
)
NUMBERS = (0, -1, 1, 10**4 + 1, 2**31, 2**53 - 1, 1e-9, 1e308, 0.1, -0.0, 1e-300, 123456789012345.6)
SOURCE = {"source": "invented", "evidence": "derived"}


def items(number: int, options: int = 5, **more: Any) -> list[dict[str, Any]]:
    """Plain items, from id 0 on."""
    return [{"id": str(at), "topic": "t", "options": list(range(options)), **more} for at in range(number)]


def scale(name: str, parts: list[str], high: float, *, kind: str = "items", **more: Any) -> dict[str, Any]:
    """A sum from 0 to ``high``."""
    made = {"id": name, "name": "n", kind: parts, "method": "sum", "min": 0, "max": high, "higher_is": "better"}
    return made | SOURCE | {"missing": {"rule": "all"}} | more


def grid(number: int, scales: int, variants: int = 1, *, size: int | None = None, options: int = 5) -> dict[str, Any]:
    """Each scale of ``size`` of the items, beginning one further on."""
    size = size or number
    made = [
        scale(f"s{at}", [str((at + part) % number) for part in range(size)], (options - 1) * size)
        for at in range(scales)
    ]
    names = [{"id": f"v{at}", "name": "n", **SOURCE} for at in range(variants)] if variants > 1 else None
    return lamp(items=items(number, options), scales=made, progress=None, variants=names)


def ruled(when: Any, *, number: int = 10, rules: int = 1) -> dict[str, Any]:
    """Some items, their sum, and caseness rules with one condition."""
    names = [str(at) for at in range(number)]
    caseness = [{"id": f"c{at}", "meaning": "m", "when": when, **SOURCE} for at in range(rules)]
    return lamp(items=items(number), scales=[scale("t", names, 4 * number)], progress=None, caseness=caseness)


def nested(depth: int, join: str = "not") -> dict[str, Any]:
    """A condition within conditions."""
    made: dict[str, Any] = {"item": "0", "at_least": 1}
    for _ in range(depth):
        made = {"not": made} if join == "not" else {join: [made, made]}
    return made


def chain(length: int, number: int = 50) -> dict[str, Any]:
    """Scales of scales of scales; each is rescaled, so that denominators multiply."""
    names = [str(at) for at in range(number)]
    made = [scale("s0", names, 4 * number)]
    for at in range(1, length):
        parts = [f"s{at - 1}", f"s{at - 2}"] if at > 1 else ["s0"]
        made.append(scale(f"s{at}", parts, 1, kind="scales", rescale=[0, 1 + at / 8]) | {"max": 1 + at / 8})
    return lamp(items=items(number), scales=made, progress=None)


def doubled(length: int) -> dict[str, Any]:
    """Every scale made of all before it: counted part by part, it is made of 2^length items."""
    made = [scale("s0", ["0", "1"], 8)]
    for at in range(1, length):
        made.append(scale(f"s{at}", [f"s{below}" for below in range(at)], 8 * 2 ** (at - 1), kind="scales"))
    return lamp(items=items(2), scales=made, progress=None)


MONSTERS: dict[str, dict[str, Any]] = {
    "every item in a hundred scales": grid(500, 100),
    "fifty variants": grid(20, 4, 50),
    "twenty variants of much": grid(100, 40, 20),
    "thousands of variants": lamp(variants=[{"id": f"v{at}", "name": "n", **SOURCE} for at in range(5_000)]),
    "thousands of items": lamp(items=items(5_000)),
    "thousands of options": lamp(items=items(3, 5_000)),
    "thousands of parts": lamp(scales=[scale("t", ["1"] * 20_000, 3)]),
    "thousands of unknown members": lamp() | {f"unknown{at}": at for at in range(20_000)},
    "thousands of wrong rules": lamp(caseness=[0] * 20_000),
    "a long text": lamp(measures="x" * 900_000),
    "a long name of a member": lamp() | {"x" * 900_000: 1},
    "a long id": lamp(scales=[scale("x" * 100_000, ["1", "2"], 6)]),
    "a number without end": lamp(minutes="9" * 100_000),
    "a huge exponent": lamp(
        norms=[
            {
                "id": "n",
                "scale": "ease",
                "sample": "s",
                "population": "clinical",
                "mean": "1e999999999",
                "sd": "1e-999999999",
                **SOURCE,
            }
        ]
    ),
    "a huge factor": lamp(scales=[lamp()["scales"][0] | {"factor": 1e15, "max": 3e15}]),
    "a count of many": ruled({"count": ["0"] * 20_000, "at_least": 1, "needed": 1}),
    "one of many": ruled({"item": "0", "one_of": list(range(20_000))}),
    "many counts": ruled(
        {"all": [{"count": [str(at) for at in range(100)], "at_least": 1, "needed": 1}] * 100}, number=100, rules=3
    ),
    "a condition that doubles": ruled(nested(15, "all")),
    "flags on everything": lamp(
        items=items(100),
        scales=[scale(f"s{at}", [str(at), "0"] if at else ["0", "1"], 8) for at in range(100)],
        progress=None,
        validity=[
            {
                "id": f"f{at}",
                "meaning": "m",
                "when": {"item": "0", "at_least": 0},
                "scales": [f"s{one}" for one in range(100)],
                **SOURCE,
            }
            for at in range(60)
        ],
    ),
    "every scale of all before it": doubled(100),
}
"""Each is to be refused for its size, in steps that do not grow with what it asks for."""

EDGES: dict[str, dict[str, Any]] = {
    "the most items": grid(500, 18),
    "the most variants": grid(20, 4, 20),
    "the most options": grid(20, 2, options=101),
    "deep": ruled(nested(25), rules=100),
    "wide": ruled(nested(8, "any"), number=20),
    "a chain": chain(6),
    "a long chain": chain(60),
    "doubled": doubled(20),
    "any number answered": grid(30, 100)
    | {
        "scales": [
            scale(f"s{at}", [str((at + part) % 30) for part in range(30)], 4, method="mean")
            | {"missing": {"rule": "prorate", "min_answered": 1}}
            for at in range(60)
        ]
    },
}
"""Each is within the limits: it is compiled and scored, or refused for what it contradicts."""


def mutated(seed: int) -> dict[str, Any]:
    """A definition with some of its values replaced, taken away, repeated, or moved elsewhere."""
    chance = random.Random(seed)
    sources = [lamp(), grid(6, 4, 2), ruled(nested(4, "any"), rules=2), chain(4), *[deepcopy(EDGES["doubled"])]]
    made = deepcopy(chance.choice(sources))
    for _ in range(chance.randint(0, 4)):
        change(made, chance)
    return made


def change(made: dict[str, Any], chance: random.Random) -> None:
    """Put something else in the place of one value somewhere within."""
    parent: Any = made
    step: Any = chance.choice(list(made))
    while isinstance(parent[step], dict | list) and parent[step] and chance.random() < 0.8:
        parent = parent[step]
        step = chance.choice(list(parent)) if isinstance(parent, dict) else chance.randrange(len(parent))
    here = parent[step]
    match chance.randrange(6):
        case 0:
            parent[step] = chance.choice(TEXTS)
        case 1:
            parent[step] = chance.choice(NUMBERS)
        case 2:
            parent[step] = deepcopy(chance.choice([None, True, [], {}, [here], {"x": here}]))
        case 3 if isinstance(here, list) and here:
            here.append(deepcopy(chance.choice(here)))
        case 4:
            other = chance.choice(list(made.values()))
            parent[step] = deepcopy(other)
        case _ if isinstance(parent, dict):
            parent[chance.choice(TEXTS[:4])] = parent.pop(step)
        case _:
            del parent[step]
