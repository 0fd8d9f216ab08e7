/* `data-copy="text"`: a click copies the text and shows it for a moment. */

import { say } from "./words.js";
import { toast } from "./panels.js";

const SHOWN_MS = 1500;

async function write(text) {
  if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
  // Plain http on another host has no clipboard API; the old way needs a selected text field.
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "visually-hidden";
  const host = document.querySelector("dialog[open]") ?? document.body;
  host.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  if (!done) throw new Error("copy was refused");
}

export function start() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    event.preventDefault();
    try {
      await write(button.dataset.copy);
      const title = button.title;
      button.dataset.copied = "";
      button.title = say("copied");
      toast(say("copied"), "success", SHOWN_MS);
      setTimeout(() => {
        delete button.dataset.copied;
        button.title = title;
      }, SHOWN_MS);
    } catch {
      toast(say("copy_failed"), "warning");
    }
  });
}
