// Small comforts of the report: unfold all evidence, print everything, follow a link into a folded step.
document.addEventListener("click", (event) => {
  const all = event.target.closest?.("[data-open-all]");
  if (all) {
    const folds = [...document.querySelectorAll("#steps .steps details")];
    const opening = folds.some((fold) => !fold.open);
    for (const fold of folds) fold.open = opening;
    for (const list of document.querySelectorAll("#steps > details")) list.open = opening;
    const other = all.dataset.close;
    all.dataset.close = all.textContent;
    all.textContent = other;
    return;
  }
  if (event.target.closest?.("[data-print]")) print();
  const link = event.target.closest?.("[data-open-step]");
  if (link) unfold(link.hash);
  // A click beside an open small form closes it.
  for (const pop of document.querySelectorAll("details.again[open]")) {
    if (!pop.contains(event.target)) pop.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const pop of document.querySelectorAll("details.again[open]")) {
    pop.open = false;
    pop.querySelector("summary").focus();
  }
});

document.addEventListener("focusin", (event) => {
  if (event.target.matches?.("[data-select]")) event.target.select();
});

function unfold(hash) {
  const step = hash.length > 1 && document.getElementById(decodeURIComponent(hash.slice(1)));
  if (!step) return;
  step.closest(".skipped")?.setAttribute("open", "");
  step.querySelector("details")?.setAttribute("open", "");
}

// Browsers without ::details-content print folded parts folded.
let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("#run .why:not([open])")];
  for (const fold of folded) fold.open = true;
});
addEventListener("afterprint", () => {
  for (const fold of folded) fold.open = false;
});

addEventListener("hashchange", () => unfold(location.hash));
unfold(location.hash);
