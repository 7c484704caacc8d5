// Names and texts in, elements out. Data only ever becomes text or the value of a named attribute, never markup.

const SVG = "http://www.w3.org/2000/svg";

// el("p", {class: "soft", onclick: f, hidden: true, "aria-label": "…"}, "text", node, null)
export function el(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name.startsWith("--")) node.style.setProperty(name, value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...given(children));
  return node;
}

const given = (children) => children.flat().filter((child) => child !== null && child !== undefined && child !== false);

export function show(node, ...children) {
  node.replaceChildren(...given(children));
  return node;
}

// Touches the page only where something changed: a screen reader stays quiet, a selection stays.
export function setText(node, text) {
  if (node.textContent !== String(text)) node.textContent = text;
}

// Draws anew and leaves the focus where it was: on what carries the same data-at.
export function keepFocus(root, draw) {
  const at = root.contains(document.activeElement) ? document.activeElement.dataset.at : undefined;
  draw();
  if (at) [...root.querySelectorAll("[data-at]")].find((node) => node.dataset.at === at)?.focus();
}

export const byId = (id) => document.getElementById(id);

// ── parts many pages use ────────────────────────────────────────────────────────────────────────

const SHAPES = {
  critical: "M8 1 15.5 14.5H.5Z",
  warning: "M8 .8 15.2 8 8 15.2.8 8Z",
  info: "M8 1.5a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13Z",
};

export const SEVERITIES = Object.keys(SHAPES); // the gravest first

// The sign of a severity: a shape of its own, with its word for those who do not see it.
export function sign(severity, label) {
  const attributes = {class: `sign ${severity}`, viewBox: "0 0 16 16", fill: "currentColor"};
  const spoken = label ? {role: "img", "aria-label": label} : {"aria-hidden": "true"};
  return svg("svg", {...attributes, ...spoken}, svg("path", {d: SHAPES[severity] ?? SHAPES.info}));
}

// A row of buttons of which one is pressed; options are [value, label].
export function choice(label, options, chosen, choose) {
  const buttons = options.map(([value, text]) => el("button", {
    type: "button", "aria-pressed": String(value === chosen), onclick: () => { press(value); choose(value); },
  }, text));
  const press = (value) => buttons.forEach((b, i) => b.setAttribute("aria-pressed", String(options[i][0] === value)));
  return el("div", {class: "choice", role: "group", "aria-label": label}, buttons);
}

// columns: [{label, number}], rows: arrays of texts or nodes; the first cell names its row.
export function table(caption, columns, rows) {
  const kind = (i) => (columns[i].number ? "number" : null);
  const head = columns.map((column, i) => el("th", {scope: "col", class: kind(i)}, column.label));
  const body = rows.map((cells) => el("tr", {}, cells.map((cell, i) =>
    i ? el("td", {class: kind(i)}, cell) : el("th", {scope: "row"}, cell))));
  const about = el("caption", {class: "hidden-text"}, caption);
  const whole = el("table", {}, about, el("thead", {}, el("tr", {}, head)), el("tbody", {}, body));
  return el("div", {class: "scroll", tabindex: "0", role: "region", "aria-label": caption}, whole);
}
