"""Writing a definition as YAML that reads back as the same definition, checksum and all."""

from __future__ import annotations

from typing import Any

import yaml

from instruments.schema import Instrument

_WIDTH = 120


class _Dumper(yaml.SafeDumper):
    """Short lists and mappings in one line, as definitions are written by hand; no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def plain(instrument: Instrument) -> dict[str, Any]:
    """The content as plain data, what is at its default left out; decimals are text. The checksum is made of it."""
    content: dict[str, Any] = instrument.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return content


def to_yaml(instrument: Instrument) -> str:
    """The definition as YAML text, members in the order of the schema."""
    return yaml.dump(
        plain(instrument),
        Dumper=_Dumper,
        allow_unicode=True,
        sort_keys=False,
        width=_WIDTH,
        default_flow_style=None,
    )
