"""A certificate to be read by people."""

from __future__ import annotations

import textwrap

from api.audit.chain import time_text
from api.erasure.schemas import ErasureRead

_WIDTH = 100


def as_text(erasure: ErasureRead) -> str:
    """The certificate in words, and at its end the exact text that was signed with what it takes to check that."""
    lines = [
        "Certificate of erasure",
        "",
        f"Erasure        {erasure.id}",
        f"Client         {erasure.client_id}",
        f"Erased at      {time_text(erasure.erased_at)}",
        f"By             {erasure.erased_by}",
        f"Reason         {erasure.reason}",
        f"Key destroyed  {erasure.key_fingerprint or 'it could not be opened any more'}",
        "",
        "Rows removed",
        *(f"  {table}: {rows}" for table, rows in sorted(erasure.removed.items()) if rows),
        "",
        "What is kept, and why",
        *(f"  {one.table}: {one.rows} ({one.why})" for one in erasure.remains),
        "  this tombstone, so that nothing brings the client back unnoticed",
        "",
        "Backups that cannot be opened for this client any more",
        *(
            f"  {one.folder}: {'not yet' if one.reached_at is None else 'since ' + time_text(one.reached_at)}"
            for one in erasure.backups
        ),
        *(() if erasure.backups else ("  the service was told of no folder of backups",)),
        "",
        *textwrap.wrap(_copies(erasure), _WIDTH),
        "",
        "What was signed (Ed25519, over these bytes in UTF-8)",
        erasure.certificate.statement,
        "",
        f"Signature   {erasure.certificate.signature}",
        f"Public key  {erasure.certificate.public_key['x']} (id {erasure.certificate.public_key['kid']})",
    ]
    return "\n".join(lines) + "\n"


def _copies(erasure: ErasureRead) -> str:
    if erasure.log_days is None:
        return (
            "The operator did not say for how long archives of the server's log and copies of its disk are kept. Until "
            "the last of them is gone, rows of the client may be in them."
        )
    return (
        f"Archives of the server's log and copies of its disk are kept for {erasure.log_days} days, as the operator "
        f"says. Until {erasure.log_until} rows of the client may be in them."
    )
