// Asks one thing about the chosen symptom. An answer fills fields in, where the reader can see and change them.
const form = document.getElementById("diagnose");

if (form) {
  const questions = [...form.querySelectorAll("[data-question]")];

  function show() {
    const symptom = form.elements["plan.symptom"]?.value;
    for (const question of questions) question.hidden = question.dataset.question !== symptom;
  }

  form.addEventListener("change", (event) => {
    if (event.target.name === "plan.symptom") show();
  });

  form.addEventListener("click", (event) => {
    const answer = event.target.closest("[data-question] [data-set]");
    if (!answer) return;
    const question = answer.closest("[data-question]");
    for (const other of question.querySelectorAll("[data-set]")) other.setAttribute("aria-pressed", String(other === answer));
    for (const [name, value] of Object.entries(JSON.parse(answer.dataset.set))) {
      const field = form.elements[name];
      if (!field) continue;
      field.value = value;
      field.dispatchEvent(new Event("change", { bubbles: true }));
    }
    question.querySelector("[data-answer-hint]").textContent = answer.dataset.hint ?? "";
    const panel = answer.dataset.open && document.getElementById("panel-" + answer.dataset.open);
    if (panel) panel.open = true;
  });

  show();
}
