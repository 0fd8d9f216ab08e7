/* A terminal in an instance: xterm.js over the socket whose protocol is written in clusters/terminals.py. */

import { withoutInlineStyles } from "./paper.js";
import { say } from "./words.js";

const INPUT = 0, OUTPUT = 1, ERROR = 2, STATUS = 3, RESIZE = 4, ACK = 5;
const PIECE = 16 * 1024, ON_THEIR_WAY = 64 * 1024, FONT_MS = 2000;
const encoder = new TextEncoder(), decoder = new TextDecoder();

function theme() {
  const style = getComputedStyle(document.documentElement);
  const dark = document.documentElement.dataset.bsTheme === "dark";
  const read = (name) => style.getPropertyValue(name).trim();
  return {
    background: dark ? "#12151d" : "#ffffff", foreground: read("--ink"), cursor: read("--accent"), selectionBackground: dark ? "#3a4a6b" : "#bcd7ff",
    ...(dark ? {} : { white: "#3f4658", brightWhite: "#1b2130", yellow: "#8a5a00", brightYellow: "#8a5a00", green: "#14784a", brightGreen: "#14784a", cyan: "#0b7285", brightCyan: "#0b7285" }),
  };
}

class TerminalPage {
  constructor(root, font) {
    this.root = root;
    this.line = root.querySelector("[data-terminal-status]");
    this.button = root.querySelector("[data-terminal-again]");
    this.form = document.querySelector("[data-terminal-form]");
    this.term = new window.Terminal({ fontFamily: font, fontSize: 13, scrollback: 5000, theme: theme(), cursorBlink: true, allowProposedApi: false });
    this.fit = new window.FitAddon.FitAddon();
    this.term.loadAddon(this.fit);
    withoutInlineStyles(() => this.term.open(root.querySelector("[data-terminal-screen]")));
    this.fit.fit();
    this.term.onData((text) => this.type(encoder.encode(text)));
    this.term.onBinary((text) => this.type(Uint8Array.from(text, (letter) => letter.charCodeAt(0))));
    this.term.onResize(({ cols, rows }) => this.send(RESIZE, JSON.stringify({ cols, rows })));
    new ResizeObserver(() => this.fit.fit()).observe(root.querySelector("[data-terminal-screen]"));
    document.addEventListener("portal:theme", () => { this.term.options.theme = theme(); });
    this.button.addEventListener("click", () => this.open());
    this.form.addEventListener("change", () => this.form.requestSubmit());
    this.open();
  }

  open() {
    this.socket?.close();
    this.term.reset();
    this.button.hidden = true;
    this.say(say("term_opening"));
    this.shown = this.acked = this.typed = this.taken = 0;
    this.waiting = [];
    const address = new URL(this.root.dataset.socketUrl, location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    address.searchParams.set("cols", this.term.cols);
    address.searchParams.set("rows", this.term.rows);
    const socket = new WebSocket(address);
    this.socket = socket;
    this.over = "";
    socket.binaryType = "arraybuffer";
    socket.onopen = () => socket === this.socket && this.flush(); // what was typed meanwhile
    this.term.focus();
    socket.onmessage = (event) => socket === this.socket && this.take(new Uint8Array(event.data));
    socket.onclose = (event) => socket === this.socket && this.closed(event.code);
  }

  take(message) {
    const data = message.subarray(1);
    if (message[0] === OUTPUT || message[0] === ERROR) {
      // Acknowledged once it is drawn, so that a flood waits in the cluster and not here.
      this.term.write(data, () => { this.shown += data.length; this.ack(); });
    } else if (message[0] === STATUS) this.status(JSON.parse(decoder.decode(data)));
    else if (message[0] === ACK) {
      this.taken = JSON.parse(decoder.decode(data)).ack;
      this.flush();
    }
  }

  ack() {
    if (this.shown - this.acked < PIECE && this.acking) return;
    clearTimeout(this.acking);
    const tell = () => { this.acking = null; this.acked = this.shown; this.send(ACK, JSON.stringify({ ack: this.shown })); };
    if (this.shown - this.acked >= PIECE) tell();
    else this.acking = setTimeout(tell, 100);
  }

  status(told) {
    if (told.state === "open") {
      this.say(say("term_open", { instance: told.instance, container: told.container }));
      this.term.focus();
    } else if (told.state === "idle") this.say(say("term_idle", { n: told.closes_in_s }), true);
    else if (told.state === "ended") {
      this.over = told.exit_code === null ? told.sentence : told.exit_code === 0 ? say("term_ended") : say("term_exit", { code: told.exit_code });
    } else if (told.state === "refused") this.over = told.sentence;
  }

  closed(code) {
    this.say(this.over || say({ 4403: "term_denied", 4404: "term_gone", 4408: "term_slow", 4410: "term_left", 4413: "term_much" }[code] ?? "term_lost"), code !== 1000);
    this.button.hidden = false;
    this.button.focus({ preventScroll: true });
  }

  type(bytes) {
    for (let at = 0; at < bytes.length; at += PIECE) this.waiting.push(bytes.subarray(at, at + PIECE));
    this.flush();
  }

  flush() {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    while (this.waiting.length && this.typed - this.taken < ON_THEIR_WAY) {
      const piece = this.waiting.shift();
      this.typed += piece.length;
      this.send(INPUT, piece);
    }
  }

  send(kind, data) {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    const bytes = typeof data === "string" ? encoder.encode(data) : data;
    const message = new Uint8Array(bytes.length + 1);
    message[0] = kind;
    message.set(bytes, 1);
    this.socket.send(message);
  }

  say(sentence, warns = false) {
    this.line.textContent = sentence;
    this.line.classList.toggle("tone-amber", warns);
  }
}

/** Cells are measured once, when the terminal opens: the font must be there by then. */
async function start() {
  const font = getComputedStyle(document.documentElement).getPropertyValue("--tblr-font-monospace").trim() || "monospace";
  const late = new Promise((resolve) => { setTimeout(resolve, FONT_MS); });
  await Promise.race([document.fonts.load(`13px ${font}`), late]).catch(() => {});
  for (const root of document.querySelectorAll("[data-terminal]")) new TerminalPage(root, font);
}

start();
