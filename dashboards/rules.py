"""What Grafana itself watches: the gateway's own alerts, and the gateway when it can no longer speak."""

from __future__ import annotations

from typing import Final

from dashboards.panels import Rule
from pipeline.alerts.stage import Status

_HOUR: Final = 3_600

RULES: Final = (
    Rule(
        "tanflow-alert",
        "An alert of the gateway fires",
        'SELECT last("alert_state") FROM "alert" WHERE $timeFilter GROUP BY "site", "asset", "alert", "severity"',
        look_back_s=30 * 24 * _HOUR,
        evaluator="gt",
        limit=Status.FIRING - 0.5,
        hold="0s",
        no_data="OK",
        severity="warning",
        summary="{{ $labels.alert }} at {{ $labels.asset }}, {{ $labels.site }} ({{ $labels.severity }})",
    ),
    Rule(
        "tanflow-silent",
        "Gateway silent",
        'SELECT count("tick_count") FROM "gateway" WHERE $timeFilter GROUP BY "site"',
        look_back_s=300,
        evaluator="lt",
        limit=1,
        hold="1m",
        no_data="Alerting",
        severity="critical",
        summary="No gateway has delivered for five minutes: it is down, or its way to the database is",
    ),
    Rule(
        "tanflow-behind",
        "A part of the gateway is behind",
        'SELECT max("lag_s") FROM "gateway" WHERE $timeFilter GROUP BY "site", "device"',
        look_back_s=900,
        evaluator="gt",
        limit=600,
        hold="5m",
        no_data="OK",
        severity="warning",
        summary="{{ $labels.device }} at {{ $labels.site }} is more than ten minutes behind; nothing is lost, it waits",
    ),
    Rule(
        "tanflow-refused",
        "Readings are refused",
        'SELECT spread("rejected_count") FROM "gateway" WHERE $timeFilter GROUP BY "site", "device"',
        look_back_s=_HOUR,
        evaluator="gt",
        limit=0.5,
        hold="0s",
        no_data="OK",
        severity="info",
        summary="{{ $labels.device }} at {{ $labels.site }} refused rows within the hour: see tanflow deadletters",
    ),
)
