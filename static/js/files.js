// The control that takes a file: shows its name and size, takes it back, and takes one that is dropped on it. Where a text field
// stands beside it, the file's text goes there, so that one sees what is sent.
const most = 512 * 1024; // the server takes half of it as text; more is surely the wrong file

const units = ["byte", "kilobyte", "megabyte", "gigabyte"];
function size(bytes) {
  const step = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), units.length - 1);
  return new Intl.NumberFormat(document.documentElement.lang,
    { style: "unit", unit: units[step], unitDisplay: step ? "short" : "long", maximumFractionDigits: 1 }).format(bytes / 1000 ** step);
}

const part = (box, name) => box.querySelector(`[data-file-${name}]`);
const field = (box) => box.dataset.fileFor && document.getElementById(box.dataset.fileFor);

function show(box, text, wrong = false) {
  part(box, "chosen").textContent = text;
  part(box, "hint").hidden = Boolean(text);
  part(box, "off").hidden = !text || wrong;
  box.classList.toggle("is-wrong", wrong);
}

// texts holds what files put into text fields, to know whether it still stands there.
const texts = new WeakMap();

function put(field, text) {
  field.value = text;
  for (const type of ["input", "change"]) field.dispatchEvent(new Event(type, { bubbles: true }));
}

async function take(box, input) {
  const [file] = input.files;
  if (!file) return show(box, "");
  const name = `${file.name}, ${size(file.size)}`;
  const into = field(box);
  if (!into) return show(box, name);
  let problem = file.size > most ? box.dataset.tooLarge : "";
  try {
    const text = problem ? "" : await file.text();
    if (text) {
      texts.set(into, text.replace(/\r\n?/g, "\n")); // as text fields have it
      put(into, text);
    }
  } catch {
    problem = box.dataset.unread;
  }
  input.value = ""; // the text is sent, not the file
  show(box, problem ? problem.replace("{name}", file.name) : name, Boolean(problem));
}

document.addEventListener("change", ({ target }) => {
  const box = target.type === "file" && target.closest("[data-file]");
  if (box) take(box, target);
});

document.addEventListener("click", ({ target }) => {
  const box = target.closest("[data-file-off]")?.closest("[data-file]");
  if (!box) return;
  const input = box.querySelector("input");
  input.value = "";
  input.dispatchEvent(new Event("change", { bubbles: true }));
  const into = field(box);
  if (into && into.value === texts.get(into)) put(into, "");
  input.focus();
});

// What was edited is not what the file holds any more.
document.addEventListener("input", ({ target }) => {
  if (!texts.has(target) || target.value === texts.get(target)) return;
  texts.delete(target);
  for (const box of document.querySelectorAll("[data-file]")) if (field(box) === target) show(box, "");
});

// A file that misses its place must not make the browser leave the page, and with it what was typed.
const carries = (event) => event.dataTransfer?.types.includes("Files");
const place = ({ target }) => target.closest?.("[data-drop], [data-file]");
const mark = (over) => {
  for (const was of document.querySelectorAll(".is-over")) if (was !== over) was.classList.remove("is-over");
  over?.classList.add("is-over");
};
document.addEventListener("dragover", (event) => {
  if (!carries(event)) return;
  event.preventDefault();
  mark(place(event));
  event.dataTransfer.dropEffect = place(event) ? "copy" : "none";
});
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) mark(null); });
document.addEventListener("drop", (event) => {
  if (!carries(event)) return;
  event.preventDefault();
  mark(null);
  const input = place(event)?.querySelector("input[type=file]");
  if (!input) return;
  input.files = event.dataTransfer.files;
  input.dispatchEvent(new Event("change", { bubbles: true }));
});
