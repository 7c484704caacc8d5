// The catalogue of a language → t(key, fields): the words of the page.

const LANGUAGES = {en: "English", "zh-CN": "中文"};
const KEPT = "tanflow.language";

export const languages = () => Object.entries(LANGUAGES);

// What was chosen here, else what the browser asks for, else what the gateway speaks.
export function language(fallback = "en") {
  const kept = localStorage.getItem(KEPT);
  if (kept in LANGUAGES) return kept;
  for (const wanted of navigator.languages ?? []) {
    if (wanted.toLowerCase().startsWith("zh")) return "zh-CN";
    if (wanted.toLowerCase().startsWith("en")) return "en";
  }
  return fallback in LANGUAGES ? fallback : "en";
}

export const chooseLanguage = (chosen) => localStorage.setItem(KEPT, chosen);

// t(key, {place: value}) → sentence; t.maybe(key) → sentence or undefined, for names that come from the data.
export async function loadWords(chosen) {
  const answer = await fetch(`/words/${chosen}.json`);
  if (!answer.ok) throw new Error(`words/${chosen}.json: ${answer.status}`);
  const catalogue = await answer.json();
  const find = (key) => key.split(".").reduce((found, part) => found?.[part], catalogue);
  const sentence = (found, fields) => found.replace(/\{(\w+)\}/g, (place, name) => fields[name] ?? place);
  const t = (key, fields = {}) => {
    const found = find(key);
    return typeof found === "string" ? sentence(found, fields) : `⟨${key}⟩`;
  };
  t.maybe = (key, fields = {}) => {
    const found = find(key);
    return typeof found === "string" ? sentence(found, fields) : undefined;
  };
  // A sentence of ours that comes from the gateway in English, in the reader's language; another's stays as it is.
  t.advice = (said) => catalogue.alerts.advice[said] ?? said;
  t.language = chosen;
  return t;
}
