// Tabs by mouse and keyboard (WAI-ARIA: arrows, Home and End move, the tab that has the focus is shown).
export function tabs(list, onshow) {
  const all = [...list.querySelectorAll('[role="tab"]')];
  const show = (tab) => {
    for (const other of all) {
      const on = other === tab;
      other.setAttribute("aria-selected", String(on));
      other.tabIndex = on ? 0 : -1;
      document.getElementById(other.getAttribute("aria-controls")).hidden = !on;
    }
    onshow?.(tab.id);
  };
  list.addEventListener("click", ({ target }) => {
    const tab = target.closest('[role="tab"]');
    if (tab) show(tab);
  });
  list.addEventListener("keydown", (event) => {
    const at = all.indexOf(document.activeElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    const tab = all[(to + all.length) % all.length];
    tab.focus();
    show(tab);
  });
  show(all[0]);
  return { show: (id) => show(document.getElementById(id)) };
}
