/* The window of a log: only the rows one sees are in the page, however long the log is. Knows rows and heights, nothing of
   where lines come from or of buttons.

   A row is a visible line; folded lines have none. Row r lies at (r - 1) * ROW px of a virtual height; when that exceeds
   what browsers can lay out, the scrollbar is scaled and wheel and keys move by exact pixels. */

const ROW = 20, HEIGHT_MAX = 12_000_000, SPARE = 24, SMALL_JUMP = 3;

export class LogWindow {
  /** `fill(element, row)` draws a row; `rows()` says how many there are; `onScroll(byPerson)` is told of every move. */
  constructor(scroll, space, holder, { fill, rows, onScroll }) {
    Object.assign(this, { scroll, space, holder, fill, rows, onScroll });
    this.top = 0; // virtual pixels
    this.shown = new Map(); // row -> element
    this.expected = -1; // the scrollTop we set ourselves
    scroll.addEventListener("scroll", () => this.scrolled(), { passive: true });
    scroll.addEventListener("wheel", (event) => this.wheeled(event), { passive: false });
    new ResizeObserver(() => this.draw()).observe(scroll);
  }

  get view() {
    return this.scroll.clientHeight;
  }

  get virtual() {
    return this.rows() * ROW;
  }

  get height() {
    return Math.min(this.virtual, HEIGHT_MAX);
  }

  get last() {
    return Math.max(0, this.virtual - this.view);
  }

  get atEnd() {
    return this.top >= this.last - ROW / 2;
  }

  get first() {
    return Math.floor(this.top / ROW) + 1;
  }

  /** How many virtual pixels one real one is. */
  get scale() {
    return this.height > this.view ? Math.max(1, this.last / (this.height - this.view)) : 1;
  }

  scrolled() {
    if (Math.abs(this.scroll.scrollTop - this.expected) < 1) return;
    this.expected = this.scroll.scrollTop;
    this.top = Math.min(this.last, this.scroll.scrollTop * this.scale);
    this.onScroll(true);
    this.soon();
  }

  wheeled(event) {
    if (this.scale === 1 || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    const unit = event.deltaMode === 1 ? ROW : event.deltaMode === 2 ? this.view : 1;
    this.to(this.top + event.deltaY * unit, true);
  }

  /** Move to a virtual position. */
  to(top, byPerson = false) {
    this.top = Math.max(0, Math.min(this.last, top));
    this.onScroll(byPerson);
    this.draw();
  }

  toRow(row) {
    const top = (row - 1) * ROW;
    const near = top >= this.top + ROW && top <= this.top + this.view - SMALL_JUMP * ROW;
    if (!near) this.to(top - this.view / 3);
    else this.draw();
  }

  toEnd() {
    this.to(this.last);
  }

  soon() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.draw();
    });
  }

  /** Forget what is drawn (other lines have these rows now). */
  reset() {
    this.shown.clear();
    this.holder.replaceChildren();
  }

  draw() {
    if (!this.view) return;
    this.top = Math.min(this.top, this.last);
    const height = `${this.height}px`;
    if (this.space.style.height !== height) this.space.style.height = height;
    const wanted = this.top / this.scale;
    if (Math.abs(this.scroll.scrollTop - wanted) >= 1) this.scroll.scrollTop = wanted;
    this.expected = this.scroll.scrollTop;
    const from = Math.max(1, this.first - SPARE);
    const until = Math.min(this.rows(), this.first + Math.ceil(this.view / ROW) + SPARE);
    this.place(from, until);
    this.shift(from);
  }

  place(from, until) {
    for (const [row, element] of this.shown) {
      if (row >= from && row <= until) continue;
      element.remove();
      this.shown.delete(row);
    }
    let after = null;
    for (let row = from; row <= until; row += 1) {
      let element = this.shown.get(row);
      if (!element) {
        element = document.createElement("div");
        element.className = "log-row";
        this.shown.set(row, element);
      }
      this.fill(element, row);
      const next = after ? after.nextSibling : this.holder.firstChild;
      if (next !== element) this.holder.insertBefore(element, next);
      after = element;
    }
  }

  /** Put the rows where the view is. Wrapped rows are higher: the first one, or at the end the last one, is aligned. */
  shift(from) {
    const real = this.scroll.scrollTop;
    let offset;
    if (this.wrapped) {
      const first = this.shown.get(this.first);
      if (!first) return;
      const inside = ((this.top % ROW) / ROW) * first.offsetHeight;
      offset = real - first.offsetTop - inside;
      if (this.atEnd && this.holder.offsetHeight > this.view) offset = real + this.view - this.holder.offsetHeight;
    } else offset = real - (this.top - (from - 1) * ROW);
    // The rows may reach below the spacer (wrapped lines): never make the page longer than it says.
    this.holder.style.transform = `translateY(${Math.round(offset)}px)`;
  }
}
