"""Amounts and rates → what follows from them by a dated factor: kWh → kg CO₂e, kW → kg/h, m³ → kWh."""

from __future__ import annotations

import numpy as np

from pipeline import quality as q
from pipeline.batch import Batch, concat, empty, make
from pipeline.factors import weigh
from pipeline.series import SeriesTable
from pipeline.spec import Product


def convert(table: SeriesTable, batch: Batch) -> Batch:
    """Return a row for each product of each row that is not bad; a fallback factor is flagged."""
    parts = [part for product in table.products if len(part := _apply(table, product, batch))]
    return concat(batch.header, parts) if parts else empty(batch.header)


def _apply(table: SeriesTable, product: Product, batch: Batch) -> Batch:
    wanted = np.flatnonzero(product.series.take(batch.series) >= 0)  # few of what is measured
    wanted = wanted[(batch.quality[wanted] & q.SEVERITY) != q.BAD]
    if not len(wanted):
        return empty(batch.header)
    rows = batch.take(wanted)
    timeline = product.timeline[rows.series]
    value = np.empty(len(rows))
    fallback = np.zeros(len(rows), bool)
    for index in np.unique(timeline):
        mine = timeline == index
        value[mine], fallback[mine] = weigh(
            table.factors[index], rows.time_ns[mine], rows.span_ns[mine], rows.value[mine]
        )
    flags = np.where(fallback, q.worsen(rows.quality | np.uint16(q.FACTOR_FALLBACK), q.UNCERTAIN), rows.quality)
    return make(batch.header, rows.time_ns, product.series[rows.series], value, flags, rows.span_ns)
