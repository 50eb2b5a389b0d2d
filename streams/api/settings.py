"""Settings of the HTTP API."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, FilePath, SecretStr

DAY_S = 86_400.0


class ApiSettings(BaseModel):
    """Frozen; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    host: str = Field("127.0.0.1", description="Where the API is served. Anything but loopback needs tokens.")
    port: int = Field(8080, ge=0, le=65_535, description="Port of the API; 0 picks a free one.")
    datadir: Path = Field(
        Path(".rillet/api"),
        description="Where the read model lies, a folder a replica. It is made anew from the topics when lost.",
    )
    tokens: SecretStr | None = Field(
        None,
        description="Who may do what: entries `SCOPES:SECRET`, separated by blanks or commas; scopes of `read`, "
        "`ingest` and `admin`, joined by `+`; the secret of at least 16 characters, or `sha256-` and its SHA-256 in "
        "hexadecimal.",
    )
    tokens_file: FilePath | None = Field(None, description="A file with further such entries.")
    workers: list[str] = Field(
        default=[],
        description="Addresses of the workers, for what only they can tell; by default the one of these settings. A "
        "name that stands for several addresses is asked at each.",
    )
    slate_ttl_s: float = Field(
        7 * DAY_S, ge=1.0, description="Seconds after which a slate that was not refreshed is dropped."
    )
    max_entries: int = Field(
        1_000_000,
        ge=1,
        description="Keys held of each topic; beyond that the ones updated longest ago are dropped.",
    )
    history_days: float = Field(
        30.0, gt=0.0, le=400.0, description="Days for which reports, alerts and dead letters are held."
    )
    max_reports: int = Field(100_000, ge=100, description="Reports held of each topic.")
    max_body_bytes: int = Field(
        4 * 1024 * 1024, ge=1024, le=64 * 1024 * 1024, description="Largest request body."
    )
    timeout_s: float = Field(10.0, gt=0.0, le=300.0, description="Seconds after which a request is given up.")
    rate_per_s: float = Field(
        5_000.0,
        gt=0.0,
        description="Requests a second that each token, or each address without one, may send.",
    )
    burst: int = Field(10_000, ge=1, description="Requests that may come at once before that holds.")
    max_slow: int = Field(
        32, ge=1, le=1_000, description="Requests under way that wait for a worker or the broker."
    )
    max_streams: int = Field(5_000, ge=1, description="Open streams of server-sent events.")
    ping_s: float = Field(15.0, gt=0.0, le=300.0, description="Seconds between signs of life on a stream.")
