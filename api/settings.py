"""Everything that can be set from outside, in one frozen class.

Read from the environment (prefix ``FATHOMLINE_``) and from ``.env`` in the working directory. `create_app` takes the
result, so tests pass their own; nothing else in the project reads the environment. docs/settings.md lists them.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

MASTER_KEY_MIN_LENGTH = 43
"""Characters: 32 random bytes are 43 in base64 without padding, 64 in hexadecimal."""

Algorithm = Literal["ES256", "ES384", "RS256", "RS384"]
PageRole = Literal["clinician", "admin", "researcher"]
"""Roles for which there are pages; `ehr` is a machine's."""
SLUG: Final = r"^[a-z0-9][a-z0-9-]{0,62}$"


class SettingsError(Exception):
    """A setting is missing or contradicts another; the message is one line and says what to do."""


class IssuerSettings(BaseModel):
    """One trusted issuer of tokens. The organisation is decided here, never by a claim of the token."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    issuer: str = Field(min_length=1, description="Exact value of the `iss` claim")
    organisation: str = Field(pattern=SLUG, description="Slug of its organisation")
    audience: str = Field(min_length=1, description="Exact value that `aud` must contain")
    algorithms: tuple[Algorithm, ...] = Field(default=("ES256",), min_length=1, description="Signature algorithms")
    jwks: dict[str, Any] | None = Field(default=None, description="Pinned public keys, a JSON Web Key Set")
    jwks_uri: str | None = Field(default=None, pattern=r"^https?://", description="Where to fetch the public keys")

    @model_validator(mode="after")
    def _keys_come_from_one_place(self) -> Self:
        if (self.jwks is None) == (self.jwks_uri is None):
            raise ValueError("give exactly one of jwks and jwks_uri")
        return self


class SignInSettings(BaseModel):
    """The OpenID provider at which people sign in to the pages, and what its claims mean here."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    issuer: str = Field(pattern=r"^https?://[^?#\s]+$", description="Issuer identifier; the rest is discovered from it")
    client_id: str = Field(min_length=1, max_length=500, description="Of this service, as the provider knows it")
    client_secret: SecretStr | None = Field(default=None, min_length=1, description="Without one: a public client")
    client_secret_file: Path | None = Field(default=None, description="File that holds the secret instead")
    scopes: str = Field(default="openid", pattern=r"^openid( [\x21\x23-\x5b\x5d-\x7e]+)*$", description="Asked for")
    algorithms: tuple[Algorithm, ...] = Field(default=("RS256",), min_length=1, description="Of ID tokens")
    organisation: str | None = Field(
        default=None, pattern=SLUG, description="Slug of the one organisation whose people the provider knows"
    )
    organisation_claim: str | None = Field(default=None, min_length=1, description="Claim that names it instead")
    organisations: dict[str, Annotated[str, Field(pattern=SLUG)]] = Field(
        default_factory=dict, description="What that claim says to slug; empty: it says the slug"
    )
    subject_claim: str = Field(
        default="sub", min_length=1, description="Claim that says who it is: best the clinician's id in episodes"
    )
    role_claim: str = Field(default="role", min_length=1, description="Claim that holds the role, or a list with it")
    roles: dict[str, PageRole] = Field(
        default={"clinician": "clinician", "admin": "admin", "researcher": "researcher"},
        min_length=1,
        description="What that claim says to role; of several the first in this order",
    )

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        if (self.organisation is None) == (self.organisation_claim is None):
            raise ValueError("give exactly one of organisation and organisation_claim")
        if self.client_secret is not None and self.client_secret_file is not None:
            raise ValueError("give one of client_secret and client_secret_file, not both")
        return self

    def secret(self) -> str | None:
        """The client's secret, if it has one.

        Raises
        ------
        SettingsError
            Its file cannot be read, or is empty.
        """
        if self.client_secret_file is None:
            return None if self.client_secret is None else self.client_secret.get_secret_value()
        try:
            text = self.client_secret_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            raise SettingsError(f"cannot read the client secret from {self.client_secret_file}: {reason}") from error
        if not text:
            raise SettingsError(f"the client secret's file {self.client_secret_file} is empty")
        return text


