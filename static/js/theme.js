// The theme button without a reload: as the system, light, dark, and round again. The server renders the choice from the
// cookie, so that the next page comes in the right colours at once.
const form = document.querySelector("[data-theme-form]");

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  const body = new URLSearchParams(new FormData(form));
  body.set("theme", button.value);
  document.documentElement.dataset.theme = button.value;
  try {
    const response = await fetch(form.action, { method: "POST", body, headers: { "X-Fragment": "theme" } });
    if (!response.ok) throw new Error(String(response.status));
    const next = new DOMParser().parseFromString(await response.text(), "text/html").querySelector("[data-theme-form]");
    if (next) button.replaceWith(next.querySelector("button"));
    form.querySelector("button").focus();
  } catch {
    form.submit();
  }
});
