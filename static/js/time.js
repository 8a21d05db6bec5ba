// Times in the reader's own form and zone. Without this script they stand in UTC.
function localise(root) {
  for (const element of root.querySelectorAll?.("time[datetime]:not([data-local])") ?? []) {
    const date = new Date(element.dateTime);
    if (Number.isNaN(date.getTime())) continue;
    element.dataset.local = "";
    if ("clock" in element.dataset) { // of a packet, to the millisecond
      const two = (n) => String(n).padStart(2, "0");
      element.textContent = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, "0")}`;
      continue;
    }
    // A time that was given to the minute gets no seconds.
    const seconds = /\d\d:\d\d:\d\d/.test(element.textContent);
    element.title = element.textContent;
    element.textContent = new Intl.DateTimeFormat(element.dataset.lang || document.documentElement.lang,
      { dateStyle: "medium", timeStyle: seconds ? "medium" : "short" }).format(date);
  }
  for (const note of root.querySelectorAll?.("[data-utc]") ?? []) note.hidden = true; // not any more
}

localise(document);
new MutationObserver((changes) => {
  for (const change of changes) for (const node of change.addedNodes) localise(node);
}).observe(document.body, { childList: true, subtree: true });
