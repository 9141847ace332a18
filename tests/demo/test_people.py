"""The invented people: the same every time, of every kind, and every form one that the service would take."""

from __future__ import annotations

import itertools
import uuid
import zlib
from collections import Counter
from datetime import UTC, datetime, time, timedelta

import pytest

import instruments
import scoring
from api.care.tables import EpisodeRow, SessionRow
from api.clients.codes import END_REASONS, EPISODE_FORMATS, MODALITIES, SETTINGS
from api.clients.schemas import ClientCreate
from api.demo.clinic import Clinic, clinic
from api.demo.course import before_forms
from api.demo.people import Person, made_id, people
from api.demo.references import fitted
from api.demo.stories import corrections
from scoring.growth import MIN_PERSONS, GrowthModel
from scripts.demo_references import courses, used
from scripts.demo_references import fitted as fit

CLINIC = clinic()
DEMO = tuple(people(CLINIC, "demo", 240))
OTHER = tuple(people(CLINIC, "other", 20))
EVERYBODY = DEMO + OTHER


def _values(persons: tuple[Person, ...]) -> str:
    """Everything that is known of them and every score, as one text."""
    lines = [repr(person) for person in persons]
    for person in persons:
        for form in person.forms:
            result = scoring.score(instruments.load(form.instrument), form.answers)
            lines.append(f"{form.id} {[(scale, score.value, score.status) for scale, score in result.scores.items()]}")
    return "\n".join(lines)


def test_both_organisations_have_the_planned_number_of_people() -> None:
    assert {plan.slug: plan.people for plan in CLINIC.organisations} == {"demo": 240, "other": 20}
    assert (len(DEMO), len(OTHER)) == (240, 20)


def test_the_same_people_and_scores_come_every_time() -> None:
    again = tuple(people(CLINIC, "demo", 240))
    assert _values(again) == _values(DEMO)


def test_the_scores_are_those_of_every_machine_and_python() -> None:
    # The digest was taken on Python 3.11. It moves when clinic.yaml, the generator or a scoring rule does: then look
    # at what moved, and take it anew.
    scores = _values(OTHER)
    assert zlib.crc32(scores.encode()) == 1154661301


def test_another_seed_gives_other_people() -> None:
    other = CLINIC.model_copy(update={"seed": "another"})
    assert _values(tuple(people(other, "other", 20))) != _values(OTHER)


def test_one_person_more_changes_nobody_else() -> None:
    # A couple is not split, so the last person of the shorter list may be another one.
    assert tuple(people(CLINIC, "demo", 200))[:198] == DEMO[:198]


def test_every_id_is_a_version_7_and_stands_for_one_thing() -> None:
    ids = [person.id for person in EVERYBODY] + [form.id for person in EVERYBODY for form in person.forms]
    assert len(set(ids)) == len(ids)
    assert {made.version for made in ids} == {7}
    assert {made.variant for made in ids} == {uuid.RFC_4122}
    for person in DEMO:
        assert person.id.int >> 80 == round(person.created_at.timestamp() * 1000)


def test_a_made_id_follows_from_its_names() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
    assert made_id(at, "a", 1) == made_id(at, "a", 1)
    assert made_id(at, "a", 1) != made_id(at, "a", 2)


@pytest.mark.parametrize("persons", [DEMO, OTHER], ids=["demo", "other"])
def test_every_trajectory_is_present_in_its_proportion(persons: tuple[Person, ...]) -> None:
    found = Counter(person.trajectory for person in persons)
    for trajectory in CLINIC.trajectories:
        share = found[trajectory.name] / len(persons)
        assert share == pytest.approx(trajectory.of_twenty / 20, abs=0.08)


def test_drop_outs_come_at_most_three_times() -> None:
    for person in EVERYBODY:
        days = {form.answered_at.date() for form in person.forms}
        if person.trajectory == "drop-out":
            assert 1 <= len(days) <= 3


