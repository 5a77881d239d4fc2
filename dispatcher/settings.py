"""Every setting: its default, its unit, where it comes from.

Order: arguments, then environment (`DISPATCHER_<NAME>`), then a TOML file, then the defaults below.
`config/dispatcher.toml` repeats the defaults for the reader; a test keeps the two equal.
Secrets (senders' tokens) are never settings: a sender names the environment variable or file that holds its token.
"""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from dispatcher.domain.archive import KEEP_AT_LEAST, Keeping
from dispatcher.domain.callback import parse_networks
from dispatcher.domain.campaign import UnsurePolicy
from dispatcher.domain.errors import BadValue
from dispatcher.domain.opting import OptWords
from dispatcher.domain.sender import BLOCKED_STATUSES, SenderStatus

CONFIG_VARIABLE = "DISPATCHER_CONFIG"
"""Environment variable that names the TOML file; without it `dispatcher.toml` in the current folder, if there."""

STOP_WORDS = {
    "de": ["stopp", "abmelden", "abbestellen", "keine werbung"],
    "en": ["stop", "stop all", "stop promotions", "unsubscribe", "opt out"],
    "es": ["alto", "baja", "darme de baja", "cancelar suscripción"],
    "fr": ["arrêt", "arrêter", "me désabonner", "désinscription"],
    "it": ["basta", "disiscrivimi", "cancellami", "annulla iscrizione"],
    "nl": ["afmelden", "uitschrijven", "geen reclame"],
    "pt": ["parar", "sair", "descadastrar", "cancelar inscrição"],
}
RESUME_WORDS = {
    "de": ["anmelden", "abonnieren"],
    "en": ["start", "resume", "subscribe", "opt in", "unstop"],
    "es": ["alta", "darme de alta", "suscribirme"],
    "fr": ["reprendre", "me réabonner", "inscription"],
    "it": ["iscrivimi", "riprendi"],
    "nl": ["aanmelden", "inschrijven"],
    "pt": ["voltar", "inscrever", "quero receber"],
}


