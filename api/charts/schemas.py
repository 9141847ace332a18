"""How pictures are asked for."""

from __future__ import annotations

import uuid
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from api.caseload.schemas import CaseloadQuery
from api.charts.style import NARROWEST, USUAL, WIDEST
from api.couple_progress.schemas import CoupleProgressQuery
from api.problems import RequestInvalid
from api.progress.schemas import ChartQuery, Code
from api.times import PastTime
from scoring.phrases import LANGUAGES

SCREEN, PRINTER, FINEST = 72, 144, 600
MOST_PIXELS: Final = 8192
"""Of a PNG's width."""


def _known(tag: str) -> str:
    if tag not in LANGUAGES:
        raise PydanticCustomError("unknown_language", "is one of {tags}", {"tags": ", ".join(LANGUAGES)})
    return tag


Language = Annotated[str, AfterValidator(_known), Field(json_schema_extra={"enum": list(LANGUAGES)})]
Width = Annotated[int, Field(ge=NARROWEST, le=WIDEST)]
Ppi = Annotated[int, Field(ge=SCREEN, le=FINEST)]
Theme = Literal["light", "dark", "print"]

_WIDTH: Final = "Of the picture, in pixels, about; beyond 1600 it is enlarged, for posters"
_THEME: Final = "`print` has greys alone"
_LANGUAGE: Final = "Of sentences, labels, numbers and dates; names of instruments stay what they are"
_PPI: Final = f"Of a PNG: pixels per inch, {SCREEN} as laid out; at most {MOST_PIXELS} pixels wide"


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SeriesQuery(ChartQuery):
    """Which series, and how it looks."""

    width: Width = Field(default=USUAL, description=_WIDTH)
    theme: Theme = Field(default="light", description=_THEME)
    language: Language = Field(default="en", description=_LANGUAGE)
    ppi: Ppi = Field(default=PRINTER, description=_PPI)


class ScalesQuery(_Closed):
    """Of what the scales are, and how they look."""

    instrument: Code | None = Field(
        default=None, description="Code of an instrument; without it, every one that the client has answered"
    )
    episode: uuid.UUID | None = Field(default=None, description="Only responses of this episode of the client")
    as_of: PastTime | None = Field(default=None, description="What was recorded at this time, and nothing later")
    width: Width = Field(default=USUAL, description=_WIDTH)
    theme: Theme = Field(default="light", description=_THEME)
    language: Language = Field(default="en", description=_LANGUAGE)
    ppi: Ppi = Field(default=PRINTER, description=_PPI)


class LookQuery(_Closed):
    """How a picture looks."""

    width: Width = Field(default=USUAL, description=_WIDTH)
    theme: Theme = Field(default="light", description=_THEME)
    language: Language = Field(default="en", description=_LANGUAGE)
    ppi: Ppi = Field(default=PRINTER, description=_PPI)


class CoupleChartQuery(CoupleProgressQuery):
    """Which two of a couple, on which scale, and how it looks."""

    instrument: Code = Field(description="Code of an instrument")
    scale: Code | None = Field(
        default=None, description="One of its scales; without it `total`, or the first where there is no `total`"
    )
    pair: int = Field(default=1, ge=1, description="Of a couple of more than two: which of `pairs`, from 1")
    width: Width = Field(default=USUAL, description=_WIDTH)
    theme: Theme = Field(default="light", description=_THEME)
    language: Language = Field(default="en", description=_LANGUAGE)
    ppi: Ppi = Field(default=PRINTER, description=_PPI)


class CaseloadChartQuery(CaseloadQuery):
    """Whose clients, which of them, and how the picture looks."""

    width: Width = Field(default=USUAL, description=_WIDTH)
    theme: Theme = Field(default="light", description=_THEME)
    language: Language = Field(default="en", description=_LANGUAGE)
    ppi: Ppi = Field(default=PRINTER, description=_PPI)


Look = SeriesQuery | ScalesQuery | LookQuery | CoupleChartQuery | CaseloadChartQuery


def fineness(query: Look) -> int:
    """Pixels per inch for a PNG: those that were asked for; without any the usual ones, or as many as fit.

    Raises
    ------
    RequestInvalid
        The picture would have more pixels than are drawn.
    """
    most = MOST_PIXELS * SCREEN // query.width
    if query.ppi > most and "ppi" in query.model_fields_set:
        detail = f"is at most {most} with this width: the picture is at most {MOST_PIXELS} pixels wide"
        raise RequestInvalid(errors=[{"parameter": "ppi", "in": "query", "code": "too-large", "detail": detail}])
    return min(query.ppi, most)
