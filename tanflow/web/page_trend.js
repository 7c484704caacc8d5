// Columns of one series in, an inline SVG line out; a gap in the data is a gap in the line.

const NS = "http://www.w3.org/2000/svg";
const PAD = {left: 52, right: 10, top: 10, bottom: 22};

export function shape(tag, attributes, text) {
  const node = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

// A round step that cuts `span` into about `parts`.
function roundStep(span, parts) {
  const rough = span / parts;
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 2.5, 5, 10].map((n) => n * power).find((step) => step >= rough);
}

// Ticks that enclose [low, high]; a flat line gets some room.
function ticks(low, high) {
  const room = high > low ? 0 : Math.abs(high) * 0.05 || 1;
  const step = roundStep(high - low + 2 * room, 3);
  const found = [];
  for (let n = Math.floor((low - room) / step); (n - 1) * step < high + room && found.length < 9; n += 1) found.push(n * step);
  return found;
}

function pieces(points, gapMs) {
  const found = [];
  let piece = [];
  for (const point of points) {
    if (point.value === null || (piece.length && point.time - piece.at(-1).time > gapMs)) {
      if (piece.length) found.push(piece);
      piece = [];
    }
    if (point.value !== null) piece.push(point);
  }
  return piece.length ? [...found, piece] : found;
}

// points: [{time [ms], value or null}]; returns null when there is nothing to draw.
export function draw(points, {from, to, gapMs, size, zone, label}) {
  const values = points.flatMap((p) => (p.value === null ? [] : [p.value]));
  if (!values.length) return null;
  const marks = ticks(Math.min(...values), Math.max(...values));
  const [low, high] = [marks[0], marks.at(-1)];
  const [width, height] = size;
  const x = (time) => PAD.left + ((time - from) / (to - from)) * (width - PAD.left - PAD.right);
  const y = (value) => height - PAD.bottom - ((value - low) / (high - low)) * (height - PAD.top - PAD.bottom);
  const svg = shape("svg", {viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label(Math.min(...values), Math.max(...values))});
  const digits = Math.max(0, -Math.floor(Math.log10((high - low) / 4)));
  for (const mark of marks) {
    svg.append(shape("line", {class: "grid", x1: PAD.left, x2: width - PAD.right, y1: y(mark), y2: y(mark)}));
    const text = mark.toLocaleString("en", {maximumFractionDigits: Math.min(digits, 6)});
    svg.append(shape("text", {x: PAD.left - 6, y: y(mark) + 4, "text-anchor": "end"}, text));
  }
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    const time = from + share * (to - from);
    const text = new Date(time).toLocaleTimeString("en-GB", {timeZone: zone, hour: "2-digit", minute: "2-digit"});
    const anchor = share === 0 ? "start" : share === 1 ? "end" : "middle";
    svg.append(shape("text", {x: x(time), y: height - 5, "text-anchor": anchor}, text));
  }
  for (const piece of pieces(points, gapMs)) {
    const line = piece.map((p, i) => `${i ? "L" : "M"}${x(p.time).toFixed(1)} ${y(p.value).toFixed(1)}`).join("");
    const [first, last] = [x(piece[0].time), x(piece.at(-1).time)];
    svg.append(shape("path", {class: "area", d: `${line}L${last.toFixed(1)} ${y(low)}L${first.toFixed(1)} ${y(low)}Z`}));
    svg.append(shape("path", {class: "line", d: piece.length > 1 ? line : `${line}h.01`}));
  }
  return svg;
}
