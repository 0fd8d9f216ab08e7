/* The document as xterm.js gets it, so that it draws under a strict Content-Security-Policy: without inline styles.

   It makes <style> elements and style attributes, which `style-src 'self'` forbids. What a script sets through the object
   model is allowed: here a <style> is a hidden element whose text goes into a constructed stylesheet, and a style attribute
   of a span (a cell's own colour) goes into its `style.cssText`, on the pages that load this file and nowhere else. */

function styleElement() {
  const sheet = new CSSStyleSheet();
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  const element = document.createElement("span");
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

// xterm.js makes its cells with the page's own document, whatever document it was given.
HTMLSpanElement.prototype.setAttribute = function setAttribute(name, value) {
  if (name === "style") this.style.cssText = value;
  else Element.prototype.setAttribute.call(this, name, value);
};

function createElement(tag, ...rest) {
  return tag === "style" ? styleElement() : document.createElement(tag, ...rest);
}

export const paper = new Proxy(document, {
  get(real, name) {
    if (name === "createElement") return createElement;
    const value = Reflect.get(real, name, real);
    return typeof value === "function" ? value.bind(real) : value;
  },
  set: (real, name, value) => Reflect.set(real, name, value, real),
});
