"""Growth models: the course that is expected of a client, and whether the client is on it.

`model` has the arithmetic, `trajectory` the signal, `reference` what a course is held against: all cheap. `fit` and
`slopes` estimate a model from many persons' scores; they load statsmodels and are never run in a request.
"""

from scoring.growth.model import CLOCKS, Clock, Course, FromBaseline, GrowthModel, Person
from scoring.growth.reference import MIN_AT_HORIZON, MIN_PERSONS, MIN_WITH_THREE, NO_REFERENCE, Origin, Reference
from scoring.growth.trajectory import Status, described, expected, weeks_between

__all__ = [
    "CLOCKS",
    "MIN_AT_HORIZON",
    "MIN_PERSONS",
    "MIN_WITH_THREE",
    "NO_REFERENCE",
    "Clock",
    "Course",
    "FromBaseline",
    "GrowthModel",
    "Origin",
    "Person",
    "Reference",
    "Status",
    "described",
    "expected",
    "weeks_between",
]
