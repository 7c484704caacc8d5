"""The gateway itself: what comes in, what waits, what was refused, who does not answer."""

from __future__ import annotations

from typing import Final

from dashboards.panels import ASSET, ASSETS, GAP_STATES, SITE, SITES, Board, Panel, Row, course, total

_COLLECTORS: Final = f'"device" =~ /^collector\\./ AND {SITE}'
_NAME: Final = "$tag_site $tag_device"

BOARD: Final = Board(
    uid="tanflow-gateway",
    title="tanflow: gateway health",
    folder="Gateway",
    variables=(SITES, ASSETS),
    span="now-6h",
    refresh="10s",
    rows=(
        Row(
            "Flow",
            8,
            (
                Panel("Rows received", "timeseries", "suffix: rows/s",
                      course('non_negative_derivative(last("received_count"), 1s)', "gateway", _COLLECTORS, "site",
                             "device"), 8, _NAME),
                Panel("Backlog", "timeseries", "suffix: rows",
                      course('last("backlog_count")', "gateway", SITE, "site", "device"), 8, _NAME,
                      "Rows kept that this part has not taken yet; what is away is caught up with later."),
                Panel("Lag", "timeseries", "s", course('max("lag_s")', "gateway", SITE, "site", "device"), 8, _NAME),
            ),
        ),
        Row(
            "Trust",
            8,
            (
                Panel("Devices without an answer", "state-timeline", "none",
                      course('last("gap_cause")', "gateway", ASSET, "asset", "device", fill="previous"), 8,
                      "$tag_asset $tag_device", states=GAP_STATES),
                Panel("Missed polls", "timeseries", "suffix: polls",
                      course('non_negative_difference(last("missed_count"))', "gateway", _COLLECTORS, "site",
                             "device"), 6, _NAME,
                      "Polls and silences of a connection that brought nothing; which device: /api/health.", "1m"),
                Panel("Refused since start", "bargauge", "suffix: rows",
                      total('last("rejected_count")', "gateway", SITE, "site", "device"), 5, _NAME,
                      "Rows in the dead letters, with the reason: `tanflow deadletters`."),
                Panel("Energy values not plainly good", "bars", "suffix: values",
                      course('count("energy_kwh_q")', "energy", ASSET, "asset"), 5, "$tag_asset",
                      "Integrated, estimated, late or doubtful values; the bits are in energy_kwh_q.", "1m"),
            ),
        ),
        Row(
            "Life",
            7,
            (
                Panel("Gateway ticks", "timeseries", "suffix: ticks",
                      course('count("tick_count")', "gateway", SITE, "site"), 8, "$tag_site",
                      "One a second while the gateway runs.", "1m"),
                Panel("Restarts of parts", "bargauge", "none",
                      total('last("restarts_count")', "gateway", SITE, "site", "device"), 8, _NAME),
                Panel("Repeated attempts", "timeseries", "none",
                      course('non_negative_difference(last("retried_count"))', "gateway", SITE, "site", "device"), 8,
                      _NAME, "Writes that had to be sent again.", "1m"),
            ),
        ),
    ),
)  # fmt: skip
