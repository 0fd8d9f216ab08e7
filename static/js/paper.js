/* Lets xterm.js draw under a strict Content-Security-Policy: without inline styles.

   It makes <style> elements and style attributes, which `style-src 'self'` forbids. What a script sets through the object
   model is allowed: while `work` runs (xterm.js makes its <style> elements when it is opened) such an element is a hidden one
   whose text goes into a constructed stylesheet; and a style attribute of a span (a cell's own colour) goes into its
   `style.cssText`, on the pages that load this file and nowhere else. */

const make = Document.prototype.createElement;

function styleElement() {
  const sheet = new CSSStyleSheet();
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  const element = make.call(document, "span");
  let text = "";
  element.hidden = true;
  Object.defineProperty(element, "textContent", {
    get: () => text,
    set: (value) => { text = String(value); sheet.replaceSync(text); },
  });
  element.remove = () => {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((one) => one !== sheet);
    Element.prototype.remove.call(element);
  };
  return element;
}

HTMLSpanElement.prototype.setAttribute = function setAttribute(name, value) {
  if (name === "style") this.style.cssText = value;
  else Element.prototype.setAttribute.call(this, name, value);
};

/** Do `work`, which may make style elements. */
export function withoutInlineStyles(work) {
  document.createElement = (tag, ...rest) => (tag === "style" ? styleElement() : make.call(document, tag, ...rest));
  try {
    work();
  } finally {
    delete document.createElement;
  }
}
