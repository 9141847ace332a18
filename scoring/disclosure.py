"""Small-cell control of tables that are published with their margins.

A cell with fewer people than the threshold is suppressed, and with it as many others as it takes that nobody can work
the small one out, neither exactly nor to an upper end below the threshold. That is proven for every small cell before
a table is returned; where it cannot be proven within the bounds, everything is suppressed.

What is decided here, and why:

- **The unit is the person.** ``n_people`` decides what is small. People who answered in several years are counted in
  each year and once in the margin, so people do not add up over years, but their scores do; the proof holds against
  someone who knows every sum of scores and even how many people each line counts twice.
- **Zero is published** by default: that a group has no members is rarely about anybody. ``zeros="suppress"`` hides
  empty cells like small ones.
- **A suppressed cell gives nothing**: counts, mean, SD and rates are all None, since each gives the others away. Sums
  behind means and rates obey the same additions as the scores, so what hides the count hides them too.
- **One reason** for all suppressed cells (:data:`scoring.disclosure_table.SUPPRESSED`).
- **One table for all questions.** Protect the full lattice once and answer each question from it with
  ``ProtectedTable.group_by``; tables about the same people (the scales of an instrument) go through
  :func:`protect_together`, which gives them one pattern.
- **Not covered**: what a large cell says about its members (everybody recovered), and releases at different times.

References
----------
Fischetti & Salazar (2001), doi:10.1287/mnsc.47.7.1008.9807
Hundepool et al. (2012), Statistical Disclosure Control, doi:10.1002/9781118348239
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import numpy as np

from scoring.disclosure_attack import Clock, Search, Unproven
from scoring.disclosure_table import (
    EMPTY,
    Cell,
    Dimension,
    ProtectedTable,
    Table,
    protected_cell,
    seconds_allowed,
    whole_number,
)

__all__ = ["Cell", "Dimension", "ProtectedTable", "Table", "protect", "protect_together"]

Zeros = Literal["publish", "suppress"]

MOST_CELLS = 1500
"""Cells with margins beyond which a table is not tried: a proof would not come in time."""


def protect(
    table: Table, threshold: int, *, zeros: Zeros = "publish", seconds: float = 20.0, most_cells: int = MOST_CELLS
) -> ProtectedTable:
    """The table with small cells suppressed, and with them what would give them back.

    Parameters
    ----------
    table
        One to three dimensions with all margins.
    threshold
        Fewest people that a published cell may have; >= 2.
    zeros
        Whether empty cells are published as 0 or suppressed like small ones.
    seconds, most_cells
        Bounds of time and size. Beyond either everything is suppressed (``unproven``), which is a superset of any
        other answer, so that a slow machine and a fast one together give nothing away.

    Raises
    ------
    ValueError
        A threshold below 2, an unknown policy, or a negative bound.

    >>> region = Dimension("region", ("north", "south", "west"))
    >>> people = {("north",): 3, ("south",): 20, ("west",): 14, (None,): 37}
    >>> table = Table((region,), {key: Cell(n, n) for key, n in people.items()})
    >>> sorted(protect(table, 11).hidden)
    [('north',), ('west',)]
    """
    (found,) = protect_together({"": table}, threshold, zeros=zeros, seconds=seconds, most_cells=most_cells).values()
    return found


def protect_together(
    tables: Mapping[str, Table],
    threshold: int,
    *,
    zeros: Zeros = "publish",
    seconds: float = 20.0,
    most_cells: int = MOST_CELLS,
) -> dict[str, ProtectedTable]:
    """Tables about the same people, all with one pattern of suppression; parameters as in :func:`protect`.

    The scales of an instrument have nearly the same people in the same cells. Protected apart, one table could show
    what another hides. What is small in one is therefore hidden in all.

    Raises
    ------
    ValueError
        No table, or tables of different dimensions; and as :func:`protect`.
    """
    whole_number(threshold, 2, "threshold")
    whole_number(most_cells, 0, "most_cells")
    if zeros not in ("publish", "suppress"):
        raise ValueError(f"zeros must be 'publish' or 'suppress', got {zeros!r}")
    clock = Clock.start(seconds_allowed(seconds))
    every = list(tables.values())
    if len({table.lattice.keys for table in every}) != 1:
        raise ValueError("tables that are protected together must have the same dimensions and levels")
    keys = every[0].lattice.keys
    small = [(table.people < threshold) & ((table.people > 0) | (zeros == "suppress")) for table in every]
    unproven = len(keys) > most_cells
    hidden = np.ones(len(keys), bool)
    if not unproven:
        try:
            hidden = Search(every, threshold, clock).run(small)
        except Unproven:
            unproven = True
    return {
        name: ProtectedTable(
            dimensions=table.dimensions,
            threshold=threshold,
            cells=MappingProxyType(
                {
                    key: protected_cell(table.cells.get(key, EMPTY), hidden=bool(hide))
                    for key, hide in zip(keys, hidden, strict=True)
                }
            ),
            small=frozenset(key for key, hide in zip(keys, own, strict=True) if hide),
            complementary=frozenset(
                key for key, hide, is_small in zip(keys, hidden, own, strict=True) if hide and not is_small
            ),
            unproven=unproven,
        )
        for (name, table), own in zip(tables.items(), small, strict=True)
    }
