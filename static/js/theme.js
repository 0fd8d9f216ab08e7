/* Light, dark or as the system: kept in a cookie that the server reads, so that the next page is drawn right at once.
   Cookie `fdd_theme`: light | dark | auto-light | auto-dark (the second word is what the system wanted last). */

const root = document.documentElement;
const system = window.matchMedia("(prefers-color-scheme: dark)");
const YEAR_S = 365 * 24 * 3600;

function apply(choice) {
  const now = choice === "auto" ? (system.matches ? "dark" : "light") : choice;
  root.dataset.themeChoice = choice;
  root.dataset.bsTheme = now;
  const value = choice === "auto" ? `auto-${now}` : choice;
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `fdd_theme=${value}; Path=/; Max-Age=${YEAR_S}; SameSite=Lax${secure}`;
  for (const button of document.querySelectorAll("[data-theme-set]")) {
    button.setAttribute("aria-pressed", String(button.dataset.themeSet === choice));
  }
  document.dispatchEvent(new CustomEvent("portal:theme", { detail: now }));
}

export function start() {
  if (root.dataset.themeChoice === "auto") apply("auto");
  system.addEventListener("change", () => root.dataset.themeChoice === "auto" && apply("auto"));
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-theme-set]");
    if (!button) return;
    apply(button.dataset.themeSet);
    const menu = button.closest("details");
    menu.open = false;
    menu.querySelector("summary").focus();
  });
}
