"""The definitions that ship with the project, read when they are first asked for."""

from __future__ import annotations

from functools import cached_property, lru_cache
from pathlib import Path
from threading import Lock

from instruments.loader import read_file, read_listed_file
from instruments.schema import Instrument, Listed

DEFINITIONS = Path(__file__).parent / "definitions"
LISTED = Path(__file__).parent / "listed"


class UnknownInstrument(KeyError):
    """No definition of that code, or none of that version."""

    def __init__(self, code: str, version: int | None = None) -> None:
        self.code, self.version = code, version
        super().__init__(code if version is None else f"{code}@{version}")

    def __str__(self) -> str:
        what = f"instrument {self.code!r}" if self.version is None else f"version {self.version} of {self.code!r}"
        return f"there is no {what}"


class NotScorable(UnknownInstrument):
    """There is no definition, because a fact about its scoring is not known; ``listed`` says which."""

    def __init__(self, listed: Listed) -> None:
        super().__init__(listed.code)
        self.listed = listed

    def __str__(self) -> str:
        return f"{self.code!r} cannot be scored. Missing: {'; '.join(fact.rstrip('.') for fact in self.listed.missing)}"


class Catalogue:
    """All definitions of a folder, by code and version, and what is listed although it cannot be scored.

    File names are read once; a file's content when that instrument is first used. A newer version never replaces an
    older one: answers stay with the version that they were given to.
    """

    def __init__(self, folder: Path = DEFINITIONS, listed: Path | None = None) -> None:
        self._folder = folder
        self._listed = listed if listed is not None else LISTED if folder == DEFINITIONS else None
        self._read: dict[tuple[str, int], Instrument] = {}
        self._newest: dict[str, Instrument] = {}
        self._lock = Lock()

    @cached_property
    def versions(self) -> dict[str, tuple[int, ...]]:
        """Code to its versions, oldest first."""
        found: dict[str, list[int]] = {}
        for path in sorted(self._folder.glob("*@*.yaml")):
            code, _, version = path.stem.rpartition("@")
            if version.isdecimal():
                found.setdefault(code, []).append(int(version))
        return {code: tuple(sorted(versions)) for code, versions in sorted(found.items())}

    @cached_property
    def listed(self) -> dict[str, Listed]:
        """Code to the entry of a questionnaire that cannot be scored; read when first asked for."""
        files = sorted(self._listed.glob("*.yaml")) if self._listed is not None else []
        return {path.stem: read_listed_file(path) for path in files}

    @property
    def codes(self) -> tuple[str, ...]:
        """Every code, sorted."""
        return tuple(self.versions)

    def get(self, code: str, version: int | None = None) -> Instrument:
        """The definition of a version, or of the newest one.

        Raises
        ------
        UnknownInstrument
            No such code or version; :class:`NotScorable` where the code is listed only.
        DefinitionError
            The file cannot be used.
        """
        if version is None:
            instrument = self._newest.get(code)
            if instrument is None:
                versions = self.versions.get(code)
                if versions is None:
                    raise self._unknown(code, None)
                instrument = self._newest[code] = self.get(code, versions[-1])
            return instrument
        instrument = self._read.get((code, version))
        if instrument is None:
            if version not in self.versions.get(code, ()):
                raise self._unknown(code, version)
            with self._lock:
                instrument = self._read.setdefault((code, version), read_file(self._folder / f"{code}@{version}.yaml"))
        return instrument

    def _unknown(self, code: str, version: int | None) -> UnknownInstrument:
        listed = self.listed.get(code)
        return UnknownInstrument(code, version) if listed is None else NotScorable(listed)


@lru_cache(maxsize=1)
def catalogue() -> Catalogue:
    """The catalogue that ships with the project."""
    return Catalogue()


def load(code: str, version: int | None = None) -> Instrument:
    """The definition of an instrument: a version, or the newest one.

    Raises
    ------
    UnknownInstrument
        No such code or version; :class:`NotScorable` where the code is listed only.
    """
    return catalogue().get(code, version)
