"""By which row of a standard a machine is graded, or why by none → a sentence in English.

The page says the same in its reader's language, by the same words (`page.assets.ungraded`).
"""

from __future__ import annotations

from collections.abc import Mapping

from config.grades import Grading
from config.words import words


def said(found: Grading, units: Mapping[str, str]) -> str:
    """Return it; `units` of the facts that are numbers. A fact that is missing is told with its key."""
    reason, known = found.reason, words("en")["page"]["assets"]
    sentence = known["ungraded"]

    def shown(name: str, value: float | str) -> str:
        if not isinstance(value, str):
            return f"{value:g} {units.get(name, '')}".rstrip()
        label = known["fact"].get(name)
        return sentence["named"].format(name=label, value=known["fact_value"].get(value, value)) if label else value

    stated = sentence["apart"].join(shown(name, value) for name, value in reason.stated.items())
    if found.limits is not None:
        limits = ", ".join(f"{limit:g}" for limit in found.limits)
        return f"{reason.standard} ({stated}): {limits} {found.unit}".removesuffix(" 1")
    keyed = reason.why == "not_stated"
    facts = [f"{known['fact'].get(n, n)} ({n})" if keyed else known["fact"].get(n, n) for n in reason.facts]
    listed = ", ".join(shown(name, size) for name in reason.facts for size in reason.listed)
    told: str = sentence[reason.why]
    return told.format(standard=reason.standard, stated=stated, facts=", ".join(facts), listed=listed)
