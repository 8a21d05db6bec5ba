// Times in the reader's own form and zone. Without this script they stand in UTC.
function localise(root) {
  for (const element of root.querySelectorAll?.("time[datetime]:not([data-local])") ?? []) {
    const date = new Date(element.dateTime);
    if (Number.isNaN(date.getTime())) continue;
    element.dataset.local = "";
    // A time that was given to the minute gets no seconds.
    const seconds = /\d\d:\d\d:\d\d/.test(element.textContent);
    element.title = element.textContent;
    element.textContent = new Intl.DateTimeFormat(element.dataset.lang || document.documentElement.lang,
      { dateStyle: "medium", timeStyle: seconds ? "medium" : "short" }).format(date);
  }
}

localise(document);
new MutationObserver((changes) => {
  for (const change of changes) for (const node of change.addedNodes) localise(node);
}).observe(document.body, { childList: true, subtree: true });
