// Copies what a button points to. One listener for the page, so that streamed parts work too.
async function copy(text, source) {
  if (navigator.clipboard && isSecureContext) {
    await navigator.clipboard.writeText(text);
    return;
  }
  // Pages on plain http in an intranet have no clipboard object.
  const selection = getSelection();
  if (source.select) source.select();
  else selection.selectAllChildren(source);
  document.execCommand("copy");
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-copy]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  const word = button.querySelector(".copy-word");
  button.dataset.word ??= word.textContent;
  try {
    await copy(source.value ?? source.textContent, source);
  } catch {
    return;
  }
  button.classList.add("done");
  word.textContent = button.dataset.done;
  clearTimeout(Number(button.dataset.timer));
  button.dataset.timer = setTimeout(() => {
    button.classList.remove("done");
    word.textContent = button.dataset.word;
  }, 2000);
});
