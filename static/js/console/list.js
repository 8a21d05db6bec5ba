// A list of many rows of one height, of which only those in sight are elements. It follows the newest until one scrolls away,
// and stays at what one reads while older rows are dropped.
import { el, Talker } from "./dom.js";

// The longest that a browser draws in one piece without rounding rows away.
const tallest = 8e6;
const slice = 6; // milliseconds of filtering between two pictures

export class List extends Talker {
  #ring;
  #row;
  #match = null; // null: all rows
  #shown = []; // numbers of matching rows, where there is a filter
  #from = 0; // index in #shown of the first that is kept
  #filtered = 0; // number of the next row to look at
  #height;
  #frame;
  #space;
  #follow = true;
  #drawing = 0;
  #selected = -1;
  #head = 0; // number of rows that were above when last drawn
  #paused = null; // number of the row at which it stands still

  // row(entry) makes the element of a row. name is what screen readers call the list.
  constructor(home, ring, { name, row }) {
    super();
    this.#ring = ring;
    this.#row = row;
    this.#space = el("div", { class: "list-space", role: "presentation" });
    this.#frame = el("div", { class: "list", role: "listbox", tabindex: "0", "aria-label": name, hidden: true }, this.#space);
    home.append(this.#frame);
    this.#frame.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.#frame.addEventListener("keydown", (event) => this.#key(event));
    this.#frame.addEventListener("click", (event) => {
      const row = event.target.closest("[data-number]");
      if (row) this.select(Number(row.dataset.number));
    });
    new ResizeObserver(() => this.draw()).observe(this.#frame);
  }

