/* The log viewer: `components/log.html` brought to life. Lines come from logsource.js, rows are drawn by logwindow.js.

   THE DATA PROTOCOL (server side: builds). A *row* counts lines of the view from 1; without `stage` it is the line number.
   Text is UTF-8 (invalid bytes replaced), without its newline; only colours (SGR) survive as escapes.

   GET <lines-url>?from=<row>&count=<n ≤ 2000>[&stage=<id>]      `from` < 0 counts from the end: -500 is the last 500
     {"first": row of the first line, "total_lines": N, "total_bytes": B, "next_offset": o, "complete": bool,
      "lines": [[number, time_ms | null, stage_id, step_id, text, cut_bytes?], …]}
     Only finished lines (with a newline) are counted and given, unless complete. next_offset is the byte after the newline
     of the last finished line that total_lines counts: a socket opened there continues exactly. Text is cut at 8192 bytes
     and cut_bytes says how many are missing. With `stage`: lines of that stage and of those inside it; bytes stay whole-log.
   GET <find-url>?q=&after=<row>&direction=next|prev[&stage=]     {"line": row | null}; plain words, case-insensitive
   GET <marks-url>[?stage=]     {"first_error": row | null, "steps": [{"step", "stage", "label", "first_line", "line_count"}, …]}
     A step that is interleaved with a parallel one has an entry per run of consecutive rows. At most 5000 entries.
   WebSocket <socket-url>?offset=<o>
     server, text:   {"total_lines", "total_bytes", "complete", "sha256"?}   at open, when it changes (≤ 5/s), at the end
     server, text:   {"marks": [[offset, time_ms, stage_id, step_id], …]}    before the bytes they describe, offsets rising
     server, binary: raw bytes of the log from o on, ≤ 64 KiB a frame, cut anywhere
     client, text:   {"ack": offset}    all bytes below were taken; the server keeps ≤ 256 KiB unacknowledged
     close 1000 after the final status (complete, sha256 of all bytes), 4403 not allowed (any more), 4404 no such log.
   The client reconnects with the offset of the first byte it has not put into a line; with no socket it polls <lines-url>. */

import { render } from "./ansi.js";
import { isWriting } from "./keys.js";
import { LogSource } from "./logsource.js";
import { LogWindow } from "./logwindow.js";
import { LogFolds } from "./logfolds.js";
import { LogFind } from "./logfind.js";
import { number, say } from "./words.js";

const KEPT = "fdd.log";

class LogView {
  constructor(root) {
    this.root = root;
    const part = (name) => root.querySelector(`[data-log-${name}]`);
    this.part = part;
    this.source = new LogSource(root.dataset);
    this.folds = new LogFolds(() => this.source.total);
    this.window = new LogWindow(part("scroll"), part("space"), part("rows"), {
      fill: (element, row) => this.fill(element, row),
      rows: () => this.folds.rows,
      onScroll: (byPerson) => byPerson && this.setFollow(this.window.atEnd && !this.source.complete),
    });
    this.find = new LogFind(this);
    this.seen = 0;
    this.restore();
    this.listen();
    this.open();
  }

  async open() {
    const linked = this.linked();
    this.setFollow(!linked);
    await this.source.start();
    if (linked) this.goTo(this.linked() || linked);
    else if (this.following) this.window.toEnd(); // unless the reader has gone elsewhere meanwhile
    if (this.source.complete) this.setFollow(false);
  }

  listen() {
    const { source, root } = this;
    source.addEventListener("change", () => this.changed());
    source.addEventListener("marks", () => this.marked());
    source.addEventListener("trouble", () => this.note(say("log_error")));
    source.addEventListener("fine", () => this.part("note").textContent === say("log_error") && this.note(""));
    root.addEventListener("click", (event) => this.clicked(event));
    root.addEventListener("keydown", (event) => this.keyed(event));
    window.addEventListener("hashchange", () => this.linked() && this.goTo(this.linked()));
  }

