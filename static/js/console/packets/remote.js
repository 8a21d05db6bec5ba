// The packets of a relayed connection, as the server decodes them. The stream is taken up again after the last frame seen.
export class Stream {
  #url;
  #socket = null;
  #after = 0;
  #tries = 0;
  #timer = 0;
  #onframe;
  #ended = false;

  // onframe gets each frame of the trace.
  constructor(url, onframe) {
    this.#url = url;
    this.#onframe = onframe;
    this.#open();
  }

  close() {
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#socket?.close();
  }

  #open() {
    const url = new URL(this.#url);
    url.searchParams.set("after", String(this.#after));
    url.searchParams.set("lang", document.documentElement.lang.startsWith("zh") ? "zh" : "en");
    this.#socket = new WebSocket(url);
    this.#socket.addEventListener("message", ({ data }) => {
      this.#tries = 0;
      const frame = JSON.parse(data);
      this.#after = frame.seq;
      this.#onframe(frame, data.length);
    });
    this.#socket.addEventListener("close", ({ code }) => {
      if (this.#ended || code === 4012 || code === 1001) return; // the console is over
      this.#timer = setTimeout(() => this.#open(), Math.min(15000, 500 * 2 ** this.#tries++));
    });
  }
}
