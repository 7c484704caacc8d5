"""What the user writes of messages: the channels they leave by, and which alerts go where, when and how often."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from config.alerts import Severity
from config.protocols.mqtt import Tls
from config.strict import Name, Seconds, Secret, Strict

Language = Literal["en", "zh-CN"]
_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d", re.ASCII)
HttpUrl = Annotated[str, StringConstraints(pattern=r"^https?://[^\s@]+$")]


class AppriseChannel(Strict):
    """Whatever Apprise knows: mail, webhook, DingTalk, WeCom, Feishu, Slack, Teams …; its address holds a secret."""

    type: Literal["apprise"]
    url: Secret  # e.g. mailtos://user:password@host?to=…, dingtalk://token/…, json://host/path
    language: Language | None = None
    proxy: HttpUrl | None = None
    timeout_s: Annotated[float, Field(ge=1, le=60)] = 10.0


class AlertmanagerChannel(Strict):
    """Prometheus Alertmanager's API v2: it groups and routes itself, so each alert goes to it as it is."""

    type: Literal["alertmanager"]
    url: HttpUrl
    username: str | None = None
    password: Secret | None = None
    token: Secret | None = None
    tls: Tls | None = None
    refresh_s: Seconds = 60.0  # a firing alert is told again, or Alertmanager takes it for over
    timeout_s: Annotated[float, Field(ge=1, le=60)] = 10.0


class MqttChannel(Strict):
    """A topic of a broker; only where the user says that tanflow may publish there."""

    type: Literal["mqtt"]
    connection: Name  # one of `connections:` with protocol mqtt, for its address and credentials
    topic: Annotated[str, StringConstraints(pattern=r"^[^\s+#$][^+#]*$", max_length=200)] = "tanflow/alerts"
    may_publish: Literal[True]  # written by the one who allows it
    language: Language | None = None


Channel = Annotated[AppriseChannel | AlertmanagerChannel | MqttChannel, Field(discriminator="type")]


class Match(Strict):
    """Alerts of all that is named; what is left out means any."""

    assets: tuple[Name, ...] = ()
    areas: tuple[Name, ...] = ()
    alerts: tuple[Name, ...] = ()
    severities: tuple[Severity, ...] = ()


class Escalation(Strict):
    """Who is told as well when nobody has acknowledged for `after_s`."""

    after_s: Seconds
    channels: Annotated[tuple[Name, ...], Field(min_length=1)]


class Route(Strict):
    """Where alerts go; every route that matches counts."""

    match: Match = Match()
    channels: Annotated[tuple[Name, ...], Field(min_length=1)]
    repeat_s: Annotated[float, Field(ge=0, le=7 * 86_400)] = 4 * 3_600.0  # 0: said once
    resolved: bool = True
    escalate: tuple[Escalation, ...] = ()


class Maintenance(Strict):
    """A time in which alerts are recorded but not told: once, or every week on some days."""

    match: Match = Match()
    start: str  # ISO time of the site's zone, or HH:MM with `days`
    end: str
    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = ()
    why: Annotated[str, StringConstraints(max_length=200)] = ""

    @model_validator(mode="after")
    def _times(self) -> Self:
        if self.days:
            if not (_CLOCK.fullmatch(self.start) and _CLOCK.fullmatch(self.end)) or self.start == self.end:
                raise ValueError('with days: start and end are two times of day in quotes, e.g. "06:00" and "08:30"')
            return self
        try:
            start, end = datetime.fromisoformat(self.start), datetime.fromisoformat(self.end)
            ordered = start < end
        except (ValueError, TypeError) as error:
            raise ValueError(
                'start and end are times of the site\'s clock, e.g. "2026-05-01T06:00"; weekly ones need days:'
            ) from error
        if not ordered:
            raise ValueError("end must be after start")
        if start.year < 1971 or end.year > 2199:
            raise ValueError("start and end are between the years 1971 and 2199; to be rid of an alert, take it out")
        return self


class Notify(Strict):
    """Messages about alerts. Alerts of one route that come together are one message."""

    language: Language = "en"
    link: HttpUrl | None = None  # where readers reach the page, e.g. http://gateway.plant:8800
    wait_s: Annotated[float, Field(ge=0, le=600)] = 10.0  # what comes within is one message
    per_minute: Annotated[int, Field(ge=1, le=60)] = 10  # messages a channel gets at most; the rest waits and is joined
    price_per_kwh: Annotated[float, Field(ge=0)] | None = None  # where no tariff is configured
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] | None = None
    channels: dict[Name, Channel] = {}
    routes: tuple[Route, ...] = ()
    maintenance: tuple[Maintenance, ...] = ()

    @model_validator(mode="after")
    def _priced(self) -> Self:
        if self.price_per_kwh is not None and self.currency is None:
            raise ValueError("price_per_kwh needs 'currency:', e.g. CNY")
        return self

    @model_validator(mode="after")
    def _known(self) -> Self:
        named = {c for r in self.routes for c in (*r.channels, *(c for e in r.escalate for c in e.channels))}
        if unknown := sorted(named - set(self.channels)):
            raise ValueError(f"there is no channel {', '.join(unknown)}; add it under channels:")
        return self
