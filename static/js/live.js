/* Parts of a page that change by themselves.

   <section id="head" data-live-topic="builds/7" hx-get="/builds/7/head/" hx-trigger="live" hx-swap="morph:outerHTML">

   For every topic one socket `/ws/<topic>/` is held; it says only {"topic", "seq"} ("look again"). The parts of that
   topic then get the htmx event `live` and fetch themselves; morphing keeps focus, scroll, open menus and selections.
   Wake-ups are coalesced: a part is never fetched twice at once nor more than every MIN_MS. Without a socket everything
   is polled every POLL_MS. The dot (#live-dot) says live, polling or offline. A part that must stop being live is
   answered without data-live-topic. Several topics: separate them with spaces. */

import { say } from "./words.js";

const POLL_MS = 3000, MIN_MS = 400, RETRY_FIRST_MS = 500, RETRY_LAST_MS = 15000, REFUSED = 4403;
const links = new Map(); // topic -> {socket, open, retry, timer, closed, seq}
const parts = new WeakMap(); // element -> {busy, again, last, timer}
let failing = false;

const topicsOf = (part) => part.dataset.liveTopic.split(/\s+/).filter(Boolean);
const allParts = () => [...document.querySelectorAll("[data-live-topic]")];

function connect(topic) {
  const link = links.get(topic);
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(`${scheme}//${location.host}/ws/${topic}/`);
  link.socket = socket;
  socket.onopen = () => {
    link.open = true;
    link.retry = RETRY_FIRST_MS;
    refresh(topic); // what happened while nobody listened
    showDot();
  };
  socket.onmessage = () => refresh(topic);
  socket.onclose = (event) => {
    link.open = false;
    showDot();
    if (links.get(topic) !== link || event.code === REFUSED) return;
    link.timer = setTimeout(() => connect(topic), link.retry * (0.7 + 0.6 * Math.random()));
    link.retry = Math.min(RETRY_LAST_MS, link.retry * 2);
  };
}

/** Hold exactly the sockets that the parts on the page need, and wake the parts that could not hear it before. */
function reconcile() {
  const wanted = new Set(allParts().flatMap(topicsOf));
  for (const topic of wanted) {
    if (links.has(topic)) continue;
    links.set(topic, { open: false, retry: RETRY_FIRST_MS });
    connect(topic);
  }
  for (const [topic, link] of links) {
    if (wanted.has(topic)) continue;
    links.delete(topic);
    clearTimeout(link.timer);
    link.socket?.close();
  }
  for (const part of allParts()) if (parts.get(part)?.again) wake(part);
  showDot();
}

function refresh(topic) {
  for (const part of allParts()) if (topicsOf(part).includes(topic)) wake(part);
}

function wake(part) {
  const state = parts.get(part) ?? { busy: false, again: false, last: 0, timer: 0 };
  parts.set(part, state);
  if (state.busy || state.timer) {
    state.again = true;
    return;
  }
  const rest = state.last + MIN_MS - performance.now();
  if (rest > 0) {
    state.timer = setTimeout(() => {
      state.timer = 0;
      wake(part);
    }, rest);
    return;
  }
  if (!part.isConnected || document.hidden) return;
  // Until it is asked for: htmx wires a part that a swap has just brought a moment later, and until then nobody hears this.
  state.again = true;
  state.last = performance.now();
  part.dispatchEvent(new CustomEvent("live")); // does not bubble: an outer live part must not fetch itself too
}

function onAsked(event) {
  const state = parts.get(event.detail.elt);
  if (!state) return;
  state.busy = true;
  state.again = false;
}

function onDone(event) {
  const part = event.detail.elt;
  const state = parts.get(part);
  if (!state?.busy) return;
  state.busy = false;
  failing = !event.detail.successful && event.detail.xhr.status === 0;
  showDot();
  if (state.again) wake(part);
}

function showDot() {
  const dot = document.getElementById("live-dot");
  if (!dot || !links.size) return;
  const open = [...links.values()].every((link) => link.open);
  const now = failing || !navigator.onLine ? "offline" : open ? "live" : "polling";
  if (dot.dataset.live === now) return;
  dot.dataset.live = now;
  dot.title = say(now);
  dot.querySelector("[data-live-word]").textContent = say(now);
}

function poll() {
  if (document.hidden) return;
  for (const part of allParts()) {
    if (topicsOf(part).some((topic) => !links.get(topic)?.open)) wake(part);
  }
}

/** Morphing must not close what a person opened, nor rewrite what they are writing. */
function protectWhatIsOpen() {
  const { callbacks } = window.Idiomorph.defaults;
  callbacks.beforeAttributeUpdated = (name, node) => !(name === "open" && /^(DETAILS|DIALOG)$/.test(node.nodeName));
  window.Idiomorph.defaults.ignoreActiveValue = true;
}

export function start() {
  protectWhatIsOpen();
  // htmx wires the parts at DOMContentLoaded (its listener is older than ours): a socket that opened before that would wake
  // a part nobody listens for yet, and the part would count as being fetched for ever.
  document.addEventListener("DOMContentLoaded", () => {
    reconcile();
    setInterval(poll, POLL_MS);
  });
  document.addEventListener("htmx:beforeSend", onAsked);
  document.addEventListener("htmx:afterRequest", onDone);
  document.addEventListener("htmx:afterSettle", reconcile);
  document.addEventListener("visibilitychange", () => document.hidden || allParts().forEach(wake));
  window.addEventListener("online", () => allParts().forEach(wake));
  window.addEventListener("offline", showDot);
}
