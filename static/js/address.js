// The address field: says what will be connected to, opens the panels that the scheme needs, and takes a pasted URL with
// user name and password apart, so that a password never stands readable in a field.
// The server checks everything again; this only says it sooner.
const form = document.getElementById("diagnose") ?? document.getElementById("connect");
const field = form?.elements["target.url"];
const hint = document.querySelector("[data-url-hint]");
const pairs = (text) => new Map(text.split(" ").map((pair) => pair.split("=")));

if (field && hint) {
  const aliases = pairs(form.dataset.aliases);
  const ports = pairs(form.dataset.ports);
  const usualPort = { mqtt: "1883", mqtts: "8883", ws: "80", wss: "443" };
  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);

  const parse = (raw) => {
    const [, typed, rest] = /^(?:([a-z0-9+.-]*):\/\/)?(.*)$/i.exec(raw);
    const [authority] = rest.split(/[/?#]/, 1);
    const host = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(authority.slice(authority.lastIndexOf("@") + 1));
    const port = host?.[2];
    if (!host || !host[1] || Number(port) > 65535) return { typed, incomplete: true };
    const scheme = typed === undefined ? ports.get(port) ?? "mqtt" : aliases.get(typed.toLowerCase());
    let path = rest.slice(authority.length);
    if (scheme?.startsWith("ws") && !path) path = form.elements["target.ws.path"].value || "/mqtt";
    return { typed, scheme, host: host[1], port: port ?? usualPort[scheme], given: port !== undefined, path };
  };

  const opened = new Set();
  const open = (id) => {
    const panel = document.getElementById("panel-" + id);
    if (!panel || opened.has(id)) return;
    opened.add(id);
    panel.open = true;
  };
  const closeUntouched = (keep) => {
    for (const id of ["tls", "ws"]) {
      const panel = document.getElementById("panel-" + id);
      if (keep.has(id) || !opened.has(id)) continue;
      opened.delete(id);
      if (!panel.querySelector("[aria-invalid=true]") && ![...panel.querySelectorAll(".input")].some((i) => i.value)) {
        panel.open = false;
      }
    }
  };

  let note = "";
  const show = () => {
    const raw = field.value.trim();
    const at = parse(raw);
    let text = form.dataset.helpEmpty;
    if (raw && at.typed !== undefined && !aliases.has(at.typed.toLowerCase())) {
      text = fill(form.dataset.helpScheme, { scheme: at.typed });
    } else if (raw && !at.incomplete && at.scheme) {
      const url = `${at.scheme}://${at.host}:${at.port}${at.scheme.startsWith("ws") ? at.path : ""}`;
      text = fill(form.dataset["help" + at.scheme[0].toUpperCase() + at.scheme.slice(1)], { url, port: at.port });
      const usual = ports.get(at.port) ?? (at.port === "1883" ? "mqtt" : undefined);
      if (at.typed !== undefined && at.given && usual && usual !== at.scheme) {
        text += " " + fill(form.dataset.helpPort, { port: at.port, usual, scheme: at.scheme });
      }
    }
    hint.textContent = note ? note + " " + text : text;
    const wanted = new Set();
    if (at.typed !== undefined && at.host) {
      if (at.scheme === "mqtts" || at.scheme === "wss") wanted.add("tls");
      if (at.scheme === "ws" || at.scheme === "wss") wanted.add("ws");
    }
    wanted.forEach(open);
    closeUntouched(wanted);
  };

  const takeApart = () => {
    const match = /^(\s*(?:[a-z0-9+.-]+:\/\/)?)([^/?#]*)@(.*)$/i.exec(field.value);
    if (!match) return;
    const plain = (text) => {
      try {
        return decodeURIComponent(text);
      } catch {
        return text;
      }
    };
    const [, prefix, info, rest] = match;
    const colon = info.indexOf(":");
    const user = colon < 0 ? info : info.slice(0, colon);
    field.value = prefix + rest;
    if (user) form.elements["target.username"].value = plain(user);
    if (colon >= 0) form.elements["target.password"].value = plain(info.slice(colon + 1));
    open("login");
    note = form.dataset.helpTaken;
  };

  field.addEventListener("paste", () => setTimeout(() => { takeApart(); show(); }));
  field.addEventListener("change", () => { takeApart(); show(); });
  field.addEventListener("input", show);
  form.elements["target.ws.path"].addEventListener("input", show);
  form.addEventListener("submit", takeApart, { capture: true });
  show();
}
