// A WebSocket of the browser's that shows what passes. onbytes(dir, bytes) gets each message as it is sent ("out") or before
// MQTT.js sees it ("in"); the bytes must not be kept.
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
  socket.addEventListener("message", ({ data }) => {
    if (data instanceof ArrayBuffer) onbytes("in", new Uint8Array(data));
    else socket.text = true; // MQTT travels in binary messages (MQTT 3.1.1, 6.0)
  });
  socket.addEventListener("close", ({ code, reason }) => {
    socket.ended = { code, reason, opened: socket.opened !== undefined, took: performance.now() - socket.begun, text: socket.text };
  });
  return socket;
}
