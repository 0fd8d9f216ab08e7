/* What opens and closes: menus, dialogs, the slide-in panel (#panel) that htmx fills, toasts, and what is said when a
   request fails. A refused request (the answer carries HX-Retarget) is shown in the panel. */

import { say } from "./words.js";

const TOAST_MS = 6000;

/** A short note at the corner. `tone`: info, success, warning, error (an error stays until it is closed). */
export function toast(text, tone = "info", ms = tone === "error" ? 0 : TOAST_MS) {
  const note = document.createElement("div");
  note.className = `toast-note toast-${tone}`;
  const words = document.createElement("span");
  words.textContent = text;
  const close = document.createElement("button");
  close.type = "button";
  close.className = "tool";
  close.dataset.dismiss = "";
  close.setAttribute("aria-label", say("close"));
  close.textContent = "×";
  note.append(words, close);
  document.getElementById("toasts")?.append(note);
  if (ms) setTimeout(() => note.remove(), ms);
}

function openDialog(dialog) {
  if (dialog && !dialog.open) dialog.showModal();
}

function onClick(event) {
  const target = event.target;
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(target)) menu.open = false;
  }
  const opener = target.closest("[data-opens]");
  if (opener) {
    const menu = opener.closest("details.menu");
    if (menu) menu.open = false;
    openDialog(document.getElementById(opener.dataset.opens));
  } else if (target.closest("[data-closes]")) target.closest("dialog")?.close();
  else if (target.closest("[data-dismiss]")) target.closest(".toast-note").remove();
  else if (target instanceof HTMLDialogElement && outside(target, event)) target.close();
}

function outside(dialog, event) {
  const box = dialog.getBoundingClientRect();
  return event.clientX < box.left || event.clientX > box.right || event.clientY < box.top || event.clientY > box.bottom;
}

function onEscape(event) {
  if (event.key !== "Escape") return;
  const menu = document.querySelector("details.menu[open]");
  if (!menu) return;
  menu.open = false;
  menu.querySelector("summary").focus();
}

let asking = null; // the request that the panel waits for, while nothing but a look depends on it
const unwanted = new WeakSet(); // requests whose panel was closed before they were answered

function onBeforeSwap(event) {
  const { xhr } = event.detail;
  if (unwanted.has(xhr)) event.detail.shouldSwap = false;
  else if (xhr.status === 422 || (xhr.status >= 400 && xhr.getResponseHeader("HX-Retarget"))) {
    event.detail.shouldSwap = true;
    event.detail.isError = false;
  }
}

/* The panel slides in at the click, before the server has answered; what comes fills it. */
function onAsked(event) {
  const panel = document.getElementById("panel");
  if (event.detail.target?.id !== "panel-body" || panel.open) return;
  asking = event.detail.requestConfig.verb === "get" ? event.detail.xhr : null;
  document.getElementById("panel-body").innerHTML =
    '<div class="panel panel-waiting" aria-busy="true"><div class="panel-head"><i></i></div><div class="panel-body"><i></i><i></i><i></i><i></i></div></div>';
  openDialog(panel);
}

function onCame(event) {
  if (event.detail.target.id !== "panel-body") return;
  asking = null;
  openDialog(document.getElementById("panel"));
}

/* Whoever closes the panel has changed their mind: what was only asked for must not open it again. */
function onClosed(event) {
  if (event.target.open) return; // opened again since
  if (asking) unwanted.add(asking);
  asking = null;
  document.getElementById("panel-body").replaceChildren();
}

function onFilled(event) {
  const panel = document.getElementById("panel");
  if (event.detail.target.id !== "panel-body" || !panel.open) return;
  // What had the focus went with the content it was in: keep the same control chosen, or else start at the confirmation.
  if (panel.contains(document.activeElement) && document.activeElement !== panel) return;
  (panel.querySelector("[autofocus]") ?? panel.querySelector(".panel-confirm") ?? panel.querySelector("[data-closes]"))?.focus();
}

function closeWhenNothingCame() {
  const panel = document.getElementById("panel");
  if (panel?.querySelector(".panel-waiting")) panel.close();
}

function onFailed(event) {
  closeWhenNothingCame();
  const status = event.detail.xhr.status;
  if (event.detail.requestConfig?.triggeringEvent?.type === "live") return; // live.js shows that with its dot
  toast(status === 401 ? say("signed_out") : say("failed", { status }), "error");
}

export function start() {
  const panel = document.getElementById("panel");
  document.addEventListener("click", onClick);
  document.addEventListener("keydown", onEscape);
  document.addEventListener("htmx:beforeSwap", onBeforeSwap);
  document.addEventListener("htmx:beforeRequest", onAsked);
  document.addEventListener("htmx:afterSwap", onCame);
  document.addEventListener("htmx:afterSettle", onFilled);
  document.addEventListener("htmx:responseError", onFailed);
  document.addEventListener("htmx:sendError", (event) => {
    closeWhenNothingCame();
    if (event.detail.requestConfig?.triggeringEvent?.type !== "live") toast(say("unreachable"), "error");
  });
  // The server may ask for a note or for closing the panel: HX-Trigger: {"toast": {"text", "tone"}, "closePanel": true}
  document.addEventListener("toast", (event) => toast(event.detail.text ?? event.detail.value, event.detail.tone));
  document.addEventListener("closePanel", () => panel.close());
  panel?.addEventListener("close", onClosed);
  document.addEventListener("change", (event) => {
    const form = event.target.closest("form[data-autosubmit]");
    if (form) form.requestSubmit();
  });
  for (const note of document.querySelectorAll("[data-toast]")) {
    if (!note.classList.contains("toast-error")) setTimeout(() => note.remove(), TOAST_MS * 1.5);
  }
}
