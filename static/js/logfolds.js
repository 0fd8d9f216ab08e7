/* Which lines of a log are folded away, step by step: rows one sees <-> places of lines. Knows no element.

   A step is {step, stage, label, first_line, line_count}; folded, its first line stays and the rest has no row. */

export class LogFolds {
  constructor(total) {
    this.total = total;
    this.steps = new Map(); // first line -> step
    this.hidden = []; // [{from, count, before}] sorted; before = hidden lines in front of it
  }

  get rows() {
    const last = this.hidden.at(-1);
    return this.total() - (last ? last.before + last.count : 0);
  }

  setSteps(steps) {
    const folded = new Set([...this.steps.values()].filter((step) => step.folded).map((step) => step.first_line));
    this.steps = new Map(steps.map((step) => [step.first_line, { ...step, folded: folded.has(step.first_line) }]));
    this.changed();
  }

  /** Count again what is hidden. */
  changed() {
    let before = 0;
    this.hidden = [];
    for (const step of [...this.steps.values()].sort((a, b) => a.first_line - b.first_line)) {
      if (!step.folded || step.line_count < 2) continue;
      const count = Math.max(0, Math.min(step.line_count - 1, this.total() - step.first_line));
      this.hidden.push({ from: step.first_line + 1, count, before });
      before += count;
    }
  }

  startingAt(place) {
    const step = this.steps.get(place);
    return step && step.line_count > 1 ? step : undefined;
  }

  lineOf(row) {
    let place = row;
    for (const { from, count } of this.hidden) {
      if (place < from) break;
      place += count;
    }
    return place;
  }

  rowOf(place) {
    let gone = 0;
    for (const { from, count, before } of this.hidden) {
      if (place < from) break;
      gone = before + Math.min(count, place - from + 1);
    }
    return Math.max(1, place - gone);
  }

  toggle(first) {
    const step = this.steps.get(first);
    if (!step) return;
    step.folded = !step.folded;
    this.changed();
  }

  /** Fold everything, or unfold when anything is folded. Says whether things are folded now. */
  toggleAll() {
    const fold = !this.hidden.length;
    for (const step of this.steps.values()) step.folded = fold;
    this.changed();
    return fold;
  }

  /** Make sure that the line at `place` has a row. */
  reveal(place) {
    for (const step of this.steps.values()) {
      if (place > step.first_line && place < step.first_line + step.line_count) step.folded = false;
    }
    this.changed();
  }
}
