// Sends the form without leaving the page, so that a mistake costs nothing: what was typed stays, passwords too, and
// each message appears beside its field. Without this script the server sends the page back with the same messages.
const form = document.getElementById("diagnose");

if (form) {
  // What is folded can wait until the page is painted; the browser then finds words in it, too.
  requestAnimationFrame(() => setTimeout(() => form.classList.remove("needs-paint")));

  const help = form.querySelector("[data-symptom-help]");
  const guide = form.querySelector("[data-guide]");
  form.addEventListener("change", (event) => {
    if (event.target.name !== "plan.symptom") return;
    if (help) help.textContent = event.target.dataset.help ?? "";
    if (guide) guide.href = "/guides/" + encodeURIComponent(event.target.value);
  });

  // A complaint goes as soon as its field changes: whether it is right now is for the server to say.
  form.addEventListener("input", (event) => {
    if (event.target.getAttribute("aria-invalid") !== "true") return;
    event.target.removeAttribute("aria-invalid");
    const message = document.getElementById("error-" + event.target.name);
    if (message) message.hidden = true;
  });

  // What was typed is looked at when its field is left, so that a mistake shows at once, beside it. Secrets stay here: they
  // are sent with the run alone, and so nothing is said of what depends on one.
  const secrets = form.dataset.secrets.split(" ");
  const unseen = [...secrets, "target.tls.cert_pem"];
  let asked = 0;
  form.addEventListener("change", async ({ target: field }) => {
    const message = document.getElementById("error-" + field.name);
    if (!message || unseen.includes(field.name) || !field.value.trim()) return;
    const typed = new FormData(form);
    for (const name of [...typed.keys()]) if (secrets.includes(name) || name.endsWith(".file")) typed.delete(name);
    const mine = ++asked;
    let answer;
    try {
      const response = await fetch(form.dataset.check, { method: "POST", body: typed });
      if (!response.ok) return;
      answer = new DOMParser().parseFromString(await response.text(), "text/html");
    } catch {
      return; // the same is said when the form is sent
    }
    if (mine !== asked || form.dataset.sending) return;
    const wrong = answer.getElementById(message.id);
    if (wrong) {
      message.replaceChildren(...wrong.childNodes);
      message.setAttribute("role", "alert");
      field.setAttribute("aria-invalid", "true");
    } else field.removeAttribute("aria-invalid");
    message.hidden = !wrong;
  });

  const buttons = [...form.querySelectorAll("[data-submit]")];
  const busy = (on) => {
    for (const button of buttons) {
      const word = button.querySelector("span");
      button.dataset.word ??= word.textContent;
      button.setAttribute("aria-busy", String(on));
      word.textContent = on ? form.dataset.busy : button.dataset.word;
    }
    form.dataset.sending = on ? "1" : "";
  };

  const complain = (text) => {
    const box = document.getElementById("form-problems");
    const problem = document.createElement("div");
    problem.className = "problems";
    problem.setAttribute("role", "alert");
    const p = document.createElement("p");
    p.className = "problems-title";
    p.textContent = text;
    problem.append(p);
    box.replaceChildren(problem);
    problem.scrollIntoView({ block: "nearest" });
  };

  const place = (answer) => {
    document.getElementById("form-problems").replaceChildren(...answer.getElementById("form-problems").childNodes);
    for (const message of form.querySelectorAll("[id^='error-']")) {
      const other = answer.getElementById(message.id);
      if (!other) continue;
      message.replaceChildren(...other.childNodes);
      message.hidden = other.hidden;
      message.removeAttribute("role"); // the list above is read out already
      const input = document.getElementById(message.id.slice("error-".length));
      if (other.hidden) input?.removeAttribute("aria-invalid");
      else {
        input?.setAttribute("aria-invalid", "true");
        message.closest("details")?.setAttribute("open", "");
      }
    }
    const problems = document.querySelector("#form-problems .problems");
    problems?.focus();
    problems?.scrollIntoView({ block: "nearest" });
  };

  // Asking somebody else leads to another page. What is secret stays here: it is of no use there.
  function leaveSecretsOut() {
    const held = secrets.flatMap((name) => [...form.querySelectorAll(`[name="${CSS.escape(name)}"], [name="${CSS.escape(name)}.file"]`)]);
    for (const input of held) input.disabled = true;
    setTimeout(() => { for (const input of held) input.disabled = false; });
  }

  form.addEventListener("submit", async (event) => {
    if (event.submitter && "ask" in event.submitter.dataset) {
      leaveSecretsOut();
      return;
    }
    event.preventDefault();
    if (form.dataset.sending) return;
    busy(true);
    try {
      const response = await fetch(form.action, { method: "POST", body: new FormData(form) });
      if (response.ok && response.redirected) {
        location.assign(response.url);
        return;
      }
      const answer = new DOMParser().parseFromString(await response.text(), "text/html");
      if (answer.getElementById("form-problems")) place(answer);
      else complain(answer.querySelector("h1")?.textContent ?? String(response.status));
    } catch {
      complain(form.dataset.failed);
    }
    busy(false);
  });
  // Coming back by the browser's own button shows the form as it was, not as busy.
  addEventListener("pageshow", () => busy(false));

  document.addEventListener("click", (event) => {
    const link = event.target.closest?.(".problems a[href^='#']");
    const target = link && document.getElementById(decodeURIComponent(link.hash.slice(1)));
    if (!target) return;
    event.preventDefault();
    target.closest("details")?.setAttribute("open", "");
    target.focus();
  });
}
