/* Search in a log: the server finds the next line, the rows in view are marked here (CSS highlights: no element changes). */

import { say } from "./words.js";

export class LogFind {
  constructor(log) {
    this.log = log;
    this.form = log.part("find");
    this.input = this.form.elements.q;
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.go("next");
    });
    this.input.addEventListener("input", () => this.paint());
    this.input.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.shiftKey) {
        event.preventDefault();
        this.go("previous");
      }
    });
  }

  get words() {
    return this.input.value.toLowerCase();
  }

  async go(name) {
    if (!this.words) {
      this.input.focus();
      return;
    }
    const { log } = this;
    const here = log.chosen ?? log.folds.lineOf(log.window.first);
    try {
      const direction = name === "next" ? "next" : "prev";
      let line = await log.source.find(this.words, here, direction);
      line ??= await log.source.find(this.words, direction === "next" ? 0 : log.source.total + 1, direction); // round the end
      log.note(line ? "" : say("log_none"));
      if (line) log.goTo(line);
    } catch {
      log.note(say("log_error"));
    }
  }

  paint() {
    if (!window.CSS?.highlights) return;
    const ranges = [];
    if (this.words) for (const row of this.log.part("rows").children) ranges.push(...this.inRow(row));
    CSS.highlights.set("log-find", new Highlight(...ranges));
  }

  inRow(row) {
    const text = row.querySelector(".log-text");
    const whole = text.textContent.toLowerCase();
    const found = [];
    for (let at = whole.indexOf(this.words); at >= 0; at = whole.indexOf(this.words, at + this.words.length)) {
      const range = new Range();
      range.setStart(...this.point(text, at));
      range.setEnd(...this.point(text, at + this.words.length));
      found.push(range);
    }
    return found;
  }

  /** The text node and offset of a character of the row. */
  point(root, index) {
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    let node = walker.nextNode();
    while (node && index > node.length) {
      index -= node.length;
      node = walker.nextNode();
    }
    return node ? [node, index] : [root, root.childNodes.length];
  }
}
