// What a browser can still find out when its WebSocket did not open: the browser itself gives no reason (RFC 6455 and the HTML
// standard forbid it), so other questions are asked and the answers compared.
import { t } from "./words.js";

const patience = 6000;

// opens tells whether a WebSocket opens without a subprotocol.
function opens(url) {
  return new Promise((done) => {
    let socket;
    try {
      socket = new WebSocket(url);
    } catch {
      return done(false);
    }
    const end = (answer) => {
      clearTimeout(late);
      socket.close();
      done(answer);
    };
    const late = setTimeout(() => end(false), patience);
    socket.addEventListener("open", () => end(true));
    socket.addEventListener("close", () => end(false));
  });
}

// answers tells whether anything speaks HTTP there: the answer itself is hidden, that there is one is not.
async function answers(url) {
  try {
    await fetch(url.replace(/^ws/, "http"), { mode: "no-cors", cache: "no-store", credentials: "omit", redirect: "follow", signal: AbortSignal.timeout(patience) });
    return true;
  } catch {
    return false;
  }
}

// findings is what can be said of a WebSocket that did not open: {sure, text, visit}. visit is an address to open by hand.
export async function findings(url) {
  if (await opens(url)) return { sure: true, text: t("browser.subprotocol") };
  const https = url.startsWith("wss:");
  if (await answers(url)) return { sure: false, text: t("browser.http") };
  return https ? { sure: false, text: t("browser.no_tls"), visit: url.replace(/^ws/, "http") } : { sure: false, text: t("browser.nothing") };
}
