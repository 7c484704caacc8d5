// A path in, the gateway's answer out; asks for the token when the gateway does.

export async function api(path) {
  const token = sessionStorage.getItem("token");
  const headers = token ? {authorization: `Bearer ${token}`} : {};
  const answer = await fetch(path, {headers, cache: "no-store", signal: AbortSignal.timeout(5000)});
  if (answer.status === 401) {
    await askToken();
    return api(path);
  }
  const found = await answer.json();
  // A gateway that is down says so with 503 and its whole health: that is an answer, not a refusal.
  if (!answer.ok && !found.components) throw Object.assign(new Error(found.error), {told: true});
  return found;
}

function askToken() {
  const dialog = document.getElementById("ask");
  const input = document.getElementById("token");
  return new Promise((resolve) => {
    dialog.onclose = () => {
      sessionStorage.setItem("token", input.value);
      input.value = "";
      resolve();
    };
    dialog.showModal();
  });
}
