// Joins the parts of the console.
import { Attacher } from "./attach.js";
import { Client, load } from "./client.js";
import { CopyAs } from "./copyas.js";
import { Detail } from "./detail.js";
import { diagnose } from "./diagnose.js";
import { byId, el, icon } from "./dom.js";
import { Messages } from "./messages.js";
import { PacketView } from "./packets.js";
import { Publisher } from "./publish.js";
import { Saved } from "./saved.js";
import { read, show, Wrong } from "./settings.js";
import { Status } from "./status.js";
import { Subscriptions } from "./subscriptions.js";
import { tabs } from "./tabs.js";
import { Tree } from "./tree.js";

const client = new Client();
const subscriptions = new Subscriptions(client);
const messages = new Messages(client, subscriptions);
const publisher = new Publisher(client, messages);
new Detail(messages, (m) => publisher.take(m));
const status = new Status(client, run);
new Attacher(new PacketView(client, (text) => status.learn(text)), () => client.settings?.at?.url ?? client.settings?.target?.url ?? "");
let chosen = null; // a saved connection that was filled in, and not connected yet
new Saved(subscriptions, publisher).on("take", (connection) => { chosen = connection; });
new CopyAs(client, subscriptions, publisher);
const tree = new Tree(messages);
const views = tabs(document.querySelector(".views-tabs"), (id) => { if (id === "tab-topics") tree.shown(); });
tree.on("open", (topic) => {
  messages.under(topic);
  views.show("tab-messages");
}).on("newest", (topic) => {
  const m = messages.newest(topic);
  if (!m) return;
  views.show("tab-messages");
  messages.list.select(m.number);
}).on("publish", (topic) => publisher.aim(topic));

// problem shows what belongs to no field.
function problem(...texts) {
  byId("console-problem").replaceChildren(...(texts.length ? [el("div", { class: "problems", role: "alert" }, icon("warned"), el("div", {}, ...texts.map((text) => el("p", { class: "problems-title" }, text))))] : []));
}

// settings reads the form; null: it says what is wrong.
function settings() {
  try {
    const made = read();
    show({});
    return made;
  } catch (error) {
    if (!(error instanceof Wrong)) throw error;
    byId("connect-card").open = true;
    problem(...show(error.fields));
    return null;
  }
}

async function run() {
  const made = settings();
  if (!made) return;
  try {
    location.assign(await diagnose(made));
  } catch (error) {
    const left = show(error.fields);
    problem(...(Object.keys(error.fields).length ? left : [error.message]));
  }
}

byId("connect").addEventListener("submit", async (event) => {
  event.preventDefault();
  const made = settings();
  if (!made) return;
  problem();
  byId("connect-summary").textContent = made.at.url;
  if (chosen) {
    await client.disconnect();
    subscriptions.replace(chosen.subscriptions);
    chosen = null;
  }
  await client.connect(made);
});
client.on("state", (state, detail) => {
  byId("connect-now").setAttribute("aria-busy", String(state === "connecting"));
  const fields = detail?.end?.fields;
  if (fields && Object.keys(fields).length) show(fields);
});
byId("disconnect").addEventListener("click", () => {
  client.disconnect();
  byId("connect-card").open = true;
});
byId("retry-now").addEventListener("click", () => client.retry());
byId("diagnose-target").addEventListener("click", run);

// The library is there before it is needed.
requestIdleCallback?.(() => load());
