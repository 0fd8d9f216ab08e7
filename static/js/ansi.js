/* ANSI colours of a log line as spans with classes. Everything is set by textContent: HTML in a log stays text.
   Only SGR (ESC[…m) means something; any other control sequence and control character is dropped. */

// SGR | other CSI | OSC | other escapes | control characters but tab
// eslint-disable-next-line no-control-regex
const TOKEN = /\x1b\[([0-9;:]*)m|\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[@-Z\\-_]?|[\x00-\x08\x0b-\x1f\x7f]/g;
const NAMES = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];

function colour(code) {
  return code < 8 ? NAMES[code] : `bright-${NAMES[code - 8]}`;
}

/** A colour of the 256 or a true colour, mapped to the nearest of the sixteen that both themes know. */
function nearest(red, green, blue) {
  const most = Math.max(red, green, blue);
  if (most < 50) return "black";
  if (most - Math.min(red, green, blue) < 40) return most > 200 ? "bright-white" : most > 120 ? "white" : "bright-black";
  const bit = (value) => (value > most * 0.6 ? 1 : 0);
  return colour(bit(red) + 2 * bit(green) + 4 * bit(blue) + (most > 200 ? 8 : 0));
}

function extended(codes, at) {
  if (codes[at + 1] === 2) return [nearest(codes[at + 2] ?? 0, codes[at + 3] ?? 0, codes[at + 4] ?? 0), at + 4];
  const index = codes[at + 2] ?? 0;
  if (index < 16) return [colour(index), at + 2];
  if (index >= 232) return [nearest(...Array(3).fill((index - 232) * 10 + 8)), at + 2];
  const level = (value) => (value ? value * 40 + 55 : 0);
  const cube = index - 16;
  return [nearest(level(Math.floor(cube / 36)), level(Math.floor(cube / 6) % 6), level(cube % 6)), at + 2];
}

function apply(style, text) {
  const codes = text === "" ? [0] : text.split(/[;:]/).map(Number);
  for (let at = 0; at < codes.length; at += 1) {
    const code = codes[at];
    if (code === 0) style = {};
    else if (code === 1) style = { ...style, bold: true };
    else if (code === 2) style = { ...style, dim: true };
    else if (code === 3) style = { ...style, italic: true };
    else if (code === 4) style = { ...style, underline: true };
    else if (code === 22) style = { ...style, bold: false, dim: false };
    else if (code === 23) style = { ...style, italic: false };
    else if (code === 24) style = { ...style, underline: false };
    else if (code >= 30 && code <= 37) style = { ...style, front: colour(code - 30) };
    else if (code >= 90 && code <= 97) style = { ...style, front: colour(code - 82) };
    else if (code === 39) style = { ...style, front: null };
    else if (code >= 40 && code <= 47) style = { ...style, back: colour(code - 40) };
    else if (code >= 100 && code <= 107) style = { ...style, back: colour(code - 92) };
    else if (code === 49) style = { ...style, back: null };
    else if (code === 38 || code === 48) {
      const [name, end] = extended(codes, at);
      style = { ...style, [code === 38 ? "front" : "back"]: name };
      at = end;
    }
  }
  return style;
}

function classes(style) {
  const names = [];
  if (style.front) names.push(`fg-${style.front}`);
  if (style.back) names.push(`bg-${style.back}`);
  for (const name of ["bold", "dim", "italic", "underline"]) if (style[name]) names.push(`sgr-${name}`);
  return names.join(" ");
}

/** Fill `target` with the text of a line. A line starts plain: lines are shown in any order. */
export function render(target, text) {
  if (!/[\x00-\x1f\x7f]/.test(text)) {
    target.textContent = text;
    return;
  }
  let style = {}, from = 0;
  const pieces = [];
  const push = (until) => {
    if (until <= from) return;
    const piece = text.slice(from, until);
    const name = classes(style);
    if (!name) {
      pieces.push(piece);
      return;
    }
    const span = document.createElement("span");
    span.className = name;
    span.textContent = piece;
    pieces.push(span);
  };
  for (const match of text.matchAll(TOKEN)) {
    push(match.index);
    from = match.index + match[0].length;
    if (match[1] !== undefined) style = apply(style, match[1]);
  }
  push(text.length);
  target.replaceChildren(...pieces);
}
