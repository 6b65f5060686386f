// A chain, or a run of one, as a graph: steps from left to right (on a narrow screen from top to bottom), with where each stands.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const box = document.getElementById("chain");
  if (!box) return;
  const COLOURS = { waiting: "pending", running: "running", done: "completed", failed: "failed", skipped: "cancelled" };
  const SIGNS = { waiting: "\u25cb", running: "\u25b6", done: "\u2713", failed: "\u2715", skipped: "\u2013" };
  const { css } = ChainGraph;
  const graph = cytoscape({ container: box, minZoom: .1, maxZoom: 1.25, boxSelectionEnabled: false, autoungrabify: true, userZoomingEnabled: false, style: [] });
  let drawn = "";

  function steps() { return JSON.parse(document.getElementById("chain-data").dataset.steps); }
  function style() {
    return [
      ...ChainGraph.style(),
      ...Object.keys(COLOURS).map((key) => ({ selector: `node.${key}`, style: { "border-color": css(`--c-${COLOURS[key]}`), "border-width": key === "waiting" || key === "skipped" ? 1.5 : 2.5 } })),
      { selector: "node.waiting, node.skipped", style: { "border-style": "dashed" } },
      { selector: "edge", style: { events: "no" } },
    ];
  }
  const label = (step) => `${step.status ? SIGNS[step.status] + " " : ""}${step.name}\n${step.word}`;
  function draw() {
    const all = steps(), places = ChainGraph.places(all, ChainGraph.narrow(box));
    graph.batch(() => {
      graph.elements().remove();
      graph.add(all.map((step) => ({ group: "nodes", classes: step.status, data: { id: step.name, label: label(step), run: step.run }, position: places.get(step.name) })));
      graph.add(all.flatMap((step) => step.after.map((other) => ({ group: "edges", data: { id: `${other} > ${step.name}`, source: other, target: step.name, says: step.says } }))));
    });
    fit();
  }
  function fit() { graph.resize(); graph.fit(undefined, 24); }
  function tell() {
    const place = document.getElementById("chain-data");
    if (!place || place.dataset.steps === drawn) return;
    drawn = place.dataset.steps;
    const all = steps();
    if (all.length !== graph.nodes().length || all.some((step) => graph.getElementById(step.name).empty())) draw();
    graph.batch(() => all.forEach((step) => {
      const node = graph.getElementById(step.name);
      node.classes(step.status);
      node.data({ label: label(step), run: step.run });
    }));
    box.dataset.ready = "yes";
  }
  const dress = () => graph.style().fromJson(style()).update();
  graph.on("tap", "node", (event) => {
    const run = event.target.data("run");
    if (run) location.assign(box.dataset.page.replace("00000000-0000-0000-0000-000000000000", run));
  });
  dress();
  tell();
  box.graph = graph;
  document.addEventListener("orchestrator:theme", dress);
  document.addEventListener("orchestrator:live", tell);
  let width = box.clientWidth;
  addEventListener("resize", () => { if (box.clientWidth !== width) { width = box.clientWidth; draw(); tell(); } });
});
