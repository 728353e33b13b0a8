"""A connection's settings in ``connections.toml`` that are common to all vendors.

A vendor's own settings are in its folder, in a subclass of :class:`Connection`.
"""

from __future__ import annotations

import re
from math import ceil
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator
from typing_extensions import TypeVar

CONNECTION_NAME = r"^[A-Za-z][A-Za-z0-9_-]{0,31}$"
ACCOUNT_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
FormerName = Annotated[str, StringConstraints(pattern=CONNECTION_NAME)]
HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,64}$")]
DocumentSource = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/([^/]+/)*)?$")]
MediaType = Annotated[str, StringConstraints(pattern=r"^[a-z]+/[a-z0-9][a-z0-9.+-]{0,126}$")]
Scheme = Literal["hmac-sha256-hex", "standard-webhooks", "timestamped-hmac", "shared-secret", "path-token"]


MOST_ARTIFACTS = 10_000
"""Largest ``limits.artifacts``: the indices of that many files take a quarter of a state's output (256 KiB)."""


FEWEST_AT_ONCE = 2
"""Least ``MaximumConcurrency`` of a queue's mapping
(https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html)."""
CASE_BYTES = 50 << 30
"""Default of ``limits.case_bytes``, unless ``limits.artifact_bytes`` is larger."""
_HOST = re.compile(r"(?P<name>[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|\[[0-9A-Fa-f:.]+\])(:(?P<port>[0-9]{1,5}))?")
"""A host of ``storage_hosts``: a name or an address, with or without a port."""


class Settings(BaseModel):
    """Base of every table in ``connections.toml``: an unknown key is an error."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")


class Webhook(Settings):
    """How the vendor's deliveries are verified (``dossier.signatures``)."""

    scheme: Scheme
    header: HeaderName | None = None
    """Header with the signature or token; optional for ``standard-webhooks`` and ``timestamped-hmac``."""
    prefix: str = Field(default="", max_length=32)
    """Text before the signature, such as GitHub's ``sha256=``."""
    tolerance: int = Field(default=300, ge=1, le=3600)
    """Largest difference of a signed time from now, in both directions, in seconds."""
    max_bytes: int = Field(default=1_048_576, ge=1, le=4_000_000)
    """Largest body, in bytes; a larger one gets 413."""

    @model_validator(mode="after")
    def _header_where_needed(self) -> Webhook:
        if self.scheme in {"hmac-sha256-hex", "shared-secret"} and not self.header:
            raise ValueError(f'scheme "{self.scheme}" needs a header')
        return self


class Limits(Settings):
    """The limits of the vendor's account."""

    requests_per_second: float = Field(default=10, gt=0, le=1000)
    concurrency: int = Field(default=5, ge=1, le=100)
    """Uploads and downloads of one case, and polls of the connection, that run at once."""
    artifacts: int = Field(default=2000, ge=1, le=MOST_ARTIFACTS)
    """Most artifacts of one case; a case with more fails before the first download."""
    artifact_bytes: int = Field(default=5 << 30, ge=1, le=5 << 40)
    """Largest artifact that is downloaded, in bytes; S3 stores objects of up to 5 TiB."""
    case_bytes: int = Field(
        default_factory=lambda given: max(CASE_BYTES, given.get("artifact_bytes", 0)), ge=1, le=50 << 40
    )
    """Most bytes of all artifacts of a case together; a case with more fails."""

    @property
    def polls_at_once(self) -> int:
        """How many polls run at once: more than ``requests_per_second`` would only wait for each other.

        SQS runs at least two functions at once.
        """
        return max(FEWEST_AT_ONCE, min(self.concurrency, ceil(self.requests_per_second)))

    @model_validator(mode="after")
    def _room_for_one(self) -> Limits:
        if self.artifact_bytes > self.case_bytes:
            raise ValueError("artifact_bytes is larger than case_bytes: a case needs room for at least one artifact")
        return self


class Poll(Settings):
    """Times of polls, in seconds."""

    first: float = Field(default=5, ge=0, le=900)
    every: float = Field(default=5, gt=0, le=900)
    max: float = Field(default=60, gt=0, le=900)
    deadline: float = Field(default=3600, gt=0, le=30 * 86400)

    @model_validator(mode="after")
    def _in_order(self) -> Poll:
        if self.every > self.max:
            raise ValueError("every is larger than max")
        return self


