// Ticked rows of the list of runs, and the bar that acts on them.
"use strict";

document.addEventListener("alpine:init", () => {
  const OPEN = new Set(["scheduled", "late", "pending", "running", "paused"]);
  Alpine.data("bulk", () => ({
    ids: [],
    able: 0,
    init() {
      document.addEventListener("change", (event) => event.target.matches("[data-tick]") && this.read());
      document.addEventListener("orchestrator:live", () => this.read());
      document.body.addEventListener("htmx:afterRequest", (event) => { if (event.target === this.$root && event.detail.successful) this.clear(); });
    },
    get some() { return this.ids.length > 0; },
    get none() { return this.able === 0; },
    get count() { return this.ids.length; },
    read() {
      const ticked = [...document.querySelectorAll("[data-tick]:checked")];
      this.ids = ticked.map((box) => box.dataset.tick);
      this.able = ticked.filter((box) => [...box.closest("tr").querySelector(".state").classList].some((name) => OPEN.has(name.slice(6)))).length;
    },
    clear() {
      document.querySelectorAll("[data-tick]:checked").forEach((box) => { box.checked = false; });
      this.read();
    },
  }));
});
