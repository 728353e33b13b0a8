"""Settings that an operator can change while the sandbox runs: pace, limits, webhooks and faults."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from local.sandbox.shapes import ArrayShape, ConfidenceShape, IdShape, MarkdownShape, WebhookForm, WebhookShape
from local.sandbox.state import Record, Store, Table

Vendor = Literal["docsumo", "docustack", "ombudsman"]
FaultName = Literal[
    "throttle",
    "error_before",
    "error_after",
    "lost_before",
    "lost_after",
    "late",
    "slow",
    "truncated",
    "html",
    "stray_status",
    "partial_content",
    "stored_gzip",
    "odd_encoding",
    "expired_400",
    "long_text",
    "retry_after",
    "redirect",
    "webhook_lost",
    "webhook_doubled",
    "webhook_reordered",
    "webhook_forged",
    "renamed",
    "listed_late",
    "clock",
    "zoneless",
]

Form = Literal[
    "seconds",
    "date",
    "hostile",
    "packed",
    "unpacked",
    "aws-chunked",
    "utf-8",
    "binary",
    "none",
    "gzip, identity",
    "gzip, gzip",
    "br",
    "zstd",
    "deflate",
    "blanks",
    "case",
    "percent",
    "ascii",
    "time",
    "mojibake",
    "ending",
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class RateLimit(_Strict):
    """The most ``requests`` in any window of ``seconds``, for each key."""

    requests: int = Field(ge=1)
    seconds: float = Field(gt=0)


class FaultRule(_Strict):
    """One fault, how often it strikes, and where."""

    name: FaultName
    rate: float = Field(ge=0, le=1)
    vendor: Vendor | None = None
    operation: str | None = None
    times: int | None = Field(default=None, ge=0, description="how many times at most")
    seconds: float | None = Field(
        default=None,
        description="length of the pause or of the delay; offset of the clock; zone of zoneless",
    )
    status: int | None = Field(
        default=None, ge=200, le=599, description="of error_*, html, stray_status, partial_content and long_text"
    )
    form: Form | None = Field(
        default=None,
        description="of Retry-After (seconds, date; hostile for retry_after), of stored_gzip (packed, unpacked), "
        "the Content-Encoding of odd_encoding, or the change of renamed",
    )
    when: Literal["before", "after"] | None = Field(
        default=None, description="whether html or stray_status comes before or after the request's work"
    )

    @model_validator(mode="after")
    def _a_length_is_positive(self) -> Self:
        if self.seconds is not None and self.seconds < 0 and self.name not in ("clock", "zoneless"):
            raise ValueError("seconds: must not be negative")
        return self


class Settings(_Strict):
    """All settings, with their defaults. Durations are in seconds."""

    seconds: float = Field(default=2.0, ge=0, description="processing time of a document")
    assessment_seconds: float | None = Field(default=None, ge=0, description="of an assessment; None: as a document")
    spread: float = Field(
        default=0.0, ge=0, le=1, description="each processing time is drawn from around the set one, within this share"
    )
    url_seconds: float = Field(default=900.0, description="how long an artifact's URL is valid")
    webhooks: bool = True
    retry_seconds: list[Annotated[float, Field(ge=0)]] = [1, 5, 30, 300, 1800]
    rate_limits: dict[Vendor, RateLimit] = {
        "docsumo": RateLimit(requests=10, seconds=1),
        "docustack": RateLimit(requests=30, seconds=1),
    }
    pause_grace: float = Field(default=0.25, ge=0, description="calls this soon after a 429 may have been under way")
    webhook_shape: WebhookShape = Field(default="plain", description="how a delivery names its subject")
    webhook_form: WebhookForm = Field(default="plain", description="how a delivery's bytes and signature come")
    id_shape: IdShape = Field(default="text", description="what DocuStack's and Docsumo's ids are made of")
    array_shape: ArrayShape = Field(default="repeat", description="how Docsumo's list takes several values")
    markdown_shape: MarkdownShape = Field(default="bullets", description="how the Ombudsman's AI writes fields")
    confidence_shape: ConfidenceShape = Field(default="share", description="how DocuStack gives a confidence")
    seed: int = 0
    faults: list[FaultRule] = []

    @field_validator("faults", mode="before")
    @classmethod
    def _by_name(cls, value: object) -> object:
        """Accept ``{"slow": 0.1, "html": {"rate": 1, …}, "throttle": [{…}, {…}]}`` or a list of rules."""
        if not isinstance(value, Mapping):
            return value
        return [{"name": name, **rule} for name, rules in value.items() for rule in _rules(rules)]


def _rules(value: Any) -> list[dict[str, Any]]:
    rules = value if isinstance(value, list) else [value]
    return [rule if isinstance(rule, dict) else {"rate": rule} for rule in rules]


class _Saved(Record):
    settings: Settings


class SettingsKeeper:
    """Holds the current settings and stores them across restarts."""

    def __init__(self, store: Store) -> None:
        self._table = Table(store, "settings", _Saved)
        saved = self._table.get("settings")
        self.now = saved.settings if saved else Settings()

    def change(self, changes: Mapping[str, Any]) -> Settings:
        """Replace the named settings; merge a vendor's rate limit, and remove it if it is None.

        Raises ``pydantic.ValidationError`` for an unknown or impossible setting.
        """
        merged = {**self.now.model_dump(), **changes}
        if "rate_limits" in changes and isinstance(changes["rate_limits"], Mapping):
            limits = {**self.now.model_dump()["rate_limits"], **changes["rate_limits"]}
            taken_away = [vendor for vendor in get_args(Vendor) if limits.get(vendor) is None]
            merged["rate_limits"] = {vendor: limit for vendor, limit in limits.items() if vendor not in taken_away}
        self.now = Settings.model_validate(merged)
        self.save()
        return self.now

    def reset(self) -> None:
        """Return to the defaults."""
        self.now = Settings()
        self.save()

    def save(self) -> None:
        """Store the current settings."""
        self._table.save(_Saved(id="settings", settings=self.now))
