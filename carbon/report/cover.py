"""A report's cover → its facts in the words of a language: label and value, in the order they are read."""

from __future__ import annotations

from carbon.report.model import Cover
from carbon.report.words import Words


def facts(cover: Cover, words: Words) -> list[tuple[str, str]]:
    """Return what the cover states; facts nobody gave are left out."""
    period = {"first": cover.period.first.isoformat(), "last": cover.period.last.isoformat()}
    stated = [
        ("organisation", cover.organisation),
        ("boundary", words(f"boundary.{cover.boundary}")),
        ("responsible", cover.responsible),
        ("site", cover.site),
        ("period", words("cover.period_said" if cover.complete else "cover.incomplete", **period)),
        ("zone", cover.period.zone.key),
        ("base_year", str(cover.base_year or "")),
        ("region", cover.region),
        ("gwp", words("cover.gwp_said", set=cover.gwp)),
        ("fuels", cover.fuels),
        ("rule", words(f"rule.{cover.rule}")),
        ("interval", cover.interval),
        ("head", str(cover.head)),
        ("generated", words.time(cover.generated_ns)),
        ("version", f"tanflow {cover.version}"),
    ]
    return [(words(f"cover.{key}"), value) for key, value in stated if value]