  get selected() { return this.#selected; }
  get following() { return this.#follow; }
  get matching() { return this.#count(); }
  get waiting() { return this.#paused === null ? 0 : this.#ring.next - this.#paused; }

  // filter shows only the rows that match; null shows all. Looking through them takes its time in slices.
  filter(match) {
    this.#match = match;
    this.#shown = [];
    this.#from = 0;
    this.#filtered = this.#ring.first;
    this.draw();
  }

  // pause keeps the picture as it is; what comes is kept all the same.
  pause(on) {
    this.#paused = on ? this.#ring.next : null;
    this.draw();
  }

  follow(on) {
    this.#follow = on;
    this.draw();
  }

  draw() {
    this.#drawing ||= document.hidden ? setTimeout(() => this.#draw(), 250) : requestAnimationFrame(() => this.#draw());
  }

  select(number, { quiet = false } = {}) {
    this.#selected = number;
    this.draw();
    if (!quiet) this.tell("select", this.#ring.at(number));
  }

  // *matches yields all rows that match, oldest first.
  *matches() {
    this.#sift(Infinity);
    for (let i = 0; i < this.#count(); i++) yield this.#ring.at(this.#numberAt(i));
  }

  get #end() { return this.#paused ?? this.#ring.next; }

  #count() {
    if (!this.#match) return Math.max(0, this.#end - this.#ring.first);
    return this.#shown.length - this.#from;
  }

  #numberAt(index) { return this.#match ? this.#shown[this.#from + index] : this.#ring.first + index; }

  #indexOf(number) {
    if (!this.#match) return number - this.#ring.first;
    let low = this.#from;
    let high = this.#shown.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#shown[middle] < number) low = middle + 1;
      else high = middle;
    }
    return this.#shown[low] === number ? low - this.#from : -1;
  }

  // #sift looks at rows that were not yet looked at, for so many milliseconds, and tells whether it is through.
  #sift(most) {
    const until = performance.now() + most;
    const end = this.#end;
    this.#filtered = Math.max(this.#filtered, this.#ring.first);
    while (this.#filtered < end) {
      if ((this.#filtered & 63) === 0 && performance.now() > until) return false;
      if (this.#match(this.#ring.at(this.#filtered))) this.#shown.push(this.#filtered);
      this.#filtered++;
    }
    return true;
  }

  #forget() {
    const first = this.#ring.first;
    while (this.#from < this.#shown.length && this.#shown[this.#from] < first) this.#from++;
    if (this.#from > 10000 && this.#from > this.#shown.length / 2) {
      this.#shown.splice(0, this.#from);
      this.#from = 0;
    }
  }

  #draw() {
    this.#drawing = 0;
    let through = true;
    if (this.#match) {
      this.#forget();
      through = this.#sift(slice);
    }
    const count = this.#count();
    this.tell("draw", { count, through });
    this.#frame.hidden = count === 0;
    if (!through) this.draw(); // the next slice follows, whether this one found a row or not
    if (count === 0) return;
    this.#height = parseFloat(getComputedStyle(this.#frame).getPropertyValue("--row")) * this.#rem();
    const inSight = Math.ceil(this.#frame.clientHeight / this.#height) + 1;
    // More rows than can be drawn as one piece: the scroll bar then covers the newest of them.
    const most = Math.floor(tallest / this.#height);
    const skip = Math.max(0, count - most);
    this.#space.style.height = `${(count - skip) * this.#height}px`;
    const head = this.#match ? this.#numberAt(skip) : this.#ring.first + skip;
    if (this.#follow) this.#frame.scrollTop = (count - skip) * this.#height;
    else if (head > this.#head && this.#head >= 0) this.#frame.scrollTop -= this.#gone(head) * this.#height;
    this.#head = head;
    const top = Math.max(0, Math.min(count - skip - 1, Math.floor(this.#frame.scrollTop / this.#height)));
    this.#place(skip, Math.max(0, top - 4), Math.min(count - skip, top + inSight + 4), count);
  }

  // #gone is how many rows went away above since the last picture.
  #gone(head) {
    if (!this.#match) return head - this.#head;
    let gone = 0;
    for (let i = this.#from - 1; i >= 0 && this.#shown[i] >= this.#head; i--) gone++;
    return gone;
  }

  // #place makes the rows from one index to another, and leaves those that are there already.
  #place(skip, from, to, count) {
    const have = new Map();
    for (const row of [...this.#space.children]) have.set(Number(row.dataset.number), row);
    const keep = new Set();
    for (let i = from; i < to; i++) {
      const number = this.#numberAt(i + skip);
      const entry = this.#ring.at(number);
      if (!entry) continue;
      keep.add(number);
      let row = have.get(number);
      if (!row || row.dataset.version !== String(entry.version ?? 0)) {
        row?.remove();
        row = this.#row(entry);
        row.dataset.number = number;
        row.dataset.version = entry.version ?? 0;
        row.id = `${this.#frame.id || (this.#frame.id = `list-${Math.random().toString(36).slice(2)}`)}-${number}`;
        row.setAttribute("role", "option");
        this.#space.append(row);
      }
      row.style.transform = `translateY(${i * this.#height}px)`;
      row.setAttribute("aria-setsize", count);
      row.setAttribute("aria-posinset", i + skip + 1);
      row.setAttribute("aria-selected", String(number === this.#selected));
    }
    for (const [number, row] of have) if (!keep.has(number)) row.remove();
    const chosen = keep.has(this.#selected) ? `${this.#frame.id}-${this.#selected}` : "";
    if (chosen) this.#frame.setAttribute("aria-activedescendant", chosen);
    else this.#frame.removeAttribute("aria-activedescendant");
  }

  #rem() { return parseFloat(getComputedStyle(document.documentElement).fontSize); }

  #scrolled() {
    const { scrollTop, clientHeight, scrollHeight } = this.#frame;
    const atEnd = scrollTop + clientHeight >= scrollHeight - this.#height;
    if (atEnd !== this.#follow) {
      this.#follow = atEnd;
      this.tell("follow", atEnd);
    }
    this.draw();
  }

  #key(event) {
    const count = this.#count();
    if (!count || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(this.#frame.clientHeight / this.#height) - 1);
    const at = this.#indexOf(this.#selected);
    const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -count, End: count };
    const move = moves[event.key];
    if (move === undefined) return;
    event.preventDefault();
    const index = at < 0 ? (event.key === "Home" ? 0 : count - 1) : Math.min(count - 1, Math.max(0, at + move));
    this.#reveal(index);
    this.select(this.#numberAt(index));
  }

  #reveal(index) {
    const top = (index - Math.max(0, this.#count() - Math.floor(tallest / this.#height))) * this.#height;
    const { scrollTop, clientHeight } = this.#frame;
    if (top < scrollTop) this.#frame.scrollTop = top;
    else if (top + this.#height > scrollTop + clientHeight) this.#frame.scrollTop = top + this.#height - clientHeight;
    this.#follow = index === this.#count() - 1;
  }
}