def test_scores_go_where_the_trajectory_says() -> None:
    """Means of the first and last score of one scale, over the people of a trajectory."""

    def change(trajectory: str, code: str, scale: str) -> float:
        changes = []
        for person in DEMO:
            if person.trajectory != trajectory:
                continue
            results = [
                scoring.score(instruments.load(code), form.answers) for form in person.forms if form.instrument == code
            ]
            values = [result.scores[scale].value for result in results if result.valid]
            known = [value for value in values if value is not None]
            if len(known) > 1:
                changes.append(known[-1] - known[0])
        assert len(changes) >= 10
        return sum(changes) / len(changes)

    assert change("improving", "fsfi", "total") > 6  # higher is better
    assert change("worsening", "fsfi", "total") < -3
    assert change("improving", "phq-9", "total") < -4  # higher is worse
    assert change("worsening", "phq-9", "total") > 2
    assert abs(change("flat", "gad-7", "total")) < 2


def test_couples_come_together_and_share_their_forms() -> None:
    couples: dict[str, list[Person]] = {}
    for person in DEMO:
        if person.couple is not None:
            couples.setdefault(person.couple, []).append(person)
    assert len(couples) >= 10
    for one, two in couples.values():
        assert one.partnered
        assert two.partnered
        assert one.trajectory == two.trajectory
        assert {form.answered_at.date() for form in one.forms} == {form.answered_at.date() for form in two.forms}
        assert {form.instrument for form in one.forms} & {form.instrument for form in two.forms}


def test_every_instrument_of_the_description_is_used_and_every_form_fits_who_fills_it_in() -> None:
    used = set()
    for person in EVERYBODY:
        for form in person.forms:
            used.add(form.instrument)
            applies = instruments.load(form.instrument).applicability
            assert not applies.organs or set(applies.organs) & set(person.organs)
            assert form.answers
            # Scoring refuses whatever is no option of its item.
            assert scoring.score(instruments.load(form.instrument), form.answers).instrument == form.instrument
    assert used == {code for one in CLINIC.presentations for member in one.members for code in member.forms}


def test_clients_pass_the_checks_of_the_api() -> None:
    for person in EVERYBODY:
        given = ClientCreate(
            external_id=person.external_id,
            birth_year=person.birth_year,
            gender=person.gender,
            organs=list(person.organs),
            partnered=person.partnered,
            research_consent=person.research_consent,
        )
        assert given.organs == list(person.organs)  # in the order in which the service keeps them
        assert {form.setting for form in person.forms} <= set(SETTINGS)


def test_some_answers_are_missing_and_some_do_not_apply() -> None:
    statuses: Counter[str] = Counter()
    flagged = absent = 0
    for person in DEMO:
        for form in person.forms:
            instrument = instruments.load(form.instrument)
            result = scoring.score(instrument, form.answers)
            statuses.update(score.status for score in result.scores.values())
            flagged += not result.valid
            absent += any(score.not_applicable for score in result.scores.values())
    assert statuses["complete"] > 0.85 * statuses.total()
    assert statuses["insufficient"] > 50
    assert statuses["prorated"] > 20
    assert flagged > 20
    assert absent > 50


def test_scales_of_one_form_agree_without_being_the_same() -> None:
    """Domains correlate as a common trait makes them, and not perfectly."""
    pairs = []
    for person in DEMO:
        for form in person.forms:
            if form.instrument == "fsfi":
                result = scoring.score(instruments.load("fsfi"), form.answers)
                one, two = result.scores["desire"].value, result.scores["arousal"].value
                if result.valid and one is not None and two is not None:
                    pairs.append((one, two))
    n = len(pairs)
    mean = [sum(values) / n for values in zip(*pairs, strict=True)]
    cross = sum((one - mean[0]) * (two - mean[1]) for one, two in pairs)
    spread = [sum((pair[place] - mean[place]) ** 2 for pair in pairs) for place in (0, 1)]
    assert 0.5 < cross / (spread[0] * spread[1]) ** 0.5 < 0.95


