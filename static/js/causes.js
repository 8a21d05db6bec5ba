// Finds causes by all the words that were typed, wherever they stand in them, and unfolds the one that the address names.
const field = document.getElementById("causes-search");
const shown = document.getElementById("causes-shown");
const items = [...document.querySelectorAll(".cause-item")];
const words = new Map(items.map((item) => [item, item.textContent.toLowerCase()]));

function find() {
  const wanted = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  let left = 0;
  for (const item of items) {
    item.hidden = !wanted.every((word) => words.get(item).includes(word));
    if (!item.hidden) left++;
  }
  for (const section of document.querySelectorAll(".causes section")) section.hidden = !section.querySelector(".cause-item:not([hidden])");
  if (!wanted.length) shown.textContent = "";
  else if (!left) shown.textContent = shown.dataset.none;
  else shown.textContent = shown.dataset.shown.replace("{n}", left).replace("{total}", items.length);
}

function unfold() {
  const item = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!item?.matches(".cause-item")) return;
  if (item.hidden) {
    field.value = "";
    find();
  }
  item.open = true;
  item.scrollIntoView({ block: "start" });
}

field.addEventListener("input", find);
addEventListener("hashchange", unfold);
find();
unfold();
