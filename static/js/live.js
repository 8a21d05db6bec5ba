// Places what the server renders while a run goes on. Frames: {"seq", "type", "fragments": [{"target", "mode", "html"}],
// "title", "icon", "say"}. It renders nothing itself; a lost connection is taken up again after the last frame seen.
const run = document.getElementById("run");
const lost = document.getElementById("link-lost");
const say = document.getElementById("say");
let after = Number(run.dataset.after);
let queue = [];
let drawing = 0;
let tries = 0;
let over = false;

// Words for screen readers: the newest only, and not more often than they can be spoken.
let words = "";
let speaking = 0;
function speak(text) {
  words = text;
  if (speaking) return;
  const next = () => {
    speaking = 0;
    if (!words) return;
    say.textContent = words;
    words = "";
    speaking = setTimeout(next, 2500);
  };
  speaking = setTimeout(next, 400);
}

function parse(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content.firstElementChild;
}

// What the reader unfolded, chose or holds the focus on stays so when its part is drawn anew.
function carryOver(old, fresh) {
  for (const fold of old.querySelectorAll("details[id][open]")) {
    fresh.querySelector("#" + CSS.escape(fold.id))?.setAttribute("open", "");
  }
  for (const choice of old.querySelectorAll("input[type=radio][id]:checked")) {
    const same = fresh.querySelector("#" + CSS.escape(choice.id));
    if (same) same.checked = true;
  }
  const held = old.contains(document.activeElement) ? document.activeElement : null;
  if (!held || held === document.body) return () => {};
  const id = held.id || held.closest("[id]")?.id;
  const name = held.id ? "" : held.localName;
  return () => {
    const home = id && document.getElementById(id);
    (name ? home?.querySelector(name) : home)?.focus({ preventScroll: true });
  };
}

function put({ target, mode, html }) {
  const fresh = parse(html);
  if (!fresh) return;
  const old = mode === "append" ? fresh.id && document.getElementById(fresh.id) : document.getElementById(target);
  const home = mode === "append" ? document.getElementById(target) : null;
  if (old && (!home || old.parentElement === home)) {
    const restore = carryOver(old, fresh);
    old.replaceWith(fresh);
    restore();
    return;
  }
  old?.remove();
  home?.append(fresh);
}

// Bars are drawn against the time that the run has taken so far, which grows.
function rescale() {
  const bars = [...document.querySelectorAll("#steps .bar")];
  const span = Math.max(1, ...bars.map((b) => Number(b.dataset.from) + Number(b.dataset.long)));
  for (const bar of bars) {
    const part = bar.querySelector(".bar-part");
    const from = Math.min(99, (100 * bar.dataset.from) / span);
    const running = bar.closest(".is-running");
    const long = running ? 100 - from : Math.max(1, (100 * bar.dataset.long) / span);
    part.setAttribute("x", from.toFixed(1));
    part.setAttribute("width", Math.min(long, 100 - from).toFixed(1));
  }
}

// How long it still takes is counted down between events, which may be far apart where nothing answers or the link is lost.
setInterval(() => {
  const left = document.getElementById("progress-left");
  if (!left || over) return;
  left.since ??= performance.now();
  const passed = performance.now() - left.since;
  if (left.dataset.quick && Number(left.dataset.elapsed) + passed < Number(left.dataset.quick)) return;
  const seconds = Math.max(1, Math.ceil((Number(left.dataset.left) - passed) / 1000));
  const minutes = Math.floor(seconds / 60);
  const duration = seconds < 60 ? left.dataset.s.replace("{n}", seconds)
    : minutes >= 120 ? left.dataset.h.replace("{h}", Math.floor(minutes / 60)).replace("{min}", minutes % 60)
    : left.dataset.min.replace("{min}", minutes).replace("{s}", seconds % 60);
  left.textContent = left.dataset.words.replace("{duration}", duration);
}, 1000);

function draw() {
  drawing = 0;
  const frames = queue;
  queue = [];
  // Of parts that are drawn as a whole only the newest matters.
  const newest = new Map();
  for (const frame of frames) for (const f of frame.fragments ?? []) if (f.mode === "replace") newest.set(f.target, f);
  for (const frame of frames) {
    for (const f of frame.fragments ?? []) if (f.mode !== "replace" || newest.get(f.target) === f) put(f);
    if (frame.title) document.title = frame.title;
    if (frame.icon) document.getElementById("favicon").href = run.dataset.icons.replace("%", frame.icon);
    if (frame.say) speak(frame.say);
    if (frame.type === "run.finished") {
      over = true;
      run.dataset.state = frame.state ?? "finished";
    }
  }
  if (!over) rescale();
}

function connect() {
  const url = new URL(run.dataset.live, location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  url.searchParams.set("after", String(after));
  const socket = new WebSocket(url);
  let opened = false;
  socket.addEventListener("open", () => {
    opened = true;
    lost.hidden = true;
  });
  socket.addEventListener("message", (event) => {
    tries = 0;
    const frame = JSON.parse(event.data);
    after = frame.seq;
    queue.push(frame);
    drawing ||= document.hidden ? setTimeout(draw) : requestAnimationFrame(draw);
  });
  socket.addEventListener("close", (event) => {
    if (event.code === 1000) {
      // The run is over, and so is the stream; a page that missed the end shows it now.
      setTimeout(() => {
        if (queue.length) draw(); // a browser that is busy has not found the time yet
        if (!over) location.reload();
      }, 500);
      return;
    }
    tries++;
    if (tries > 1) lost.hidden = false;
    // A server that does not let websockets through (a proxy, say) is asked for the page instead.
    if (!opened && tries >= 6) {
      location.reload();
      return;
    }
    setTimeout(connect, Math.min(10000, 300 * 2 ** (tries - 1)) * (0.7 + 0.6 * Math.random()));
  });
}

// Cancel without leaving the page: the stream shows what comes of it.
document.addEventListener("submit", async (event) => {
  const form = event.target.closest("[data-cancel]");
  if (!form || over) return;
  event.preventDefault();
  form.querySelector("button").disabled = true;
  try {
    const response = await fetch(form.action, { method: "POST" });
    if (!response.ok) throw new Error(String(response.status));
  } catch {
    form.submit();
  }
});

if (run.dataset.state === "running") connect();
