"""The scored answers of many forms to the items of one scale, as reliability needs them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from instruments.schema import Instrument
from scoring.answers import checked, skip
from scoring.cutoffs import Floats, NotComputable
from scoring.errors import InvalidAnswers
from scoring.plan import plan_of


def scored_items(instrument: Instrument, scale_id: str, variant: str, forms: Iterable[Mapping[str, Any]]) -> Floats:
    """One row a form, one column an item of the scale: what each answer adds to the value, in points, as it is scored.

    Of a scale made of scales these are the items below it, without the weights of its parts. NaN is an item that is
    unanswered or does not apply; a form that does not fit the variant is all NaN.

    Raises
    ------
    NotComputable
        ``not-of-items``: the scale is a T score of goals, whose items differ from person to person.

    >>> from instruments import load
    >>> scored_items(load("who-5"), "total", load("who-5").variant_ids[0], [{"1": 5, "2": 3}])[0, :3].tolist()
    [20.0, 12.0, nan]
    """
    plan = plan_of(instrument, variant)
    scale = next(one for one in plan.scales if one.id == scale_id)
    if scale.goals is not None:
        raise NotComputable("not-of-items", "the scale is made of goals, which differ from person to person")
    places = scale.parts if scale.of_items else scale.leaves
    # what each of a complete form's items adds to the value, in points
    each = scale.multiplier[len(places)] / scale.denominator if scale.of_items else 1 / plan.unit
    weights = scale.weights if scale.of_items else (1,) * len(places)
    counted = scale.counted if scale.of_items else None
    rows = []
    for answers in forms:
        try:
            values = checked(plan, answers)
        except InvalidAnswers:
            rows.append([np.nan] * len(places))
            continue
        skip(plan, values)
        given = (None if (answer := values[place]) is None else plan.items[place].worth[answer] for place in places)
        row = [np.nan if worth is None else float(worth) for worth in given]
        if counted is not None:
            told = (float(values[place] in which) for place, which in zip(places, counted, strict=True))
            row = [worth if np.isnan(worth) else one for worth, one in zip(row, told, strict=True)]
        rows.append([worth * weight * each for worth, weight in zip(row, weights, strict=True)])
    return np.array(rows, np.float64).reshape(-1, len(places))
