// A list that keeps the newest entries within a number and a number of bytes. Entries have numbers that never change: the
// first is 0, and one that has been dropped is gone for good.
export class Ring {
  #slots;
  #first = 0; // number of the oldest that is kept
  #next = 0;
  #bytes = 0;
  #most;
  #mostBytes;
  onDrop = null;

  constructor(most, mostBytes) {
    this.#most = most;
    this.#mostBytes = mostBytes;
    this.#slots = [];
  }

  get first() { return this.#first; }
  get next() { return this.#next; }
  get length() { return this.#next - this.#first; }
  get bytes() { return this.#bytes; }
  get dropped() { return this.#first; }

  at(number) {
    return number >= this.#first && number < this.#next ? this.#slots[number % this.#most] : undefined;
  }

  // push takes an entry of so many bytes and returns its number.
  push(entry, bytes) {
    while (this.length > 0 && (this.length >= this.#most || this.#bytes + bytes > this.#mostBytes)) this.#drop();
    const number = this.#next++;
    entry.number = number;
    entry.bytes = bytes;
    this.#slots[number % this.#most] = entry;
    this.#bytes += bytes;
    return number;
  }

  #drop() {
    const slot = this.#first % this.#most;
    const old = this.#slots[slot];
    this.#bytes -= old.bytes;
    this.#slots[slot] = undefined;
    this.#first++;
    this.onDrop?.(old);
  }

  // clear forgets all entries; numbers go on.
  clear() {
    while (this.length > 0) this.#drop();
    this.#slots = [];
  }

  *[Symbol.iterator]() {
    for (let i = this.#first; i < this.#next; i++) yield this.#slots[i % this.#most];
  }
}
