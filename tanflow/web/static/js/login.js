// A name and password, or the gateway's token, in; a session out.

import {api, setToken} from "./api.js";
import {el, show} from "./dom.js";

// login(root, t, {site, users}) → resolves when signed in; without users it is the gateway's token that is asked for
export function login(root, t, {site, users}) {
  return new Promise((done) => {
    const draw = (withToken) => {
      const other = users ? () => draw(!withToken) : null;
      show(root, withToken ? tokenForm(t, done, other) : passwordForm(t, site, done, other));
      root.querySelector("input").focus();
    };
    draw(!users);
  });
}

function passwordForm(t, site, done, other) {
  const user = el("input", {id: "user", name: "user", autocomplete: "username", required: true, autocapitalize: "none", spellcheck: "false"});
  const password = el("input", {id: "password", name: "password", type: "password", autocomplete: "current-password", required: true});
  return form(t, t("page.login.title", {site}), t("page.login.lead"), [field(t("page.login.user"), user), field(t("page.login.password"), password)], {
    send: () => api.post("/api/login", {user: user.value, password: password.value}),
    refused: (status) => t(status === 429 ? "page.login.too_many" : "page.login.wrong"),
    other: el("button", {type: "button", class: "plain", onclick: other}, t("page.login.with_token")),
  }, done, password);
}

function tokenForm(t, done, other) {
  const token = el("input", {id: "token", type: "password", autocomplete: "off", required: true});
  return form(t, t("page.login.token_title"), null, [field(t("page.login.token"), token)], {
    send() {
      setToken(token.value.trim());
      return api.get("/api/me");
    },
    refused: () => t("page.login.wrong_token"),
    other: other && el("button", {type: "button", class: "plain", onclick: other}, t("page.login.with_user")),
  }, done, token);
}

const field = (label, input) => el("label", {for: input.id}, el("span", {class: "label"}, label), input);

function form(t, title, lead, fields, {send, refused, other}, done, cleared) {
  const wrong = el("p", {class: "wrong", role: "alert"});
  const enter = el("button", {class: "main"}, t("page.login.enter"));
  const submit = async (event) => {
    event.preventDefault();
    enter.disabled = true;
    show(wrong);
    try {
      await send();
      done();
    } catch (error) {
      setToken("");
      show(wrong, [401, 403, 429].includes(error.status) ? refused(error.status) : error.message);
      cleared.value = "";
      cleared.focus();
    } finally {
      enter.disabled = false;
    }
  };
  return el("form", {class: "card sign-in form", onsubmit: submit},
    el("h1", {}, title), lead && el("p", {class: "soft small"}, lead), fields, wrong, enter, other);
}