class Settings(BaseSettings):
    """All settings, checked. Raises BadValue through `load`."""

    model_config = SettingsConfigDict(
        env_prefix="DISPATCHER_", extra="forbid", frozen=True, hide_input_in_errors=True
    )

    database_url: str | None = None
    """PostgreSQL, as `postgresql://user@host/name`. Without it an embedded server is started."""
    redis_url: str | None = None
    """Redis or Valkey, as `redis://host:port/0` or `unix:///path`. Without it an embedded server is started."""
    data_dir: Path | None = None
    """Where embedded servers keep their data. Without it the place the operating system keeps for users' data."""
    graph_url: str = "https://graph.facebook.com"
    """Where Meta's API is; the sandbox's address in rehearsals."""
    graph_version: str = "v25.0"
    """Version of the Graph API."""
    transport: Literal["pyreqwest", "httpx"] = "pyreqwest"
    """The HTTP client of the hot path."""
    post_timeout_s: float = Field(20.0, gt=0, le=120)
    """Seconds until a post without an answer counts as unsure."""
    connect_timeout_s: float = Field(5.0, gt=0, le=60)
    """Seconds until an attempt to connect is given up."""
    idle_timeout_s: float = Field(20.0, gt=0, le=300)
    """Seconds after which an idle connection is closed by us; shorter than the far side's patience."""
    in_flight: int = Field(512, ge=1, le=4096)
    """Posts that one worker process may have on the wire at once, at most; below that, it follows rate times latency by itself."""
    ledger_connections: int = Field(8, ge=2, le=100)
    """Connections to PostgreSQL per process."""
    limits_timeout_s: float = Field(1.0, gt=0, le=10)
    """Seconds until Redis counts as away; nothing is granted then."""
    slice_s: float = Field(5.0, gt=0, le=60)
    """Seconds of one turn of a lane, after which others get their chance."""
    lease_s: float = Field(15.0, ge=2, le=300)
    """Seconds after which a turn without a sign of life counts as dead."""
    claim_most: int = Field(500, ge=1, le=5000)
    """Messages that a turn claims at once, at most."""
    grant_most: int = Field(100, ge=1, le=500)
    """People per question to the limits, at most; also what a crash may leave unsure per lane, about."""
    lanes_per_worker: int = Field(20, ge=1, le=500)
    """Turns that one worker process runs side by side."""
    one_core: bool = False
    """Whether each worker process that runs lanes keeps to a core of its own; cheaper by a fifth on machines that do nothing else."""
    stop_grace_s: float = Field(8.0, gt=0, le=60)
    """Seconds that a worker has to finish what is in flight when it is asked to stop."""
    burst_ms: int = Field(250, ge=0, le=1000)
    """How much of a sender's rate may go at once after a quiet moment, in milliseconds of that rate."""
    reserve_share: float = Field(0.2, ge=0, lt=1)
    """The part of that burst which campaigns leave to replies."""
    slowed_share: float = Field(0.5, gt=0, le=1)
    """The part of its rate that a RATE_LIMITED, FLAGGED or low-quality sender may use."""
    unsure_grace_s: float = Field(3_600.0, gt=0, le=604_800)
    """Seconds that an unsure message waits for a receipt before its campaign's policy decides."""
    reply_unsure_policy: UnsurePolicy = UnsurePolicy.ASK
    """What happens to an unsure reply without a receipt: "ask" an operator, "give_up", or "resend"; `ask` and `resend` keep later replies waiting."""
    reply_unsure_grace_s: float = Field(300.0, gt=0, le=604_800)
    """Seconds that an unsure reply waits for a receipt before that policy decides."""
    day_s: float = Field(86_400.0, gt=0, le=86_400)
    """Seconds of the rolling day that tiers count in; shorter only in rehearsals, together with the sandbox's."""
    reach_margin_s: float = Field(30.0, ge=0, le=600)
    """Seconds that a person counts beyond that day: Meta counts from when it took the message, we from the grant."""
    sends_us_marketing: bool = False
    """Whether marketing is posted to numbers of the United States, where Meta does not deliver it."""
    late_after_s: float = Field(43_200.0, gt=0, le=31_536_000)
    """Seconds that a lane may have been due, with no worker there, before its campaign is paused instead of going on late."""
    stricter_statuses: frozenset[SenderStatus] = frozenset()
    """Statuses that block sending in addition to the six that always do; can only add to them."""
    partition_days: float = Field(30.0, gt=0, le=3_650)
    """Days for which new campaigns go into one partition of messages; the whole of it is dropped at once."""
    keep_campaigns_days: float | None = Field(None, ge=KEEP_AT_LEAST.days, le=36_500)
    """Days for which the people of a campaign are kept after its end; counts and report stay. Without it for ever."""
    keep_news_days: float = Field(90.0, ge=1, le=36_500)
    """Days for which news of accounts that came by webhook are kept."""
    keep_audit_days: float = Field(1_095.0, ge=1, le=36_500)
    """Days for which entries of the audit log are kept."""
    default_region: str | None = None
    """Country (such as "DE") of phone numbers written without a country code; without it they are rejected."""
    listen_host: str = "127.0.0.1"
    """Address the HTTP process listens on; anything beyond this machine belongs behind a proxy that speaks TLS."""
    listen_port: int = Field(8080, ge=0, le=65535)
    """Port the HTTP process listens on; 0 takes a free one."""
    webhook_secrets: frozenset[str] = frozenset()
    """Where the secrets of Meta's apps are, each `env:NAME` or `file:/path`; without any, webhooks are not taken."""
    webhook_verify_token: str | None = None
    """Where the token is that you tell Meta with the address for webhooks, as `env:NAME` or `file:/path`."""
    webhook_wait_s: float = Field(5.0, gt=0, le=60)
    """Seconds a webhook waits for the ledger; then Meta is asked to repeat it."""
    webhook_apply_wait_s: float = Field(1.0, ge=0, le=10)
    """Seconds the answer to a webhook in which people speak waits until intake has applied it; then it is answered anyway."""
    webhook_memory_mb: int = Field(64, ge=8, le=65536)
    """Megabytes that webhooks may hold in memory until they are in the ledger."""
    stop_words: dict[str, list[str]] = STOP_WORDS
    """Messages that opt a person out of campaigns, by language; as a whole, whatever their case, accents and punctuation."""
    resume_words: dict[str, list[str]] = RESUME_WORDS
    """Messages that opt a person in again, by language."""
    stop_payloads: list[str] = ["STOP", "OPT_OUT", "UNSUBSCRIBE"]
    """Payloads of buttons that opt a person out; with anything behind a sign, such as "STOP:autumn", too."""
    resume_payloads: list[str] = ["START", "OPT_IN", "SUBSCRIBE"]
    """Payloads of buttons that opt a person in again."""
    seal_key: str | None = None
    """Where the key is that senders' tokens are sealed with in the ledger, as `env:NAME` or `file:/path`."""
    seal_keys_before: frozenset[str] = frozenset()
    """Where earlier keys are, which still open what they have sealed; until `dispatch senders reseal`."""
    upload_most_mb: int = Field(2_048, ge=1, le=1_048_576)
    """Megabytes of people that one request of the API may bring, as they are sent; they wait in a file of `upload_dir`."""
    upload_rows_most: int = Field(10_000_000, ge=1, le=1_000_000_000)
    """Rows that one request of the API may bring."""
    upload_dir: Path | None = None
    """Where uploads wait until they are whole. Without it the place the operating system keeps for temporary files."""
    gateway_url: str | None = Field(None, pattern=r"^https?://[^\s?#]+$")
    """Where clients reach the gateway, such as "https://wa.shop.example", for the links in its answers. Without it they are made of each request's own address."""
    gateway_waiting_most: int = Field(10_000, ge=1, le=10_000_000)
    """Messages that may wait for one sender before the gateway refuses more of them with 130429 and a time to wait."""
    events_networks: frozenset[str] = frozenset()
    """Networks, such as "10.0.0.0/8", into which events may go besides the public internet; also without encryption."""
    events_timeout_s: float = Field(10.0, gt=0, le=120)
    """Seconds that a receiver of events has for one request, from the connection to the end of its answer."""
    events_batch_most: int = Field(100, ge=1, le=1_000)
    """Events that one request holds, at most."""
    events_in_flight: int = Field(32, ge=1, le=1_000)
    """Subscriptions that one process serves at once, and connections that it has for them."""
    events_give_up_s: float = Field(86_400.0, ge=1, le=2_592_000)
    """Seconds that an event is tried; then it becomes a dead letter."""
    events_pending_most: int = Field(1_000_000, ge=100, le=1_000_000_000)
    """Events that may wait for one subscription, about; where more do, it is disabled, and what waits stays."""
    events_dead_kept_s: float = Field(2_592_000.0, ge=60, le=315_360_000)
    """Seconds that dead letters are kept."""
    log_level: Literal["debug", "info", "warning", "error"] = "warning"
    """What workers and the HTTP process write to standard error."""

    @field_validator("stricter_statuses")
    @classmethod
    def _may_not_block_everything(cls, value: frozenset[SenderStatus]) -> frozenset[SenderStatus]:
        if SenderStatus.CONNECTED in value:
            raise ValueError(
                "CONNECTED cannot be blocked: no sender could ever send; switch senders off instead"
            )
        return value | BLOCKED_STATUSES

    @field_validator("events_networks")
    @classmethod
    def _must_be_networks(cls, value: frozenset[str]) -> frozenset[str]:
        parse_networks(value)  # BadValue is a ValueError
        return value

    @model_validator(mode="after")
    def _connecting_ends_before_the_post(self) -> Self:
        if self.connect_timeout_s >= self.post_timeout_s:
            raise ValueError("connect_timeout_s must be shorter than post_timeout_s, which includes it")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=_config_file())

    @classmethod
    def load(cls, **arguments: Any) -> Self:
        """Read all sources. Raises BadValue that names each wrong setting."""
        try:
            return cls(**arguments)
        except ValidationError as error:
            raise BadValue(
                "the settings are not usable",
                hint="see config/dispatcher.toml for every setting and its default",
                problems=[f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()],
            ) from error
        except (OSError, ValueError) as error:
            raise BadValue(f"the settings cannot be read: {error}") from error

    @property
    def post_timeout(self) -> timedelta:
        """`post_timeout_s` as a time."""
        return timedelta(seconds=self.post_timeout_s)

    @property
    def opt_words(self) -> OptWords:
        """What opts people out and in."""
        return OptWords.of(self.stop_words, self.resume_words, self.stop_payloads, self.resume_payloads)

    @property
    def keeping(self) -> Keeping:
        """How long what is kept, as times."""
        people = self.keep_campaigns_days
        return Keeping(
            stretch=timedelta(days=self.partition_days),
            people=None if people is None else timedelta(days=people),
            news=timedelta(days=self.keep_news_days),
            audit=timedelta(days=self.keep_audit_days),
        )

    def environment(self) -> dict[str, str]:
        """The settings that differ from the defaults, as environment variables for a child process."""
        return {
            f"DISPATCHER_{name.upper()}": value if isinstance(value, str) else json.dumps(value)
            for name, value in self.model_dump(mode="json", exclude_defaults=True, exclude_none=True).items()
        }

    def sources(self) -> dict[str, str]:
        """Where each setting comes from, for people: "environment", the TOML file's name, or "default"."""
        file = _config_file()
        in_file = TomlConfigSettingsSource(type(self), toml_file=file)() if file is not None else {}
        return {
            name: "environment"
            if f"DISPATCHER_{name.upper()}" in os.environ
            else str(file)
            if name in in_file
            else "default"
            for name in type(self).model_fields
        }


def _config_file() -> Path | None:
    named = os.environ.get(CONFIG_VARIABLE)
    if named is not None:
        if not Path(named).is_file():
            raise BadValue(f"{CONFIG_VARIABLE} names {named}, which is not a file")
        return Path(named)
    here = Path("dispatcher.toml")
    return here if here.is_file() else None


def secret(reference: str) -> str:
    """Read a secret from `env:NAME` or `file:/path`. Raises BadValue; the text never contains the secret."""
    kind, _, name = reference.partition(":")
    match kind:
        case "env":
            value = os.environ.get(name, "")
            missing = f"the environment variable {name} is not set"
        case "file":
            try:
                value = Path(name).read_text()
            except OSError as error:
                raise BadValue(f"the secret's file cannot be read: {error}") from error
            missing = f"the file {name} is empty"
        case _:
            raise BadValue(f"{reference!r} does not say where a secret is; use env:NAME or file:/path")
    if not value.strip():
        raise BadValue(
            missing, hint="secrets are read where env:NAME or file:/path says, each time a process starts"
        )
    return value.strip()
