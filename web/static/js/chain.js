// A chain, or a run of one, as a graph: steps from left to right (on a narrow screen from top to bottom), with where each stands.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const box = document.getElementById("chain");
  if (!box) return;
  const css = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();
  const COLOURS = { waiting: "pending", running: "running", done: "completed", failed: "failed", skipped: "cancelled" };
  const SIGNS = { waiting: "\u25cb", running: "\u25b6", done: "\u2713", failed: "\u2715", skipped: "\u2013" };
  const WIDTH = 150, HEIGHT = 46;
  const graph = cytoscape({ container: box, minZoom: .1, maxZoom: 1.25, boxSelectionEnabled: false, autoungrabify: true, userZoomingEnabled: false, style: [] });
  let drawn = "";

  function steps() { return JSON.parse(document.getElementById("chain-data").dataset.steps); }
  function style() {
    const ink = css("--ink"), soft = css("--ink-soft"), panel = css("--panel"), font = css("--tblr-font-sans-serif");
    return [
      { selector: "node", style: { shape: "round-rectangle", width: WIDTH, height: HEIGHT, label: "data(label)", "text-wrap": "wrap", "text-max-width": WIDTH - 14, "text-valign": "center", "text-halign": "center", "font-family": font, "font-size": 12, color: ink, "background-color": panel, "border-width": 1.5, "border-color": soft, "overlay-opacity": 0 } },
      ...Object.keys(COLOURS).map((key) => ({ selector: `node.${key}`, style: { "border-color": css(`--c-${COLOURS[key]}`), "border-width": key === "waiting" || key === "skipped" ? 1.5 : 2.5 } })),
      { selector: "node.waiting, node.skipped", style: { "border-style": "dashed" } },
      { selector: "edge", style: { "curve-style": "bezier", width: 1.5, "line-color": soft, "target-arrow-color": soft, "target-arrow-shape": "triangle", "arrow-scale": .9, label: "data(says)", "font-family": font, "font-size": 10, color: soft, "text-background-color": panel, "text-background-opacity": 1, "text-background-padding": 2, events: "no", "overlay-opacity": 0 } },
      { selector: "edge[says != '']", style: { "line-style": "dashed" } },
    ];
  }
  // The longest way from a beginning: a step stands after all that it waits for.
  function levels(all) {
    const byName = new Map(all.map((step) => [step.name, step])), found = new Map();
    const level = (name) => {
      if (!found.has(name)) found.set(name, 1 + Math.max(-1, ...byName.get(name).after.map(level)));
      return found.get(name);
    };
    all.forEach((step) => level(step.name));
    return found;
  }
  const label = (step) => `${step.status ? SIGNS[step.status] + " " : ""}${step.name}\n${step.word}`;
  function draw() {
    const all = steps(), at = levels(all), used = {}, total = {};
    for (const level of at.values()) total[level] = (total[level] || 0) + 1;
    const down = box.clientWidth < 620;
    const place = (step) => {
      const level = at.get(step.name), across = (used[level] = (used[level] ?? -1) + 1) - (total[level] - 1) / 2;
      return down ? { x: across * (WIDTH + 20), y: level * 105 } : { x: level * (WIDTH + 90), y: across * (HEIGHT + 30) };
    };
    graph.batch(() => {
      graph.elements().remove();
      graph.add(all.map((step) => ({ group: "nodes", classes: step.status, data: { id: step.name, label: label(step), run: step.run }, position: place(step) })));
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
