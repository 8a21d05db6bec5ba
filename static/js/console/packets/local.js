// The packets of a direct connection: cut, judged and kept here; put into words when somebody looks.
import { describe } from "./describe.js";
import { Frames } from "./frames.js";
import { Judge } from "./judge.js";
import { decode, types } from "./wire.js";

// Packets makes entries of the bytes of one connection. An entry has what a list needs, and words() for the rest.
export class Packets {
  #judge = new Judge();
  #frames = { in: new Frames(), out: new Frames() };
  #connection;
  #seq;
  #add;

  // seq() numbers packets; add(entry, bytes) takes them.
  constructor(connection, seq, add) {
    this.#connection = connection;
    this.#seq = seq;
    this.#add = add;
  }

  feed(dir, bytes) {
    this.#frames[dir].feed(bytes, (frame) => this.#packet(dir, frame));
  }

  #packet(dir, frame) {
    const at = performance.timeOrigin + performance.now();
    const seq = this.#seq();
    const type = types[frame.raw[0] >> 4] ?? "?";
    const version = this.#judge.version || 5;
    const { packet, breaches } = frame.broken ? { packet: null, breaches: [{ code: "endless", name: "Remaining Length", section: "1.5.5" }] } : decode(frame, version, dir);
    const verdict = this.#judge.see(dir, type, frame.length, packet, { seq, at });
    const wrong = verdict.warnings.length + breaches.length > 0;
    const spoken = this.#judge.version || version;
    // A password must not lie about, not even here.
    const raw = packet?.password || packet?.properties?.authentication_data ? null : frame.raw;
    const made = raw ? null : describe({ dir, type, length: frame.length, packet, breaches, verdict, version: spoken, truncated: frame.truncated });
    const words = () => made ?? describe({ dir, type, length: frame.length, ...decode(frame, version, dir), verdict, version: spoken, broken: frame.broken, truncated: frame.truncated });
    this.#add({ seq, at, conn: this.#connection, dir, type: frame.broken || (!packet && !frame.truncated) ? "malformed" : type, length: frame.length,
      answers: verdict.answers, took_ms: verdict.took, wrong, topic: packet?.topic, id: packet?.id, code: packet?.code ?? packet?.codes?.find((c) => c >= 0x80), words }, frame.raw.length + 400);
    if (made) frame.raw = new Uint8Array();
  }
}
