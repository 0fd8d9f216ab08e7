/* `data-copy="text"`: a click copies the text and shows it for a moment. */

import { say } from "./words.js";
import { toast } from "./panels.js";

const SHOWN_MS = 1500;
const shown = new WeakMap(); // button -> {title: what it says else, timer}

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
      const { title, timer } = shown.get(button) ?? { title: button.title };
      clearTimeout(timer); // of a click just before
      button.dataset.copied = "";
      button.title = say("copied");
      toast(say("copied"), "success", SHOWN_MS);
      const over = () => {
        shown.delete(button);
        delete button.dataset.copied;
        button.title = title;
      };
      shown.set(button, { title, timer: setTimeout(over, SHOWN_MS) });
    } catch {
      toast(say("copy_failed"), "warning");
    }
  });
}
