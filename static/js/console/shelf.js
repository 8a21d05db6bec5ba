// What the browser keeps for this page. A browser that keeps nothing (private windows, full storage) is no reason to fail.
const prefix = "mqttdoctor.console.";

export function recall(name, otherwise) {
  try {
    return JSON.parse(localStorage.getItem(prefix + name)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

// keep tells whether the browser took it.
export function keep(name, value) {
  try {
    localStorage.setItem(prefix + name, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}
