/* A form whose parts depend on a choice, and whose fields follow one another (`[data-wizard]`).

   data-shown-for="origin" data-shown-value="a b": shown while the radio `origin` stands at a or b.
   data-follows="slug": takes what is typed in `slug` until somebody types here. Without the script all is shown. */

for (const form of document.querySelectorAll("[data-wizard]")) {
  const show = () => {
    for (const part of form.querySelectorAll("[data-shown-for]")) {
      const chosen = form.elements[part.dataset.shownFor]?.value ?? "";
      part.hidden = !part.dataset.shownValue.split(" ").includes(chosen);
    }
  };
  form.addEventListener("change", show);
  show();

  for (const field of form.querySelectorAll("[data-follows]")) {
    const leader = form.elements[field.dataset.follows];
    let own = field.value !== "" && field.value !== leader.value;
    field.addEventListener("input", () => { own = field.value !== ""; });
    leader.addEventListener("input", () => { if (!own) field.value = leader.value; });
  }
}
