"""Look for secrets in every tracked file with detect-secrets; `.secrets.baseline` holds the audited false alarms."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from detect_secrets.core.secrets_collection import SecretsCollection
from detect_secrets.settings import transient_settings

ROOT = Path(__file__).resolve().parents[1]
BASELINE = ".secrets.baseline"
SKIPPED = {
    BASELINE,
    "requirements.lock",
    "requirements-dev.lock",
    "api/demo/references.json",
    "instruments/definitions/published.json",
    "tests/definitions_bad/alias-of-itself.yaml",
}
"""Locks and checksums of definitions are nothing but hashes, which look like secrets; the baseline holds hashes of its
own; and the scanner would follow the alias that stands for itself for ever."""


def tracked(root: Path) -> list[str]:
    """Paths that git knows, relative to ``root``, in order."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, check=True, capture_output=True).stdout
    return sorted(path for path in listed.decode().split("\0") if path and (root / path).is_file())


def scan(root: Path, paths: list[str], configuration: dict[str, Any]) -> list[tuple[str, int, str, str]]:
    """File, line, kind and hash of everything that looks like a secret."""
    found = SecretsCollection(root=str(root))
    with transient_settings(configuration):
        for path in paths:
            found.scan_file(path)
    return sorted((path, secret.line_number, secret.type, secret.secret_hash) for path, secret in found)


def main(root: Path = ROOT) -> int:
    """Exit status: 0 if nothing new was found and no audited alarm is stale, 1 otherwise."""
    baseline = json.loads((root / BASELINE).read_text(encoding="utf-8"))
    audited: set[tuple[str, str]] = set()
    faults: list[str] = []
    for path, alarms in baseline["results"].items():
        for alarm in alarms:
            if alarm.get("is_secret") is not False:
                faults.append(f"{BASELINE}: the alarm in {path} is not audited as a false one")
            audited.add((path, alarm["hashed_secret"]))
    configuration = {name: baseline[name] for name in ("plugins_used", "filters_used")}
    alarms_now = scan(root, [path for path in tracked(root) if path not in SKIPPED], configuration)
    faults += [f"{path}:{line}: {kind}" for path, line, kind, digest in alarms_now if (path, digest) not in audited]
    seen = {(path, digest) for path, _, _, digest in alarms_now}
    faults += [f"{BASELINE}: nothing is left of the alarm in {path}; remove it" for path, _ in sorted(audited - seen)]
    for fault in faults:
        print(fault)
    print(f"secrets: {len(faults)} faults" if faults else f"secrets: none ({len(audited)} audited false alarms)")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
