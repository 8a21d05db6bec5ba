// Cuts the bytes of one direction into MQTT packets (MQTT 5.0 2.1), whatever pieces they come in.

// Of a packet longer than this only the beginning is kept.
const kept = 16 << 10;

export class Frames {
  #head = []; // bytes of a fixed header that is not complete
  #packet = null; // {raw, header, length, have}
  broken = false; // no packet: nothing behind it makes sense

  // feed calls onpacket({raw, header, length, truncated}) for each packet that is complete. broken: its length has no end.
  feed(bytes, onpacket) {
    let at = 0;
    while (at < bytes.length && !this.broken) {
      if (!this.#packet) {
        this.#head.push(bytes[at++]);
        const last = this.#head.length - 1;
        if (last === 0 || this.#head[last] & 0x80) {
          if (last < 4) continue;
          this.broken = true;
          onpacket({ raw: Uint8Array.from(this.#head), header: 5, length: 5, broken: true });
          return;
        }
        let remaining = 0;
        for (let i = last; i > 0; i--) remaining = remaining * 128 + (this.#head[i] & 0x7f);
        const header = this.#head.length;
        const length = header + remaining;
        const raw = new Uint8Array(Math.min(length, kept));
        raw.set(this.#head);
        this.#head = [];
        this.#packet = { raw, header, length, have: header };
      }
      const p = this.#packet;
      const part = bytes.subarray(at, at + p.length - p.have);
      if (p.have < p.raw.length) p.raw.set(part.subarray(0, p.raw.length - p.have), p.have);
      p.have += part.length;
      at += part.length;
      if (p.have === p.length) {
        this.#packet = null;
        onpacket({ raw: p.raw, header: p.header, length: p.length, truncated: p.raw.length < p.length });
      }
    }
  }
}
