/* The document as xterm.js gets it, so that it draws under a strict Content-Security-Policy: without inline styles.

   It makes <style> elements and style attributes, which `style-src 'self'` forbids. What a script sets through the object
   model is allowed: here a <style> is a hidden element whose text goes into a constructed stylesheet, and a style attribute
   of a cell goes into its `style.cssText`. */

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

function setAttribute(name, value) {
  if (name === "style") this.style.cssText = value;
  else Element.prototype.setAttribute.call(this, name, value);
}

function createElement(tag, ...rest) {
  if (tag === "style") return styleElement();
  const element = document.createElement(tag, ...rest);
  if (tag === "span") element.setAttribute = setAttribute;
  return element;
}

export const paper = new Proxy(document, {
  get(real, name) {
    if (name === "createElement") return createElement;
    const value = Reflect.get(real, name, real);
    return typeof value === "function" ? value.bind(real) : value;
  },
  set: (real, name, value) => Reflect.set(real, name, value, real),
});