def test_times_lie_in_the_clinics_eighteen_months_and_in_order() -> None:
    end = datetime.combine(CLINIC.last_day, time.max, UTC)
    assert 530 < (CLINIC.last_day - CLINIC.first_day).days < 560
    for person in EVERYBODY:
        moments = [form.answered_at for form in person.forms]
        assert person.created_at < moments[0]
        assert moments == sorted(moments)
        assert moments[-1] <= end
        for code in {form.instrument for form in person.forms}:
            own = [form.answered_at for form in person.forms if form.instrument == code]
            assert all((later - earlier).days >= 7 for earlier, later in itertools.pairwise(own))


def test_a_description_with_an_unknown_member_is_refused() -> None:
    whole = CLINIC.model_dump(by_alias=True)
    assert Clinic.model_validate(whole) == CLINIC
    with pytest.raises(ValueError, match="Extra inputs are not permitted"):
        Clinic.model_validate(whole | {"surprise": 1})


def test_every_end_of_an_episode_is_somebodys_and_partners_share_theirs() -> None:
    ends: dict[str, set[str | None]] = {}
    episodes = [row for person in DEMO for row in before_forms(uuid.UUID(int=1), CLINIC, person)]
    whole = {row.client_id: row for row in episodes if isinstance(row, EpisodeRow)}
    for person in DEMO:
        ends.setdefault(person.couple or person.external_id, set()).add(whole[person.id].end_reason)
    assert all(len(reasons) == 1 for reasons in ends.values())
    assert {reason for reasons in ends.values() for reason in reasons} == {None, *END_REASONS}
    assert {row.modality for row in whole.values()} == set(MODALITIES)
    assert {row.format for row in whole.values()} == set(EPISODE_FORMATS)
    video = {True: {"telehealth"}, False: {"in-person"}}
    for row in episodes:
        if isinstance(row, SessionRow):
            of = next(one.modality for one in whole.values() if one.id == row.episode_id)
            assert of == "hybrid" or row.modality in video[of == "telehealth"]


def test_stories_are_of_people_and_forms_that_there_are() -> None:
    known = {person.external_id: person for person in DEMO}
    told = list(corrections(CLINIC, DEMO))
    assert len(told) == len(CLINIC.stories.corrected) + len(CLINIC.stories.misfiled)
    assert {*CLINIC.stories.seen_to, *CLINIC.stories.clinicians} <= known.keys()
    for story in told:
        assert story.right is None or story.first.answers != story.right.answers
        assert scoring.score(instruments.load(story.first.instrument), story.first.answers).valid
        corrected = story.first.answered_at + timedelta(days=story.days)
        assert story.person.created_at < story.first.answered_at < corrected < story.person.forms[-1].answered_at


def test_the_references_are_of_todays_definitions_and_hold() -> None:
    """Who changes a definition, or what is invented, runs `python -m scripts.demo_references` once more."""
    assert [one["instrument"] for one in fitted()] == used(CLINIC)
    for one in fitted():
        instrument = instruments.load(one["instrument"])
        assert (one["version"], one["definition"]) == (instrument.version, instrument.checksum)
        assert one["scale"] == instrument.overall_scale
        assert GrowthModel.of_document(one["model"]).document() == one["model"]
        assert one["persons"] >= MIN_PERSONS
        assert abs(one["report"]["holding"]["within_80"] - 0.8) < 0.05


@pytest.mark.long
def test_the_references_are_what_the_script_makes() -> None:
    instrument = instruments.load("pedt")
    (kept,) = [one for one in fitted() if one["instrument"] == "pedt"]
    made = fit(instrument, courses(CLINIC, ["pedt"])["pedt"])
    assert (made["persons"], made["observations"]) == (kept["persons"], kept["observations"])
    for name in ("intercept", "slope", "residual_variance"):
        assert made["model"][name] == pytest.approx(kept["model"][name], rel=1e-3)
