// The rows of a curve in; the same as a table, for who does not see the drawing, made only when it is opened, out.

import {el, show, table} from "./dom.js";
import {qualityOf} from "./names.js";

const MOST = 200;

/** Return {node, take(what)}. */
export function trendTable(context) {
  const {t} = context;
  const content = el("div");
  let what = null;
  let drawn = null;
  const fill = () => {
    if (!node.open || !what || drawn === what.rows) return;
    drawn = what.rows;
    show(content, rowsTable(context, what));
  };
  const node = el("details", {class: "as-table", ontoggle: fill}, el("summary", {class: "small"}, t("page.shell.show_table")), content);
  return {
    node,
    take(given) {
      // A live end would tear the table from under its reader each second.
      const moved = !what || given.rows.length < 2 || what.name !== given.name || what.step.text !== given.step.text || Math.abs(what.rows[0]?.at - given.rows[0].at) > 60_000;
      if (!moved && node.open) return;
      what = given;
      fill();
    },
  };
}

function rowsTable({t, format}, what) {
  const unit = format.unit(what.series.unit);
  const band = what.low && what.high;
  const of = (rows) => new Map((rows ?? []).map((row) => [row.at, row.value]));
  const [low, high] = [of(what.low), of(what.high)];
  const columns = [
    {label: t("page.assets.trend.time")}, {label: unit ? `${what.name}, ${unit}` : what.name, number: true},
    ...(band ? [{label: t("page.assets.trend.least"), number: true}, {label: t("page.assets.trend.greatest"), number: true}] : []),
    {label: t("page.assets.column.quality")},
  ];
  const rows = what.rows.slice(0, MOST).map((row) => [
    format.time(row.at * 1e6), format.number(row.value),
    ...(band ? [format.number(low.get(row.at)), format.number(high.get(row.at))] : []), qualityOf(t, row.bits | row.severity).words,
  ]);
  const cut = what.rows.length > MOST ? el("p", {class: "soft small"}, t("page.assets.trend.table_cut", {n: MOST, all: what.rows.length})) : null;
  return [cut, table(what.name, columns, rows)];
}
