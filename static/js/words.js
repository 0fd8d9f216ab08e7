/* The sentences of the scripts, translated by the server and handed over in the page (#page-words). No sentence lives in a script. */

const element = document.getElementById("page-words");
const words = element ? JSON.parse(element.textContent) : {};

/** The sentence `key` in the reader's language with `%(name)s` filled from `values`. */
export function say(key, values = {}) {
  const text = words[key] ?? key;
  return text.replace(/%\((\w+)\)s/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/** A whole number with the reader's separators. */
export function number(value) {
  return new Intl.NumberFormat(document.documentElement.lang || "en").format(value);
}
