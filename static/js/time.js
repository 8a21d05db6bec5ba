// Times in the reader's own form and zone. Without this script they stand in UTC.
function localise(root) {
  for (const element of root.querySelectorAll?.("time[datetime]:not([data-local])") ?? []) {
    const date = new Date(element.dateTime);
    if (Number.isNaN(date.getTime())) continue;
    element.dataset.local = "";
    element.title = element.textContent;
    element.textContent = new Intl.DateTimeFormat(element.dataset.lang || document.documentElement.lang,
      { dateStyle: "medium", timeStyle: "medium" }).format(date);
  }
}

localise(document);
new MutationObserver((changes) => {
  for (const change of changes) for (const node of change.addedNodes) localise(node);
}).observe(document.body, { childList: true, subtree: true });
