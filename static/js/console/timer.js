// Timers as MQTT.js wants them, kept by the worker of ticker.js.
const worker = new Worker(document.getElementById("console").dataset.ticker);
const calls = new Map();
let last = 0;

worker.onmessage = ({ data: id }) => calls.get(id)?.();

export const timer = {
  set(call, every) {
    const id = ++last;
    calls.set(id, call);
    worker.postMessage({ id, every });
    return id;
  },
  clear(id) {
    calls.delete(id);
    worker.postMessage({ id });
  },
};
