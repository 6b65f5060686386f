// The canvas: steps are moved by dragging them, connected by dragging from the dot at a step's edge to another step.
"use strict";

// told: choose(name), edge(from, to), connect(from, to), redraw(); key: by which this browser keeps where steps were put.
function ChainCanvas(box, told, key) {
  const { WIDTH, HEIGHT, css } = ChainGraph, DOT = 14;
  const graph = cytoscape({ container: box, minZoom: .2, maxZoom: 1.25, boxSelectionEnabled: false, userZoomingEnabled: false, style: [] });
  // `wide`: where steps stand on a wide screen, while the screen is a narrow one.
  let places = new Map(), wide = new Map(), from = "", down = ChainGraph.narrow(box);
  const kept = () => { try { return JSON.parse(Orchestrator.stored.get(`chain.${key}`, "{}")); } catch { return {}; } };
  const keep = (name = key) => name && Orchestrator.stored.set(`chain.${name}`, JSON.stringify(Object.fromEntries(down ? wide : places)));
  const nodeOf = (name) => graph.getElementById(`step:${name}`), dotOf = (name) => graph.getElementById(`dot:${name}`);
  const beside = ({ x, y }) => (down ? { x, y: y + HEIGHT / 2 } : { x: x + WIDTH / 2, y });

  function style() {
    const link = css("--tblr-link-color"), failed = css("--c-failed");
    return [
      ...ChainGraph.style(),
      { selector: "node.wrong", style: { "border-color": failed, "border-width": 2.5, color: css("--t-failed") } },
      { selector: "node.chosen", style: { "border-color": link, "border-width": 3 } },
      { selector: "node.dot", style: { shape: "ellipse", width: DOT, height: DOT, label: "", "background-color": link, "border-width": 2, "border-color": css("--panel"), "z-index": 20 } },
      { selector: "node.target", style: { "border-color": link, "border-style": "dashed", "border-width": 3 } },
      { selector: "node.ghost", style: { width: 1, height: 1, label: "", opacity: 0, events: "no" } },
      { selector: "edge.chosen", style: { "line-color": link, "target-arrow-color": link, color: link, width: 2.5 } },
      { selector: "edge.ghost", style: { "line-color": link, "target-arrow-color": link, "line-style": "dashed", label: "", events: "no" } },
    ];
  }
  // Steps in the form that the drawing takes.
  const facts = (chain) => Object.entries(chain.steps).map(([name, step]) => ({ name, step, after: ChainDocument.after(step).names.filter((other) => Object.hasOwn(chain.steps, other)) }));
  // A place beside the others for a step that has none.
  function free() {
    const taken = [...places.values()];
    if (!taken.length) return { x: 0, y: 0 };
    const at = { x: Math.min(...taken.map(({ x }) => x)), y: Math.max(...taken.map(({ y }) => y)) };
    return down ? { x: at.x, y: at.y + 105 } : { x: at.x, y: at.y + HEIGHT + 30 };
  }
  // What the steps and connections look like that are there.
  function mark(chain, chosen, wrong) {
    graph.batch(() => {
      graph.nodes(".step").forEach((node) => {
        const name = node.data("name");
        node.data("label", `${wrong.has(name) ? "\u2715 " : ""}${name}\n${chain.steps[name]?.deployment || "no deployment"}`);
        node.toggleClass("chosen", name === chosen.step).toggleClass("wrong", wrong.has(name));
      });
      graph.edges().forEach((edge) => { edge.toggleClass("chosen", edge.data("from") === chosen.edge && edge.data("to") === chosen.step); });
    });
  }
  function draw(chain, chosen, wrong) {
    const all = facts(chain), first = !places.size;
    if (first) {
      const laid = ChainGraph.places(all, down), were = kept();
      for (const { name } of all) places.set(name, !down && were[name] ? were[name] : laid.get(name));
    }
    for (const name of [...places.keys()]) if (!Object.hasOwn(chain.steps, name)) places.delete(name);
    const fresh = all.filter(({ name }) => !places.has(name));
    for (const { name } of fresh) places.set(name, free());
    graph.batch(() => {
      graph.elements().remove();
      for (const { name } of all) {
        graph.add({ group: "nodes", classes: "step", data: { id: `step:${name}`, name, label: name }, position: { ...places.get(name) } });
        graph.add({ group: "nodes", classes: "dot", grabbable: false, data: { id: `dot:${name}`, name }, position: beside(places.get(name)) });
      }
      for (const { name, step, after } of all) for (const other of after) {
        graph.add({ group: "edges", data: { id: `${other} > ${name}`, source: `step:${other}`, target: `step:${name}`, from: other, to: name, says: ChainDocument.says(step) } });
      }
    });
    mark(chain, chosen, wrong);
    if (first || fresh.some(({ name }) => !seen(name))) fit();
  }
  function seen(name) {
    const { x1, x2, y1, y2 } = graph.extent(), { x, y } = places.get(name);
    return x - WIDTH / 2 > x1 && x + WIDTH / 2 < x2 && y - HEIGHT / 2 > y1 && y + HEIGHT / 2 < y2;
  }
  function fit() { graph.resize(); if (graph.nodes().length) graph.fit(undefined, 30); }
  function tidy(chain) {
    places = ChainGraph.places(facts(chain), down);
    keep();
  }
  function rename(name, to) { if (places.has(name)) { places.set(to, places.get(name)); places.delete(name); } }
  // The step at a place, somewhat generously.
  function stepAt({ x, y }) {
    const found = [...places].find(([, at]) => Math.abs(at.x - x) <= WIDTH / 2 + 8 && Math.abs(at.y - y) <= HEIGHT / 2 + 8);
    return found?.[0] || "";
  }
  function stop() {
    graph.elements(".ghost").remove();
    graph.nodes(".target").removeClass("target");
    from = "";
  }
  graph.on("tapstart", "node.dot", (event) => {
    from = event.target.data("name");
    graph.add([
      { group: "nodes", classes: "ghost", grabbable: false, data: { id: "ghost" }, position: { ...event.position } },
      { group: "edges", classes: "ghost", data: { id: "ghost-edge", source: `step:${from}`, target: "ghost", says: "" } },
    ]);
  });
  graph.on("tapdrag", (event) => {
    if (!from) return;
    graph.getElementById("ghost").position(event.position);
    const to = stepAt(event.position);
    graph.nodes(".target").removeClass("target");
    if (to && to !== from) nodeOf(to).addClass("target");
  });
  graph.on("tapend", (event) => {
    if (!from) return;
    const source = from, to = stepAt(event.position);
    stop();
    if (to && to !== source) told.connect(source, to);
  });
  graph.on("drag", "node.step", (event) => {
    const name = event.target.data("name");
    places.set(name, { ...event.target.position() });
    dotOf(name).position(beside(places.get(name)));
  });
  graph.on("dragfree", "node.step", () => keep());
  graph.on("tap", "node.step", (event) => told.choose(event.target.data("name")));
  graph.on("tap", "edge", (event) => told.edge(event.target.data("from"), event.target.data("to")));
  const dress = () => graph.style().fromJson(style()).update();
  document.addEventListener("orchestrator:theme", dress);
  let width = box.clientWidth;
  addEventListener("resize", () => {
    if (box.clientWidth === width) return;
    width = box.clientWidth;
    const turned = down !== ChainGraph.narrow(box);
    down = ChainGraph.narrow(box);
    if (!turned) { fit(); return; }
    [places, wide] = down ? [new Map(), places] : [wide, new Map()];
    told.redraw();
    fit();
  });
  dress();
  box.graph = graph;
  return { draw, mark, fit, tidy, rename, keep, forget: () => places.clear() };
}