class Budget(Settings):
    """The budget of a connection's cases; a case that would exceed it asks an operator before anything is sent.

    A day is a day in UTC. A document whose pages cannot be counted counts as one page.
    """

    cases_per_day: int | None = Field(default=None, ge=0)
    pages_per_day: int | None = Field(default=None, ge=0)
    pages_per_case: int | None = Field(default=None, ge=0)
    price_per_page: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """What the vendor bills for a page, in US dollars."""

    @property
    def limited(self) -> bool:
        """Whether there is any limit."""
        return any(each is not None for each in (self.cases_per_day, self.pages_per_day, self.pages_per_case))

    @model_validator(mode="after")
    def _consistent(self) -> Budget:
        if (
            self.pages_per_case is not None
            and self.pages_per_day is not None
            and self.pages_per_case > self.pages_per_day
        ):
            raise ValueError(
                "pages_per_case is larger than pages_per_day: no such case could be sent without a question"
            )
        return self


class Connection(Settings):
    """One account at a vendor. ``name`` is its table's name in ``connections.toml``."""

    name: str = Field(pattern=CONNECTION_NAME)
    vendor: str
    base_url: str
    """Scheme, host and any prefix; the API's path is appended."""
    account: str | None = Field(default=None, pattern=ACCOUNT_NAME)
    """Names the vendor's account if several connections use the same one: they share rate, pauses and breaker."""
    formerly: tuple[FormerName, ...] = ()
    """Connections that this one's cases were submitted to before it was renamed or split off: a reference that has a
    case there is taken here, too, so that nothing is uploaded and billed again under the new name."""
    allow_insecure: bool = False
    """Allows plain http and private addresses (for a sandbox)."""
    webhook: Webhook | None = None
    limits: Limits = Limits()
    poll: Poll = Poll()
    budget: Budget = Budget()
    settling: float = Field(default=30, ge=0, le=600)
    """Seconds after a lost answer for which the vendor may still be processing an upload of a few MiB, so that its list
    may be incomplete. No guide gives a number; gateways usually end a request after half a minute."""
    keep_raw: bool = True
    """Whether the vendor's raw answers stay in S3. Otherwise they are deleted once a revision is published; the next
    collection asks the vendor again."""
    review_below: float | None = Field(default=None, ge=0, le=1)
    """Fields with a lower or malformed confidence mark the case for review."""
    review_missing: bool = False
    """Whether fields without a confidence mark the case for review too."""
    document_sources: tuple[DocumentSource, ...] | None = None
    """Other buckets (``name``, or ``name/prefix/``) that may contain documents; None: all that the deployment names."""
    media_types: tuple[MediaType, ...] = ()
    """Types of document that this account accepts besides those that its vendor is known to accept."""
    max_document_bytes: int | None = Field(default=None, ge=1, le=5 << 40)
    """Largest document that this account accepts, in bytes; by default the vendor's known limit."""
    storage_hosts: tuple[str, ...] = ()
    """Allowed hosts of artifact URLs, besides the API's own: ``name`` (default port) or ``name:port``."""

    @field_validator("storage_hosts")
    @classmethod
    def _are_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            found = _HOST.fullmatch(each)
            if found is None or not 0 < int(found["port"] or 1) < 1 << 16:
                raise ValueError(
                    "write a host as storage.example.com (for the default port) or storage.example.com:8443, "
                    "without https:// and path"
                )
        return value

    @field_validator("base_url")
    @classmethod
    def _is_a_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("must be http(s)://host with an optional prefix")
        if parts.username or parts.password:
            raise ValueError("must not contain a user name or password: secrets go to Secrets Manager")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _another(self) -> Connection:
        if self.name in self.formerly:
            raise ValueError(
                "formerly: names the connection itself: name the one that its cases were submitted to before"
            )
        return self

    @model_validator(mode="after")
    def _reviewable(self) -> Connection:
        if self.review_missing and self.review_below is None:
            raise ValueError("review_missing needs review_below: without it nothing is reviewed")
        if self.review_below is not None and not self.gives_confidences():
            raise ValueError(f"review_below: {self.vendor} gives no confidences to compare: leave it out")
        return self

    @property
    def limited_as(self) -> str:
        """The name under which the connection's rate, pauses and breaker are stored."""
        return self.name if self.account is None else f"@{self.account}"

    def gives_confidences(self) -> bool:
        """Return whether the vendor's fields have confidences."""
        return True

    @model_validator(mode="after")
    def _secure(self) -> Connection:
        if self.base_url.startswith("http://") and not self.allow_insecure:
            raise ValueError("base_url is plain http: use https, or allow_insecure = true for a sandbox")
        return self


C = TypeVar("C", bound=Connection, default=Connection)
"""The settings of a vendor's connections."""


class Secret(BaseModel):
    """A connection's secret in Secrets Manager. Its text form hides the values, so that no log shows them."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="ignore", hide_input_in_errors=True)

    api_key: str = Field(default="", repr=False)
    webhook_secrets: tuple[str, ...] = Field(default=(), repr=False)
