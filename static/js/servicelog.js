/* The live log of a service: `deployments/logs.html` brought to life. The protocol is written in deployments/streams/logs.py.
   Without a socket the last lines are asked for every few seconds; without this script the page shows them once. */

import { render } from "./ansi.js";
import { say } from "./words.js";

const KEPT_LINES = 5000, POLL_MS = 3000, RETRY_FIRST_MS = 500, RETRY_LAST_MS = 10000, FINAL = new Set([1000, 4400, 4401, 4403, 4404]);
const KEPT = "fdd.servicelog";

/** As `deployments/naming.py` does, so that a name has the same colour before and after. */
export const shade = (name) => [...name].reduce((sum, letter) => sum + letter.codePointAt(0), 0) % 8;
export const short = (name) => (name.length > 20 ? name.split("-").slice(-2).join("-") : name);

class ServiceLog {
  constructor(root) {
    this.root = root;
    this.rows = root.querySelector("[data-slog-rows]");
    this.scroll = root.querySelector("[data-slog-scroll]");
    this.note = root.querySelector("[data-slog-note]");
    this.fresh = root.querySelector("[data-slog-do=follow]");
    this.following = true;
    this.retry = RETRY_FIRST_MS;
    this.unseen = 0;
    this.waiting = [];
    this.restore();
    this.scroll.addEventListener("scroll", () => this.scrolled(), { passive: true });
    root.addEventListener("click", (event) => this.clicked(event));
    root.querySelector("[data-slog-find]").addEventListener("input", (event) => this.filter(event.target.value));
    document.querySelector("[data-slog-form]")?.addEventListener("change", (event) => event.currentTarget.requestSubmit());
    this.toEnd();
    this.open();
  }

  open() {
    const address = new URL(this.root.dataset.socketUrl, location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(address);
    let first = true;
    this.refusal = "";
    socket.onopen = () => { this.waiting = []; }; // it brings the last lines again, also those that nobody has seen drawn
    socket.onmessage = (event) => {
      const told = JSON.parse(event.data);
      if (told.lines) {
        if (first) this.rows.replaceChildren();
        first = false;
        this.add(told.lines);
        socket.send(JSON.stringify({ ack: told.upto }));
      } else this.heard(told);
      if (told.lines || told.news) this.retry = RETRY_FIRST_MS; // not for a socket that opens and is refused at once
    };
    socket.onclose = (event) => {
      if (FINAL.has(event.code)) {
        if (event.code !== 1000 && !this.note.textContent) this.note.textContent = say("slog_closed");
        return;
      }
      this.note.textContent = this.refusal || say("polling");
      setTimeout(() => this.again(), this.retry);
      this.retry = Math.min(RETRY_LAST_MS, this.retry * 2);
    };
  }

  /** No socket now: show the last lines over HTTP, then try the socket again. */
  async again() {
    try {
      const answer = await fetch(this.root.dataset.linesUrl, { headers: { Accept: "text/html" } });
      if (answer.ok && !answer.redirected) {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        this.rows.replaceChildren(...page.querySelectorAll(".log-row"));
        if (this.following) this.toEnd();
      }
    } catch {
      this.note.textContent = say("offline");
    }
    this.retry = Math.max(this.retry, POLL_MS);
    this.open();
  }

  heard(told) {
    if (told.news) this.system(told.news[0], told.news[2], say(`slog_${told.news[3]}`));
    else if (told.missed) this.system("", Date.now(), say("slog_missed", { n: told.missed }));
    else if (told.state === "refused") this.note.textContent = this.refusal = told.sentence;
    else if (told.state === "over") this.note.textContent = say("slog_over");
    else if (told.state === "away") this.note.textContent = say("slog_away");
    else if (told.state === "open" || told.state === "back") this.note.textContent = say("slog_live");
  }

  system(instance, at, text) {
    this.waiting.push([instance, "", at, "system", text, false]);
    this.draw();
  }

  add(lines) {
    for (const line of lines) this.waiting.push(line);
    this.draw();
  }

  draw() {
    if (this.waiting.length > KEPT_LINES) this.waiting.splice(0, this.waiting.length - KEPT_LINES);
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = null;
      const part = document.createDocumentFragment();
      const lines = this.waiting.splice(0);
      for (const line of lines) part.append(this.row(line));
      this.rows.append(part);
      if (this.following) {
        while (this.rows.childElementCount > KEPT_LINES) this.rows.firstElementChild.remove();
        this.toEnd();
      } else {
        this.unseen += lines.length;
        while (this.rows.childElementCount > KEPT_LINES * 2) this.rows.firstElementChild.remove();
        this.fresh.querySelector("[data-slog-new]").textContent = say("slog_new", { n: this.unseen });
      }
    });
  }

  row([instance, container, at, stream, text, partial]) {
    const row = document.createElement("div");
    row.className = `log-row${stream === "system" ? " is-system" : ""}`;
    const time = document.createElement("span");
    time.className = "log-time";
    time.textContent = new Date(at).toLocaleTimeString(document.documentElement.lang || "en", { hour12: false });
    time.title = new Date(at).toISOString();
    const who = document.createElement("span");
    who.className = `log-who who-${shade(instance)}`;
    who.textContent = short(instance);
    who.title = container ? `${instance} · ${container}` : instance;
    const words = document.createElement("span");
    words.className = "log-text";
    render(words, text);
    if (partial) words.append("↩");
    row.append(time, who, words);
    row.hidden = Boolean(this.needle) && !text.toLowerCase().includes(this.needle);
    return row;
  }

  filter(text) {
    this.needle = text.toLowerCase();
    for (const row of this.rows.children) {
      row.hidden = Boolean(this.needle) && !row.querySelector(".log-text").textContent.toLowerCase().includes(this.needle);
    }
    if (this.following) this.toEnd();
  }

  scrolled() {
    const atEnd = this.scroll.scrollHeight - this.scroll.scrollTop - this.scroll.clientHeight < 30;
    if (atEnd !== this.following) this.follow(atEnd);
  }

  follow(on) {
    this.following = on;
    this.unseen = 0;
    this.fresh.hidden = on;
    this.fresh.querySelector("[data-slog-new]").textContent = say("slog_newest");
    if (on) this.toEnd();
  }

  toEnd() {
    this.scroll.scrollTop = this.scroll.scrollHeight;
  }

  clicked(event) {
    const button = event.target.closest("[data-slog-do]");
    if (!button) return;
    const what = button.dataset.slogDo;
    if (what === "follow") this.follow(true);
    else this.toggle(what, button.getAttribute("aria-pressed") !== "true");
  }

  toggle(what, on) {
    this.root.classList.toggle(`has-${what}`, on);
    this.root.querySelector(`[data-slog-do=${what}]`).setAttribute("aria-pressed", String(on));
    const kept = ["wrap", "times"].filter((name) => this.root.classList.contains(`has-${name}`));
    localStorage.setItem(KEPT, kept.join(" "));
    if (this.following) this.toEnd();
  }

  restore() {
    for (const name of (localStorage.getItem(KEPT) ?? "times").split(" ").filter(Boolean)) this.toggle(name, true);
  }
}

for (const root of document.querySelectorAll("[data-slog]")) new ServiceLog(root);
