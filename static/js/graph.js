/* Beside the pipeline editor: draws the stages anew from the answer to each validation (`portal:validated`). */
document.addEventListener("portal:validated", (event) => {
  const place = document.querySelector("[data-graph]");
  if (place && typeof event.detail?.graph === "string") place.innerHTML = event.detail.graph; // rendered and escaped by the server
});
