"""Whether the answers to one definition can be scored by another: they have to be answers to the same questions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from instruments import Instrument

Fault = tuple[str, str, str]
"""Member of the request, code, and what would have been right."""
MOST_NAMED: Final = 10


def faults(recorded: Instrument, to: Instrument, variant: str | None) -> Iterator[Fault]:
    """Why responses recorded by one definition cannot be scored by the other.

    A definition does not hold the questions' words, so what it says of them is compared: the items, and the options of
    each. An option more or less is a correction, and who chose one that is gone is told of. Where either has options
    that the other does not, the numbers mean something else, and no answer could tell.
    """
    common = [name for name in recorded.variant_ids if name in to.variant_ids]
    if variant is not None:
        for member, instrument in (("from_version", recorded), ("to_version", to)):
            if variant not in instrument.variant_ids:
                known = ", ".join(instrument.variant_ids)
                yield "variant", "unknown-variant", f"has to be one of {known}, those of the {member.replace('_', ' ')}"
        common = [name for name in common if name == variant]
    elif not common:
        yield "to_version", "other-variants", f"has a variant of {', '.join(recorded.variant_ids)}"
    yield from _questions(recorded, to, common)


def _questions(recorded: Instrument, to: Instrument, variants: list[str]) -> Iterator[Fault]:
    ours, theirs = ({item.id for item in one.items} for one in (recorded, to))
    if ours != theirs:
        yield (
            "to_version",
            "other-items",
            f"has the items of version {recorded.version}; not so: {_some(ours ^ theirs)}",
        )
        return
    differing: set[str] = set()
    for variant in variants:
        options = {item.id: set(item.options) for item in recorded.items_under(variant)}
        for item in to.items_under(variant):
            mine, other = options[item.id], set(item.options)
            if not (mine <= other or other <= mine):
                differing.add(item.id)
    if differing:
        detail = f"has the options of version {recorded.version}, or some more or fewer; not so: {_some(differing)}"
        yield "to_version", "other-options", detail


def _some(items: set[str]) -> str:
    named = sorted(items)
    return ", ".join(named[:MOST_NAMED]) + (" and more" if len(named) > MOST_NAMED else "")