  linked() {
    return Number(/^#L(\d+)$/.exec(location.hash)?.[1] ?? 0);
  }

  changed() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = null;
      if (this.stale) this.window.reset();
      this.stale = false;
      this.folds.changed();
      this.root.classList.toggle("is-empty", !this.source.total);
      this.root.dataset.lines = this.source.total;
      this.root.dataset.complete = this.source.complete;
      if (!this.source.total) this.note(say("log_empty"));
      else if (this.part("note").textContent === say("log_empty")) this.note("");
      if (this.following) this.window.toEnd();
      else this.window.draw();
      this.showFollow();
      this.find.paint();
    });
  }

  marked() {
    this.folds.setSteps(this.source.marks.steps);
    this.button("error").hidden = !this.source.marks.first_error;
    this.stale = true; // and drawn anew in the same moment: there is always something to see
    this.changed();
  }

  button(name) {
    return this.root.querySelector(`button[data-log-do="${name}"]`);
  }

  note(text) {
    this.part("note").textContent = text;
  }

  setFollow(on) {
    this.following = on;
    if (on) this.seen = this.source.total;
    this.showFollow();
  }

  showFollow() {
    if (this.following) this.seen = this.source.total;
    const button = this.button("follow");
    button.hidden = this.following || this.source.complete;
    const fresh = this.source.total - this.seen;
    if (fresh > 0) this.part("new").textContent = say("log_new", { n: number(fresh) });
  }

  /** Draw one row: fold mark, number, time, text. */
  fill(element, row) {
    const place = this.folds.lineOf(row);
    const line = this.source.line(place);
    const step = this.folds.startingAt(place);
    const key = `${place}|${line ? 1 : 0}|${step?.folded ?? ""}|${this.chosen === place}|${step?.line_count ?? ""}`;
    if (element.dataset.key === key) return;
    element.dataset.key = key;
    element.className = `log-row${this.chosen === place ? " is-chosen" : ""}${step ? " is-step" : ""}`;
    const [count, time, , , text, cut] = line ?? [place, null, "", "", "", 0];
    const fold = document.createElement(step ? "button" : "span");
    fold.className = "log-fold";
    if (step) Object.assign(fold, { type: "button", textContent: step.folded ? "▸" : "▾", title: say("log_fold") });
    if (step) fold.dataset.logFold = place;
    const link = document.createElement("a");
    link.className = "log-n";
    Object.assign(link, { href: `#L${place}`, textContent: count });
    link.setAttribute("aria-label", say("log_line", { n: count }));
    const clock = document.createElement("span");
    clock.className = "log-time";
    clock.textContent = time ? new Date(time).toLocaleTimeString("en-GB") : "";
    const words = document.createElement("span");
    words.className = "log-text";
    render(words, text);
    element.replaceChildren(fold, link, clock, words);
    if (cut) element.append(this.badge(say("log_cut", { size: `${number(Math.ceil(cut / 1024))} KiB` })));
    if (step?.folded) element.append(this.badge(say("log_folded", { n: number(step.line_count - 1) })));
  }

  badge(text) {
    const badge = document.createElement("span");
    badge.className = "log-badge";
    badge.textContent = text;
    return badge;
  }

  goTo(place) {
    this.setFollow(false);
    this.chosen = place;
    this.folds.reveal(place);
    this.window.reset();
    this.window.toRow(this.folds.rowOf(place));
    this.find.paint();
  }

  clicked(event) {
    const fold = event.target.closest("[data-log-fold]");
    const link = event.target.closest(".log-n");
    const name = event.target.closest("[data-log-do]")?.dataset.logDo;
    if (fold) {
      this.folds.toggle(Number(fold.dataset.logFold));
      this.window.reset();
      this.window.draw();
    } else if (link) {
      event.preventDefault();
      history.replaceState(null, "", link.hash);
      this.goTo(this.linked());
    } else if (name && name !== "next") this.act(name); // "next" submits the search
  }

  keyed(event) {
    if (isWriting(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
    const jump = { Home: "start", End: "end", f: "follow", e: "error", n: "next", N: "previous", w: "wrap", t: "times" }[event.key];
    const page = { PageDown: 1, PageUp: -1 }[event.key];
    const small = { ArrowDown: 1, ArrowUp: -1, j: 1, k: -1 }[event.key];
    if (jump) this.act(jump);
    else if (page) this.window.to(this.window.top + page * (this.window.view - 40), true);
    else if (small) this.window.to(this.window.top + small * 40, true);
    else return;
    event.preventDefault();
  }

  act(name) {
    const { window: view, source } = this;
    if (name === "start") view.to(0, true);
    else if (name === "end" || name === "follow") {
      this.setFollow(!source.complete);
      view.toEnd();
    } else if (name === "error") source.marks.first_error && this.goTo(source.marks.first_error);
    else if (name === "next" || name === "previous") this.find.go(name);
    else if (name === "fold") {
      const folded = this.folds.toggleAll();
      this.button("fold").setAttribute("aria-pressed", String(folded));
      view.reset();
      view.draw();
    } else this.toggle(name);
  }

  toggle(name) {
    const on = this.root.classList.toggle(`has-${name}`);
    this.button(name).setAttribute("aria-pressed", String(on));
    this.window.wrapped = this.root.classList.contains("has-wrap");
    localStorage.setItem(KEPT, ["wrap", "times"].filter((one) => this.root.classList.contains(`has-${one}`)).join(" "));
    this.window.draw();
  }

  restore() {
    for (const name of (localStorage.getItem(KEPT) ?? "").split(" ").filter(Boolean)) this.toggle(name);
  }
}

for (const root of document.querySelectorAll("[data-log]")) root.logView = new LogView(root);
