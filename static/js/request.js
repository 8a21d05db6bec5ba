// Follows what becomes of a request: the server renders, this places it. Frames are those of live.js. On the page of whoever
// runs it, the form is sent without leaving the page, so that a mistake costs nothing that was typed.
const page = document.querySelector("[data-request-live]");
const lost = document.querySelector("[data-request-lost]");
let tries = 0;
let leaving = false; // a form or link leads away: what it says is not to be drowned by a reload
addEventListener("submit", () => { leaving = true; });
addEventListener("pagehide", () => { leaving = true; });

function place({ target, html }) {
  const template = document.createElement("template");
  template.innerHTML = html;
  const fresh = template.content.firstElementChild;
  const old = document.getElementById(target);
  if (!fresh || !old) return;
  // Who types or holds the focus in a part is left in peace; forms in it that were begun stay as they are.
  const begun = [...old.querySelectorAll("input, textarea")].some((field) => field.type !== "hidden" && field.value !== field.defaultValue);
  if (begun) return;
  for (const fold of old.querySelectorAll("details[id][open]")) fresh.querySelector("#" + CSS.escape(fold.id))?.setAttribute("open", "");
  const held = old.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  old.replaceWith(fresh);
  if (held) fresh.querySelector(`[href="${CSS.escape(held)}"]`)?.focus({ preventScroll: true });
}

function connect() {
  const url = new URL(page.dataset.requestLive, location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(url);
  socket.addEventListener("message", (event) => {
    tries = 0;
    if (lost) lost.hidden = true;
    const frame = JSON.parse(event.data);
    for (const f of frame.fragments ?? []) place(f);
    if (frame.title && !("keepTitle" in page.dataset)) document.title = frame.title;
  });
  socket.addEventListener("close", (event) => {
    if (event.code === 1000) { // it was deleted, or its time is over
      if (!leaving && !("keepTitle" in page.dataset)) location.reload();
      return;
    }
    tries++;
    if (lost) lost.hidden = tries < 3;
    setTimeout(connect, Math.min(10000, 300 * 2 ** (tries - 1)) * (0.7 + 0.6 * Math.random()));
  });
}

if (page) connect();

const form = document.querySelector("[data-request-form]");

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (form.dataset.sending) return;
  const button = form.querySelector("[data-submit]");
  const word = button.querySelector("span");
  button.dataset.word ??= word.textContent;
  const busy = (on) => {
    form.dataset.sending = on ? "1" : "";
    button.setAttribute("aria-busy", String(on));
    word.textContent = on ? form.dataset.busy : button.dataset.word;
  };
  busy(true);
  const box = document.getElementById("form-problems");
  try {
    const response = await fetch(form.action, { method: "POST", body: new FormData(form) });
    if (response.ok && response.redirected) {
      location.assign(response.url);
      return;
    }
    const answer = new DOMParser().parseFromString(await response.text(), "text/html");
    if (!answer.getElementById("form-problems")) throw new Error(answer.querySelector("h1")?.textContent ?? String(response.status));
    box.replaceChildren(...answer.getElementById("form-problems").childNodes);
    for (const message of form.querySelectorAll("[id^='error-']")) {
      const other = answer.getElementById(message.id);
      if (!other) continue;
      message.replaceChildren(...other.childNodes);
      message.hidden = other.hidden;
      const input = document.getElementById(message.id.slice("error-".length));
      if (other.hidden) input?.removeAttribute("aria-invalid");
      else input?.setAttribute("aria-invalid", "true");
    }
  } catch (error) {
    const problem = document.createElement("p");
    problem.className = "problems problems-title";
    problem.setAttribute("role", "alert");
    problem.textContent = error instanceof TypeError ? form.dataset.failed : error.message;
    box.replaceChildren(problem);
  }
  box.scrollIntoView({ block: "nearest" });
  box.querySelector(".problems")?.focus();
  busy(false);
  leaving = false;
});
addEventListener("pageshow", () => { if (form) form.dataset.sending = ""; });
