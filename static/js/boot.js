/* Runs before the first paint (not a module, on purpose): settles light or dark when the reader follows the system, so that
   nothing flashes, and says that scripts run. Must stay tiny. */
(function () {
  "use strict";
  var root = document.documentElement;
  root.classList.add("has-script");
  if (root.dataset.themeChoice === "auto") {
    var dark = window.matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.bsTheme = dark ? "dark" : "light";
  }
})();
