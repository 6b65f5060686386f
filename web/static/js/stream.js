// A list that grows at its head: while somebody reads further down, or has the focus in it, what is new waits behind a button.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const live = document.getElementById("live"), held = document.querySelector("#held button");
  if (!live || !held) return;
  let wanted = false;

  const reading = () => live.getBoundingClientRect().top < -40 || live.contains(document.activeElement) && document.activeElement !== live;
  const ids = (within) => [...within.querySelectorAll("#stream > li")].map((row) => row.id);

  live.addEventListener("htmx:beforeSwap", (event) => {
    if (event.target !== live || event.detail.xhr.status !== 200) return;
    if (wanted || !reading()) { wanted = false; held.hidden = true; return; }
    const known = new Set(ids(live));
    const fresh = ids(new DOMParser().parseFromString(event.detail.xhr.responseText, "text/html")).filter((id) => !known.has(id)).length;
    if (!fresh) return;
    event.detail.shouldSwap = false;
    held.hidden = false;
    held.lastElementChild.textContent = fresh >= 50 ? "Many are new" : fresh === 1 ? "1 is new" : `${fresh} are new`;
  });
  held.addEventListener("click", () => {
    wanted = true;
    held.hidden = true;
    delete live.dataset.etag; // what waits was told already: it is asked for once more
    document.activeElement.blur();
    scrollTo({ top: 0, behavior: "instant" });
    htmx.trigger(document.body, "orchestrator:refresh");
  });
});
