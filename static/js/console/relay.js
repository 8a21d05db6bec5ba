// The way through the server: a console there carries the bytes to the target. One console serves all attempts at a target,
// so that its trace holds them all.
import { t } from "./words.js";

const api = "/api/v1/console";
let open = null; // {key, id, relay_url, trace_url, delete_token, expires_at}

// Refused is an answer of the server that opened no console. fields are messages by the form's field.
export class Refused extends Error {
  constructor(status, error, after) {
    super(error?.message || t("relay.unreachable", { status }));
    this.code = error?.code ?? "";
    this.fields = error?.fields ?? {};
    this.after = after;
  }
}

// console opens a console for the target of the settings, or returns the one that there is.
export async function console(target) {
  const body = { target: { url: target.url, protocol: target.protocol, tls: target.tls, ws: target.ws } };
  const key = JSON.stringify(body);
  if (open?.key === key && Date.parse(open.expires_at) > Date.now() + 60000) return open;
  end();
  let response;
  try {
    response = await fetch(api, { method: "POST", headers: { "Content-Type": "application/json" }, body: key });
  } catch {
    throw new Refused(0);
  }
  const answer = await response.json().catch(() => null);
  if (response.status !== 201) throw new Refused(response.status, answer?.error, response.headers.get("Retry-After"));
  open = { ...answer, key, relay_url: here(answer.relay_url), trace_url: here(answer.trace_url) };
  return open;
}

// here is an address of this server as the page reaches it, whatever name the server has for itself.
function here(address) {
  const url = new URL(address, location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  url.host = location.host;
  return url.href;
}

export const current = () => open;

// forget makes the next attempt open another console: this one is over.
export function forget() { open = null; }

// end closes the console with its connections. It also works while the page goes away.
export function end() {
  if (!open) return;
  const { id, delete_token: token } = open;
  open = null;
  fetch(`${api}/${id}`, { method: "DELETE", headers: { Authorization: `Bearer ${token}` }, keepalive: true }).catch(() => {});
}

addEventListener("pagehide", (event) => { if (!event.persisted) end(); });
