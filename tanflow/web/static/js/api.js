// Paths in, the gateway's answers out. A token lives in this page alone and is never stored.

let token = "";
let askToSignIn = () => {};

class ApiError extends Error {
  constructor(message, status, said = {}) {
    super(message);
    this.status = status; // 0: the gateway did not answer
    this.said = said; // what else the refusal says
  }
}

export const setToken = (given) => { token = given; };
export const onSignedOut = (then) => { askToSignIn = then; };
export const headers = () => (token ? {authorization: `Bearer ${token}`} : {});

async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, {...options, headers: {...headers(), ...options.headers}});
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(error.message, 0);
  }
  if (answer.ok || (path === "/api/health" && answer.status === 503)) return answer;
  const said = await answer.json().catch(() => ({}));
  if (answer.status === 401 && !path.startsWith("/api/login")) askToSignIn();
  throw new ApiError(said.error ?? answer.statusText, answer.status, said);
}

export const api = {
  // get("/api/flow", {span: "today"}, signal) → JSON
  async get(path, parameters = {}, signal = undefined) {
    const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null && value !== "");
    const query = given.length ? `?${new URLSearchParams(given)}` : "";
    return (await ask(path + query, {signal})).json();
  },
  async post(path, body) {
    const options = {method: "POST", body: JSON.stringify(body), headers: {"content-type": "application/json"}};
    return (await ask(path, options)).json();
  },
  // A file for the reader to keep, under the name the gateway gives it.
  async download(path) {
    const answer = await ask(path);
    const name = /filename="?([^";]+)/.exec(answer.headers.get("content-disposition") ?? "")?.[1] ?? "tanflow";
    const address = URL.createObjectURL(await answer.blob());
    const link = Object.assign(document.createElement("a"), {href: address, download: name});
    link.click();
    URL.revokeObjectURL(address);
  },
};
