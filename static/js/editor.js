/* The editor of pipelines and YAML (`components/editor.html`): Ace with its colours over the form's text field, checked as one writes.
   Without the script the text field itself works.

   POST <validate-url> {"text"} -> {"valid", "errors": [{"line", "column", "message"}], "warnings": […], "judged_by"?, "stages"?}
   After each answer the editor fires `portal:validated` (detail: the answer) for whoever draws the stages. */

import { say } from "./words.js";

const REST_MS = 400;

class Editor {
  constructor(root) {
    this.root = root;
    this.field = root.querySelector("textarea");
    this.verdict = root.querySelector("[data-editor-verdict]");
    this.list = root.querySelector("[data-editor-problems]");
    this.asked = 0;
    this.setUp(root.querySelector("[data-editor-area]"));
    if (root.dataset.validateUrl) this.check();
  }

  setUp(area) {
    const { ace } = window;
    ace.config.set("useStrictCSP", true); // its styles come from files
    area.hidden = false;
    this.field.hidden = true;
    this.ace = ace.edit(area, {
      useWorker: false, // before the mode, which would begin one
      mode: `ace/mode/${this.root.dataset.mode ?? "groovy"}`, theme: { cssClass: "ace-portal", cssText: "", isDark: false },
      value: this.field.value, readOnly: "readonly" in this.root.dataset, tabSize: this.root.dataset.mode === "yaml" ? 2 : 4, useSoftTabs: true,
      fontSize: 13, showPrintMargin: false, minLines: 16, maxLines: 40, enableKeyboardAccessibility: true,
    });
    this.ace.textInput.getElement().setAttribute("aria-label", this.field.getAttribute("aria-label"));
    this.ace.on("change", () => this.changed());
    this.list.addEventListener("click", (event) => {
      const spot = event.target.closest("button")?.dataset;
      if (!spot) return;
      this.ace.gotoLine(Number(spot.line), Number(spot.column) - 1, true);
      this.ace.focus();
    });
  }

  changed() {
    this.field.value = this.ace.getValue();
    this.field.dispatchEvent(new Event("input", { bubbles: true }));
    if (!this.root.dataset.validateUrl) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.check(), REST_MS);
  }

  async check() {
    this.asked += 1;
    const mine = this.asked;
    this.tell(say("editor_checking"), "");
    try {
      const answer = await fetch(this.root.dataset.validateUrl, {
        method: "POST",
        headers: { "Content-Type": "application/json", Accept: "application/json", ...JSON.parse(document.body.getAttribute("hx-headers")) },
        body: JSON.stringify({ text: this.ace.getValue() }),
      });
      if (!answer.ok) throw new Error(`${answer.status}`);
      const found = await answer.json();
      if (mine === this.asked) this.show(found); // an older answer must not overwrite a newer one
    } catch {
      if (mine === this.asked) this.tell(say("editor_unchecked"), "amber");
    }
  }

  show(found) {
    const errors = (found.errors ?? []).map((one) => ({ ...one, type: "error" }));
    const problems = [...errors, ...(found.warnings ?? []).map((one) => ({ ...one, type: "warning" }))];
    this.ace.session.setAnnotations(
      problems.map((one) => ({ row: (one.line ?? 1) - 1, column: (one.column ?? 1) - 1, text: one.message, type: one.type })),
    );
    this.list.replaceChildren(...problems.map((one) => this.item(one)));
    const by = found.judged_by && found.judged_by !== "embedded" ? ` · ${say("editor_by", { judge: found.judged_by })}` : "";
    if (!problems.length) this.tell(say("editor_fine") + by, "green");
    else this.tell(say("editor_problems", { n: problems.length }) + by, errors.length ? "red" : "amber");
    this.root.dispatchEvent(new CustomEvent("portal:validated", { detail: found, bubbles: true }));
  }

  item(problem) {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.className = `editor-problem editor-${problem.type}`;
    Object.assign(button.dataset, { line: problem.line ?? 1, column: problem.column ?? 1 });
    const place = document.createElement("span");
    place.className = "editor-place";
    place.textContent = say("editor_at", { line: problem.line ?? 1, column: problem.column ?? 1 });
    const words = document.createElement("span");
    words.textContent = problem.message;
    button.append(place, words);
    item.append(button);
    return item;
  }

  tell(text, tone) {
    this.verdict.textContent = text;
    this.verdict.className = `editor-verdict${tone ? ` tone-${tone}` : ""}`;
  }
}

for (const root of document.querySelectorAll("[data-editor]")) root.editor = new Editor(root);
