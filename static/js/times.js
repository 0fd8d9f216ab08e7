/* Times that go on: `<time data-ago>`, `data-since` durations and progress bars that fill by what is usual.
   Says the same words as the server (fangduoduo_release/common/templatetags/times.py). */

import { say } from "./words.js";

const MINUTE = 60, HOUR = 3600, DAY = 86400;

export function durationWords(ms) {
  const whole = Math.max(0, Math.round(ms / 1000));
  if (whole < MINUTE) return say("d_s", { s: whole });
  if (whole < HOUR) return say("d_ms", { m: Math.floor(whole / MINUTE), s: whole % MINUTE });
  if (whole < DAY) return say("d_hm", { h: Math.floor(whole / HOUR), m: Math.floor((whole % HOUR) / MINUTE) });
  return say("d_dh", { d: Math.floor(whole / DAY), h: Math.floor((whole % DAY) / HOUR) });
}

/** Relative words, or null when it is over a week away (the server's date stays). */
export function agoWords(when, now = Date.now()) {
  const seconds = (now - when) / 1000;
  const size = Math.abs(seconds);
  if (size < 10) return say("now");
  if (size > 7 * DAY) return null;
  let amount;
  if (size < MINUTE) amount = say("n_s", { n: Math.floor(size) });
  else if (size < HOUR) amount = say("n_min", { n: Math.floor(size / MINUTE) });
  else if (size < DAY) amount = say("n_h", { n: Math.floor(size / HOUR) });
  else amount = say("n_d", { n: Math.floor(size / DAY) });
  return say(seconds < 0 ? "in" : "ago", { amount });
}

function put(element, text) {
  if (element && text !== null && element.textContent !== text) element.textContent = text;
}

function bar(element, now) {
  const expected = Number(element.dataset.expected);
  if (!expected) return;
  const passed = now - Date.parse(element.dataset.since);
  const late = passed > expected;
  // It never claims to be done: only the server knows that.
  const percent = late ? 95 + 4 * (1 - expected / passed) : Math.min(95, (95 * passed) / expected);
  element.classList.toggle("is-late", late);
  element.querySelector("progress").value = percent;
  put(element.querySelector("[data-bar-percent]"), `${Math.floor(percent)} %`);
  const usual = element.querySelector("[data-bar-usual]");
  usual?.classList.toggle("is-late", late);
  const [key, span] = late ? ["late", passed - expected] : ["usually", expected];
  put(usual, say(key, { duration: durationWords(span) }));
}

export function tick(now = Date.now()) {
  for (const element of document.querySelectorAll("time[data-ago]")) put(element, agoWords(Date.parse(element.dateTime), now));
  for (const element of document.querySelectorAll(".duration[data-since]")) {
    put(element, durationWords(now - Date.parse(element.dataset.since)));
  }
  for (const element of document.querySelectorAll("[data-bar]")) bar(element, now);
}

export function start() {
  tick();
  setInterval(() => document.hidden || tick(), 1000);
  document.addEventListener("visibilitychange", () => document.hidden || tick());
  document.addEventListener("htmx:afterSettle", () => tick());
}
