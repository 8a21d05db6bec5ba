// Keeps time in a worker: browsers slow down the timers of pages that nobody looks at, and a ping that comes late costs the
// connection. Takes {id, every} to begin and {id} to end; answers with the id each time.
const timers = new Map();

onmessage = ({ data: { id, every } }) => {
  clearInterval(timers.get(id));
  timers.delete(id);
  if (every) timers.set(id, setInterval(() => postMessage(id), every));
};
