// Opens a browser's WebSocket, shows what passes on it, and ends it before a packet that is too long is read.
import { Gauge } from "./packets/gauge.js";

// The longest packet that a page reads. MQTT.js holds a packet until it is whole, and MQTT allows 256 MiB, which is more than the
// tabs of many machines bear.
export const longestPacket = 64 << 20;

// A WebSocket of the browser's that shows what passes. onbytes(dir, bytes) gets each message as it is sent ("out") or before
// MQTT.js sees it ("in"); the bytes must not be kept. A packet that is too long ends it before it is read.
export function tapped(url, protocols, onbytes) {
  const socket = new WebSocket(url, protocols);
  socket.binaryType = "arraybuffer";
  socket.begun = performance.now();
  const send = socket.send.bind(socket);
  socket.send = (data) => {
    onbytes("out", new Uint8Array(data.buffer ?? data, data.byteOffset ?? 0, data.byteLength));
    send(data);
  };
  socket.addEventListener("open", () => { socket.opened = performance.now(); });
  const gauge = new Gauge();
  let large = 0;
  socket.addEventListener("message", (event) => {
    if (!(event.data instanceof ArrayBuffer)) {
      socket.text = true; // MQTT travels in binary messages (MQTT 3.1.1, 6.0)
      return;
    }
    const bytes = new Uint8Array(event.data);
    if (!large) onbytes("in", bytes);
    const longest = gauge.longest(bytes);
    if (longest > longestPacket && !large) {
      large = longest;
      socket.close();
    }
    if (large) event.stopImmediatePropagation(); // MQTT.js listens behind this
  });
  // told is kept once ended is known, whoever asks for it and when.
  socket.told = new Promise((tell) => socket.addEventListener("close", ({ code, reason }) => {
    socket.ended = { code, reason, opened: socket.opened !== undefined, took: performance.now() - socket.begun, text: socket.text, large };
    tell();
  }));
  return socket;
}