class Settings(BaseSettings):
    """The settings of one process."""

    model_config = SettingsConfigDict(
        env_prefix="FATHOMLINE_", env_file=".env", extra="ignore", frozen=True, populate_by_name=True
    )

    data: Path = Field(
        default=Path("data"), description="Folder of everything kept on disk: embedded database, generated keys"
    )
    database_url: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("FATHOMLINE_DATABASE_URL", "DATABASE_URL"),
        description="PostgreSQL 15 or later, as the service role; unset: the embedded server",
    )
    database_owner_url: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("FATHOMLINE_DATABASE_OWNER_URL", "DATABASE_OWNER_URL"),
        description="The same database as the role that owns the tables; used by migrate, backup and restore only",
    )
    pool_size: int = Field(default=10, ge=1, le=500, description="Connections a process keeps for ordinary requests")
    write_pool_size: int = Field(default=10, ge=1, le=500, description="Connections a process keeps for recording")
    statement_timeout: float = Field(
        default=30.0, gt=0, description="Seconds after which PostgreSQL gives up a statement of the service"
    )
    master_key: SecretStr | None = Field(
        default=None,
        min_length=MASTER_KEY_MIN_LENGTH,
        description="Wraps clients' keys and keys the look-up hash: 32 random bytes in base64 or hex; no default",
    )
    master_key_file: Path | None = Field(default=None, description="File that holds the master key instead")
    master_key_previous: SecretStr | None = Field(
        default=None,
        min_length=MASTER_KEY_MIN_LENGTH,
        description="Another master key that is read but not written with, while one replaces the other",
    )
    master_key_previous_file: Path | None = Field(default=None, description="File that holds that other key instead")
    generate_master_key: bool = Field(
        default=False, description="Development only: make a master key in the data folder where none is set"
    )
    development_issuer: bool = Field(
        default=False, description="Accept tokens of `fathomline token`, signed with a key in the data folder"
    )
    issuers: tuple[IssuerSettings, ...] = Field(default=(), description="Trusted issuers of tokens, a JSON list")
    public_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/?#\s@]+/?$",
        description="Address at which people reach the pages, such as `https://outcomes.clinic.example`",
    )
    sign_in: SignInSettings | None = Field(
        default=None, description="OpenID provider at which people sign in to the pages, a JSON object"
    )
    session_idle_minutes: float = Field(
        default=30.0, gt=0, le=1_440, description="Minutes without a page after which people have to sign in again"
    )
    session_hours: float = Field(
        default=10.0, gt=0, le=168, description="Hours after which people have to sign in again in any case"
    )
    max_body: int = Field(default=1_048_576, ge=1_024, description="Largest request body in bytes")
    import_max_bytes: int = Field(
        default=4 << 30, ge=1_024, description="Largest file of an import in bytes, also once it is decompressed"
    )
    max_json_depth: int = Field(default=32, ge=4, le=256, description="Deepest nesting of JSON in a request")
    rate_limit: float = Field(
        default=1_000.0, ge=0, description="Requests a second of one principal in one process; 0: as many as it likes"
    )
    rate_burst: int = Field(default=10_000, ge=1, description="Requests that a principal may send ahead of that rate")
    idempotency_days: int = Field(
        default=30, ge=1, le=3_650, description="Days for which an idempotency key is kept at least"
    )
    backups: tuple[Path, ...] = Field(
        default=(), description="Folders of backups that an erasure and a new master key reach, a JSON list"
    )
    smallest_cell: int = Field(default=11, ge=5, description="Smallest group of people that research output may show")
    host: str = Field(default="127.0.0.1", description="Address to listen on")
    port: int = Field(default=8000, ge=0, le=65_535, description="TCP port to listen on; 0: any free one")
    workers: int = Field(default=1, ge=1, le=256, description="Service processes that share the port")
    worker: Literal["inside", "none"] = Field(
        default="inside", description="Whether `fathomline serve` runs background jobs too"
    )
    webhook_networks: tuple[IPvAnyNetwork, ...] = Field(
        default=(), description="Networks besides the public internet that webhooks may go to, a JSON list"
    )
    webhook_loopback: bool = Field(
        default=False, description="Development only: webhooks may go to this machine, also by http"
    )
    log_days: int | None = Field(
        default=None,
        ge=0,
        le=36_500,
        description="Days for which archives of the server's log and copies of its disk are kept; erasures certify it",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Least level logged")

    @field_validator("database_url", "database_owner_url")
    @classmethod
    def _of_postgresql(cls, given: SecretStr | None) -> SecretStr | None:
        if given is not None and not given.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError("has to be a URL that begins with postgresql://")
        return given

    @model_validator(mode="after")
    def _one_master_key(self) -> Self:
        if self.master_key is not None and self.master_key_file is not None:
            raise ValueError("set one of FATHOMLINE_MASTER_KEY and FATHOMLINE_MASTER_KEY_FILE, not both")
        if self.master_key_previous is not None and self.master_key_previous_file is not None:
            raise ValueError(
                "set one of FATHOMLINE_MASTER_KEY_PREVIOUS and FATHOMLINE_MASTER_KEY_PREVIOUS_FILE, not both"
            )
        return self

    def require_master_key(self) -> SecretStr:
        """The master key from the setting, its file, or (development) the generated file.

        Raises
        ------
        SettingsError
            There is none, or it is too short, or its file cannot be read.
        """
        if self.master_key is not None:
            return self.master_key
        if self.master_key_file is not None:
            return _read_key(self.master_key_file)
        if self.generate_master_key:
            return _generated_key(self.data / "master.key")
        raise SettingsError(
            "no master key: set FATHOMLINE_MASTER_KEY (32 random bytes in base64 or hex) or "
            "FATHOMLINE_MASTER_KEY_FILE; to try things out, FATHOMLINE_GENERATE_MASTER_KEY=true makes one in the data "
            "folder"
        )

    def previous_master_key(self) -> SecretStr | None:
        """The other master key, from the setting or its file, if one is set.

        Raises
        ------
        SettingsError
            It is too short, or its file cannot be read.
        """
        if self.master_key_previous_file is not None:
            return _read_key(self.master_key_previous_file)
        return self.master_key_previous


def _read_key(path: Path) -> SecretStr:
    try:
        key = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise SettingsError(f"cannot read the master key from {path}: {reason}") from error
    if len(key) < MASTER_KEY_MIN_LENGTH:
        raise SettingsError(f"the master key in {path} has fewer than {MASTER_KEY_MIN_LENGTH} characters")
    return SecretStr(key)


def _generated_key(path: Path) -> SecretStr:
    """The key in ``path``, made first if it is not there; of several processes at once, one makes it."""
    try:
        _make_key(path)
    except OSError as error:
        raise SettingsError(f"cannot make a master key in {path}: {error.strerror}") from error
    return _read_key(path)


def _make_key(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)  # unlike rename, link never replaces the key that another process has just made
        except FileExistsError:
            pass
        finally:
            draft.unlink()
