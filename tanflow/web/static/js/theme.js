// Light, dark or as the system says; whoever draws is told when it changes.

const KEPT = "tanflow.theme";
const THEMES = ["auto", "light", "dark"];
const system = matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set();

export const themes = () => THEMES;

export function theme() {
  const kept = localStorage.getItem(KEPT);
  return THEMES.includes(kept) ? kept : "auto";
}

export function chooseTheme(chosen) {
  localStorage.setItem(KEPT, chosen);
  applyTheme();
}

export function applyTheme() {
  const chosen = theme();
  if (chosen === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
  for (const told of listeners) told();
}

export function onTheme(told) {
  listeners.add(told);
  return () => listeners.delete(told);
}

system.addEventListener("change", applyTheme);

// A colour of the style sheet by its name, as the theme in force has it: inks()("text") → "rgb(…)".
export function inks() {
  const found = new Map();
  return (name) => {
    if (!found.has(name)) {
      const probe = document.createElement("span");
      probe.style.color = `var(--${name})`;
      document.body.append(probe);
      found.set(name, getComputedStyle(probe).color);
      probe.remove();
    }
    return found.get(name);
  };
}
