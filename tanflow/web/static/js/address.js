// Page, name and parameters ↔ the address's hash: #/alerts/NAME?state=open.

export function address(page, name = "", parameters = {}) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value)).toString();
  return `#/${page}${name ? `/${encodeURIComponent(name)}` : ""}${query ? `?${query}` : ""}`;
}

export function where(hash = location.hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?");
  const [page, ...rest] = path.split("/");
  return {page: page || "overview", name: decodeURIComponent(rest.join("/")), parameters: new URLSearchParams(query)};
}

export function go(page, name, parameters) {
  location.hash = address(page, name, parameters);
}
