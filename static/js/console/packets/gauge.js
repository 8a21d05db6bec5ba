// Reads the lengths of MQTT packets in the bytes of one direction, and nothing else of them (MQTT 5.0 2.1.4).
export class Gauge {
  #left = 0; // bytes of a packet that are still to come
  #header = 0; // bytes of a fixed header that have come
  #remaining = 0;

  // longest is the length of the longest packet that begins in these bytes, as far as its header is there; 0: none begins.
  longest(bytes) {
    let longest = 0;
    for (let at = 0; at < bytes.length;) {
      if (this.#left) {
        const part = Math.min(this.#left, bytes.length - at);
        this.#left -= part;
        at += part;
        continue;
      }
      const byte = bytes[at++];
      if (this.#header++ === 0) {
        this.#remaining = 0;
        continue;
      }
      this.#remaining += (byte & 0x7f) * 128 ** (this.#header - 2);
      if (byte & 0x80) {
        if (this.#header > 4) return longest; // no packet: others say so
        continue;
      }
      longest = Math.max(longest, this.#header + this.#remaining);
      this.#left = this.#remaining;
      this.#header = 0;
    }
    return longest;
  }
}
