// Small drawings of the frame, in the colour of the text beside them.

import {svg} from "./dom.js";

const PATHS = {
  overview: ["M3 13h7V3H3zM14 21h7V11h-7zM3 21h7v-4H3zM14 3v4h7V3z"],
  assets: ["M3 21V9l6 4V9l6 4V4h4l2 17z", "M7 17h2M12 17h2M17 17h1"],
  alerts: ["M6 16V11a6 6 0 0 1 12 0v5l2 2H4z", "M10 21h4"],
  carbon: ["M7 18a4 4 0 0 1-.5-8A6 6 0 0 1 18 9.5 4.3 4.3 0 0 1 17.5 18z"],
  gateway: ["M4 13h16v7H4zM7 16.500h.01M11 16.500h5", "M12 13V9M8 8a5.500 5.500 0 0 1 8 0M5 5a9.800 9.800 0 0 1 14 0"],
  settings: ["M4 7h9M17 7h3M4 17h3M11 17h9", "M15 4.500v5M9 14.500v5"],
};

export function icon(name) {
  const paths = PATHS[name].map((d) => svg("path", {d}));
  const look = {fill: "none", stroke: "currentColor", "stroke-width": "1.8", "stroke-linecap": "round", "stroke-linejoin": "round"};
  return svg("svg", {viewBox: "0 0 24 24", "aria-hidden": "true", ...look}, paths);
}
