/* The keyboard: `/` search, `g` + a letter goes to a section (its address is read from the navigation), `?` the list. */

const SECTIONS = { h: "home", p: "projects", b: "builds", d: "deployments", m: "machines", o: "ops" };
const CHORD_MS = 1200;
let waiting = -Infinity;

/** True while the person writes: then letters belong to the text. */
export function isWriting(target) {
  return Boolean(target.closest?.("input, textarea, select, [contenteditable], .ace_editor, .xterm"));
}

function onKey(event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isWriting(event.target)) return;
  const chord = event.timeStamp - waiting < CHORD_MS; // when they were pressed, however late we hear of it
  waiting = -Infinity;
  if (chord && SECTIONS[event.key]) {
    const link = document.querySelector(`[data-nav="${SECTIONS[event.key]}"]`);
    if (link) {
      event.preventDefault();
      location.assign(link.href);
    }
  } else if (event.key === "g") {
    waiting = event.timeStamp;
  } else if (event.key === "/") {
    const search = document.getElementById("search");
    if (search && !document.querySelector("dialog[open]")) {
      event.preventDefault();
      search.focus();
      search.select();
    }
  } else if (event.key === "?") {
    event.preventDefault();
    const list = document.getElementById("keys");
    if (!list.open) list.showModal();
  }
}

export function start() {
  document.addEventListener("keydown", onKey);
  document.getElementById("search")?.addEventListener("keydown", (event) => {
    if (event.key === "Escape") event.target.blur();
  });
}
