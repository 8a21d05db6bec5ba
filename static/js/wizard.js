// Asks one thing about the chosen symptom. An answer fills fields in, where the reader can see and change them; with another
// answer or symptom, what it filled in is undone, unless the reader changed it since.
const form = document.getElementById("diagnose");

if (form) {
  const questions = [...form.querySelectorAll("[data-question]")];
  const answers = (question) => [...question.querySelectorAll("[data-set]")];
  const setting = (answer) => Object.entries(JSON.parse(answer.dataset.set));
  const press = (question, pressed) => {
    for (const answer of answers(question)) answer.setAttribute("aria-pressed", String(answer === pressed));
    question.querySelector("[data-answer-hint]").textContent = pressed?.dataset.hint ?? "";
  };
  const put = (field, value) => {
    field.value = value;
    field.dispatchEvent(new Event("change", { bubbles: true }));
  };

  let filled = []; // what the answer in force changed: field, value before, value since
  function undo() {
    const changed = filled;
    filled = [];
    for (const { field, before, since } of changed) if (field.value === since) put(field, before);
  }

  function show() {
    const symptom = form.elements["plan.symptom"]?.value;
    for (const question of questions) question.hidden = question.dataset.question !== symptom;
  }

  form.addEventListener("change", (event) => {
    if (event.target.name === "plan.symptom") {
      undo();
      for (const question of questions) press(question);
      show();
    }
    // A choice shows what is set, wherever it was set.
    for (const question of questions) {
      if (!("choice" in question.dataset)) continue;
      press(question, answers(question).find((answer) => setting(answer).every(([name, value]) => form.elements[name]?.value === value)));
    }
  });

  form.addEventListener("click", (event) => {
    const answer = event.target.closest("[data-question] [data-set]");
    if (!answer) return;
    undo();
    for (const [name, value] of setting(answer)) {
      const field = form.elements[name];
      if (!field || field.value === value) continue;
      filled.push({ field, before: field.value, since: value });
      put(field, value);
    }
    press(answer.closest("[data-question]"), answer);
    const panel = answer.dataset.open && document.getElementById("panel-" + answer.dataset.open);
    if (!panel) return;
    panel.open = true;
    panel.scrollIntoView({ block: "nearest" }); // the answer asks for what stands in it
  });

  show();
}
