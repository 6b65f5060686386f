// The stack map: every resource in the box of its kind, how they are related, how well they are, and events on their way.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const box = document.getElementById("map");
  if (!box) return;
  const $ = (name) => document.querySelector(`[data-map-${name}]`);
  const css = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();
  const HEALTH = JSON.parse(box.dataset.health);
  const NAMED = 40, NEAR = .85, SIGNS = { failing: "\u2715 ", warning: "\u25b2 ", healthy: "\u2713 " };
  const asked = new URLSearchParams(location.search);
  let data = { nodes: [], edges: [] }, tag = null, shown = "", byId = new Map(), links = new Map(), places = new Map(), cards = true;
  let extent = { left: 0, right: 1, top: 0, bottom: 1 }, naming = 0;
  let focus = asked.get("focus") || "", hops = +asked.get("hops") || 2, asOf = asked.get("as_of") || "", chosen = "", after = "";

  const graph = cytoscape({
    container: box, minZoom: .03, maxZoom: 3, boxSelectionEnabled: false, autoungrabify: true,
    pixelRatio: "auto", style: [],
  });
  const pulses = MapPulses(graph, box), threads = MapThreads(graph, box);

  // ------------------------------------------------------------------ looks
  const SHAPES = { healthy: "ellipse", failing: "diamond", warning: "triangle", vanished: "ellipse", unknown: "ellipse" };
  function style() {
    const ink = css("--ink"), soft = css("--ink-soft"), line = css("--line"), panel = css("--panel");
    const colour = { healthy: css("--c-completed"), failing: css("--c-failed"), warning: css("--c-late"), vanished: panel, unknown: css("--c-pending") };
    const font = css("--tblr-font-sans-serif");
    return [
      { selector: "node", style: { "font-family": font, color: ink, "overlay-opacity": 0, "text-wrap": "ellipsis", "z-index-compare": "manual" } },
      { selector: "node.dot", style: { width: 17, height: 17, "z-index": 20 } },
      { selector: "node.dot.named", style: { label: "data(name)", "text-valign": "bottom", "text-margin-y": 2, "font-size": 8, "text-max-width": 50 } },
      ...Object.keys(SHAPES).map((key) => ({ selector: `node.dot.${key}`, style: { "background-color": colour[key], shape: SHAPES[key] } })),
      { selector: "node.dot.failing", style: { width: 25, height: 25, color: css("--t-failed"), "font-weight": 600 } },
      { selector: "node.dot.warning", style: { width: 23, height: 21, color: css("--t-late") } },
      { selector: "node.dot.vanished", style: { "border-width": 1.5, "border-style": "dashed", "border-color": soft, color: soft } },
      { selector: "node.card", style: { ...MapLayout.CARD, shape: "round-rectangle", "background-color": panel, "border-width": 1.5, "text-valign": "center", "text-halign": "center", "font-size": 12.5, "text-max-width": MapLayout.CARD.width - 12, label: (node) => (SIGNS[health(data.nodes[byId.get(node.id())] || [])] || "") + node.data("name"), "z-index": 20 } },
      ...Object.keys(SHAPES).map((key) => ({ selector: `node.card.${key}`, style: { "border-color": key === "vanished" || key === "unknown" ? soft : colour[key] } })),
      { selector: "node.card.unknown", style: { "border-width": 1, "border-opacity": .55 } },
      { selector: "node.card.failing", style: { "border-width": 2.5, color: css("--t-failed"), "font-weight": 600 } },
      { selector: "node.card.warning", style: { "border-width": 2.5, color: css("--t-late") } },
      { selector: "node.card.vanished", style: { "border-style": "dashed", color: soft } },
      { selector: "node.box", style: { label: "data(name)", shape: "round-rectangle", width: "data(w)", height: "data(h)", "background-color": panel, "background-opacity": .35, "border-width": 1.5, "border-color": line, "text-halign": "center", "text-valign": "top", "text-margin-y": "data(down)", "font-size": "data(size)", "font-weight": 600, color: soft, "text-max-width": "data(w)", "min-zoomed-font-size": 5, events: "no", "z-index": 0 } },
      { selector: "edge", style: { "line-color": soft, events: "no", "overlay-opacity": 0, "z-index-compare": "manual", "z-index": 10 } },
      { selector: "edge.curve", style: { "curve-style": "unbundled-bezier", "edge-distances": "endpoints", "control-point-distances": "data(distances)", "control-point-weights": "data(weights)", "source-endpoint": "data(from)", "target-endpoint": "data(to)", width: 1.3, opacity: .6, "target-arrow-shape": "triangle", "target-arrow-color": soft, "arrow-scale": .7 } },
      { selector: "edge.part", style: { "line-style": "dashed", "line-dash-pattern": [3, 4], "target-arrow-shape": "none", opacity: .3 } },
      { selector: "edge.said", style: { label: "data(role)", "font-size": 9, "font-family": font, color: soft, "text-background-color": css("--ground"), "text-background-opacity": 1, "text-background-padding": 2 } },
      { selector: ".faint", style: { opacity: .12 } },
      { selector: "edge.near", style: { "line-style": "solid", "line-color": css("--tblr-link-color"), "target-arrow-color": css("--tblr-link-color"), width: 2, opacity: 1 } },
      { selector: "node.dot.near", style: { "border-width": 2.5, "border-color": css("--tblr-link-color"), "z-index": 25 } },
      { selector: "node.chosen", style: { "border-width": 3, "border-color": css("--tblr-link-color"), "border-style": "solid" } },
      { selector: "node.found", style: { "border-width": 3, "border-color": css("--c-paused"), "border-style": "solid" } },
    ];
  }

  // ---------------------------------------------------------------- drawing
  const health = (node) => node[3] || "unknown";
  function elements() {
    const middle = byId.get(focus);
    const level = middle === undefined ? null : MapLayout.around(middle, data.edges, hops);
    const aspect = Math.max(box.clientWidth / Math.max(box.clientHeight, 1), .5);
    const laid = level ? { boxes: [], cards: level.size <= MapLayout.CARDS } : MapLayout.clusters(data.nodes, data.edges, aspect);
    const at = level ? MapLayout.levels(data.nodes, level) : new Map(laid.at.entries());
    const made = laid.boxes.map((one) => ({
      group: "nodes", classes: "box", position: { x: one.x + one.width / 2, y: one.y + one.height / 2 },
      data: { id: "box:" + one.kind, name: `${one.kind}  ${one.members.length}`, w: one.width, h: one.height, size: laid.cards ? 13 : Math.max(18, Math.min(one.width / 10, 58)), down: laid.cards ? 24 : Math.max(18, Math.min(one.width / 10, 58)) + 16 },
    }));
    for (const [index, position] of at) {
      const [id, name] = data.nodes[index];
      made.push({ group: "nodes", classes: `item ${laid.cards ? "card" : "dot"} ${health(data.nodes[index])}`, data: { id, name }, position });
    }
    links = new Map([...at.keys()].map((index) => [data.nodes[index][0], []]));
    const lines = [];
    data.edges.forEach((edge, number) => {
      const [from, to] = MapLayout.flow(edge);
      if (from === to || !at.has(from) || !at.has(to)) return;
      const source = data.nodes[from][0], target = data.nodes[to][0], link = { source, target, line: [at.get(from), at.get(to)] };
      links.get(source).push(link);
      links.get(target).push(link);
      if (!laid.cards) { lines.push(link.line); return; }
      const classes = ["curve", MapLayout.isFlow(edge) ? "" : "part", level && level.size <= NAMED ? "said" : ""].join(" ");
      made.push({ group: "edges", classes, data: { id: "edge:" + number, source, target, role: edge[2], ...MapLayout.curve(at.get(from), at.get(to)) } });
    });
    places = new Map([...at].map(([index, position]) => [data.nodes[index][0], position]));
    const xs = [...at.values()].map(({ x }) => x), ys = [...at.values()].map(({ y }) => y), { width, height } = MapLayout.CARD;
    extent = laid.boxes.length
      ? { left: Math.min(...laid.boxes.map((one) => one.x)), right: Math.max(...laid.boxes.map((one) => one.x + one.width)), top: Math.min(...laid.boxes.map((one) => one.y)), bottom: Math.max(...laid.boxes.map((one) => one.y + one.height)) }
      : { left: Math.min(...xs, 0) - width / 2, right: Math.max(...xs, 0) + width / 2, top: Math.min(...ys, 0) - height, bottom: Math.max(...ys, 0) + height };
    threads.set(lines, laid.cards || level ? [] : MapLayout.bundles(data.nodes, data.edges, laid.boxes));
    cards = laid.cards;
    return made;
  }
  function draw(fit) {
    const view = { zoom: graph.zoom(), pan: { ...graph.pan() } };
    const made = elements();
    pulses.clear();
    graph.batch(() => { graph.elements().remove(); graph.add(made); });
    graph.renderer().textureOnViewport = !cards;
    if (fit) all(); else graph.viewport(view);
    mark();
    tell();
  }
  // Everything in view, but a handful of things not larger than life.
  function all() {
    const { left, right, top, bottom } = extent;
    const level = Math.min((box.clientWidth - 52) / (right - left), (box.clientHeight - 52) / (bottom - top), 1.25);
    graph.viewport({ zoom: level, pan: { x: (box.clientWidth - (left + right) * level) / 2, y: (box.clientHeight - (top + bottom) * level) / 2 } });
  }
  // The names of dots are written when one is so near that they can be read, and only of those in view.
  function name() {
    const near = !cards && graph.zoom() >= NEAR, { x1, x2, y1, y2 } = graph.extent();
    const read = near ? [...places].filter(([, { x, y }]) => x > x1 && x < x2 && y > y1 && y < y2).map(([id]) => graph.getElementById(id)) : [];
    graph.batch(() => {
      graph.nodes(".named").removeClass("named");
      read.forEach((node) => node.addClass("named"));
    });
  }
  function repaint() {
    graph.batch(() => data.nodes.forEach((node) => {
      const found = graph.getElementById(node[0]);
      if (found.empty() || found.hasClass(health(node))) return;
      found.removeClass(Object.keys(SHAPES)).addClass(health(node));
      pulses.ring(found, css(HEALTH[health(node)].colour));
    }));
    tell();
  }
  function mark() {
    const around = links.get(chosen) || [], near = new Set([chosen, ...around.flatMap((link) => [link.source, link.target])]);
    graph.batch(() => {
      graph.elements(".faint, .near, .chosen").removeClass("faint near chosen");
      if (focus && !chosen) graph.getElementById(focus).addClass("chosen");
      if (!links.has(chosen)) return;
      graph.getElementById(chosen).addClass("chosen");
      if (!cards) { near.forEach((id) => graph.getElementById(id).addClass("near")); return; }
      graph.nodes(".item").filter((node) => !near.has(node.id())).addClass("faint");
      graph.edges().forEach((edge) => edge.addClass(edge.source().id() === chosen || edge.target().id() === chosen ? "near" : "faint"));
    });
    if (!cards) threads.near(around.map((link) => link.line));
  }

  // ----------------------------------------------------------- what is told
  const part = (tagName, text, name = "") => Object.assign(document.createElement(tagName), { textContent: text, className: name });
  function sign(key) {
    const made = part("span", "", `state state-small state-${HEALTH[key].css}`);
    made.innerHTML = HEALTH[key].sign;
    made.append(part("span", HEALTH[key].name));
    return made;
  }
  function tell() {
    const count = { healthy: 0, failing: 0, warning: 0, vanished: 0, unknown: 0 }, ill = [];
    for (const node of data.nodes) { count[health(node)]++; if (health(node) === "failing" || health(node) === "warning") ill.push(node); }
    for (const key in count) { const place = document.querySelector(`[data-count=${key}]`); if (place) place.textContent = count[key].toLocaleString("en").replaceAll(",", "\u202f"); }
    $("empty").hidden = data.nodes.length > 0;
    const list = $("ill");
    list.replaceChildren(...ill.slice(0, 12).map((node) => {
      const row = document.createElement("li"), pick = part("button", node[1], "name");
      pick.type = "button";
      pick.addEventListener("click", () => choose(node[0], true));
      row.append(sign(health(node)), pick);
      return row;
    }));
    if (!ill.length) list.append(part("li", data.nodes.length ? "Nothing is known to be wrong." : "Nothing is here.", "text-secondary"));
    if (ill.length > 12) list.append(part("li", `and ${ill.length - 12} more`, "text-secondary"));
    describe();
  }
  function describe() {
    const node = data.nodes[byId.get(chosen || focus)], card = $("card");
    card.hidden = !node;
    if (!node) return;
    const [id, name, kind] = node, index = byId.get(id);
    card.querySelector("h2").textContent = name;
    card.querySelector("[data-is]").replaceChildren(sign(health(node)), part("span", kind), part("code", id));
    const others = data.edges.filter((edge) => edge[0] === index || edge[1] === index);
    const list = card.querySelector("ul");
    list.replaceChildren(...others.slice(0, 8).map((edge) => {
      const out = edge[0] === index, other = data.nodes[edge[out ? 1 : 0]];
      const row = part("li", out ? `${edge[2]} ` : ""), pick = part("button", other[1], "name");
      pick.type = "button";
      pick.addEventListener("click", () => choose(other[0], true));
      row.append(pick, ...(out ? [] : [part("span", ` ${edge[2]} it`)]));
      return row;
    }));
    if (others.length > 8) list.append(part("li", `and ${others.length - 8} more`, "text-secondary"));
    card.querySelector("[data-open-it]").href = `${box.dataset.page}?id=${encodeURIComponent(id)}`;
    const holding = card.querySelector("[data-hold-it]");
    if (holding) holding.href = `${holding.dataset.address}?resource=${encodeURIComponent(id)}`;
    const focusing = card.querySelector("[data-focus-it]");
    focusing.hidden = focus === id;
    $("whole").hidden = !focus;
    foretell(id);
  }
  // When it will be fresh next: asked as it is chosen, and again with later pictures of the map.
  let foretold = "";
  async function foretell(id) {
    const place = $("ahead"), key = `${id} ${Math.floor(Orchestrator.now() / 15000)}`;
    if (asOf || !foretold.startsWith(id + " ")) place.hidden = true;
    if (asOf || foretold === key) return;
    foretold = key;
    const answer = await Orchestrator.fetchJson(`${box.dataset.ahead}?id=${encodeURIComponent(id)}`);
    if (!answer || foretold !== key || asOf) return;
    const { expected, early, late, said, failed, unknown } = answer.data, about = (at) => Orchestrator.minute(new Date(at));
    const between = expected && about(early) !== about(late) ? ` (between ${about(early)} and ${about(late)})` : "";
    place.textContent = !expected ? unknown && `Not known when it is fresh next: ${unknown}.`
      : [`Expected ${about(expected)}${between}`, said].filter(Boolean).join(", ") + (failed.length ? `; ${failed.join(" and ")} failed the last time` : "") + ".";
    place.classList.toggle("text-secondary", !expected);
    place.hidden = !place.textContent;
  }
  function choose(id, go = false) {
    chosen = id;
    if (id && graph.getElementById(id).empty() && focus) { focus = ""; remember(); draw(true); }
    mark(); describe();
    const node = id ? graph.getElementById(id) : graph.collection();
    if (go && node.nonempty()) graph.animate({ center: { eles: node }, zoom: Math.max(graph.zoom(), .9) }, { duration: matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 260 });
  }
  function remember() {
    const kept = new URLSearchParams(location.search);
    for (const [name, value] of [["focus", focus], ["hops", focus && hops !== 2 ? hops : ""], ["as_of", asOf]]) value ? kept.set(name, value) : kept.delete(name);
    history.replaceState(null, "", location.pathname + (kept.size ? "?" + kept : ""));
  }

  // ---------------------------------------------------------------- feeding
  async function fetchMap() {
    const query = new URLSearchParams(location.search);
    const answer = await Orchestrator.fetchJson(`${box.dataset.address}?${query}`, tag);
    if (!answer) { box.dataset.ready ||= data.nodes.length ? "yes" : ""; return; }
    tag = answer.tag;
    data = answer.data;
    byId = new Map(data.nodes.map((node, index) => [node[0], index]));
    const form = JSON.stringify([data.nodes.map((node) => node.slice(0, 3)), data.edges]);
    const first = !shown;
    if (form !== shown) { shown = form; draw(first); } else repaint();
    $("cut").hidden = !data.more;
    box.dataset.ready = "yes";
  }
  function tellEvent([, name, about, related]) {
    const here = [about, ...related].map((id) => graph.getElementById(id)).filter((node) => node.nonempty());
    if (!here.length) return;
    const bad = /fail|crash|vanish|missed|error/.test(name), colour = css(bad ? "--c-failed" : /complet|pass|healthy|resolved/.test(name) ? "--c-completed" : "--c-running");
    const send = ({ source, target }, wait) => pulses.travel(graph.getElementById(source), graph.getElementById(target), colour, wait);
    const known = new Set(here.map((node) => node.id())), begins = /running|started|pending/.test(name);
    const among = new Set(here.flatMap((node) => links.get(node.id())).filter((link) => known.has(link.source) && known.has(link.target)));
    if (among.size) { [...among].slice(0, 12).forEach((link, n) => send(link, n * 40)); return; }
    // Of one resource alone: what begins comes in, what was done goes out.
    const id = here[0].id();
    pulses.ring(here[0], colour);
    links.get(id).filter((link) => (begins ? link.target : link.source) === id).slice(0, 8).forEach((link, n) => send(link, n * 60));
  }
  async function fetchEvents() {
    const answer = asOf || document.hidden ? null : await Orchestrator.fetchJson(`${box.dataset.events}${after ? "?after=" + after : ""}`);
    if (!answer) return;
    after = answer.data.after || after;
    answer.data.events.forEach(tellEvent);
  }
  async function rounds(step, every) { try { if (!document.hidden) await step(); } finally { setTimeout(() => rounds(step, every), every); } }

  // --------------------------------------------------------------- controls
  const search = $("search"), hits = $("hits");
  function find() {
    const text = search.value.trim().toLowerCase();
    graph.nodes(".found").removeClass("found");
    const found = text ? data.nodes.filter((node) => node[1].toLowerCase().includes(text) || node[0].toLowerCase().includes(text)) : [];
    graph.batch(() => found.slice(0, 300).forEach((node) => graph.getElementById(node[0]).addClass("found")));
    hits.hidden = !text;
    hits.replaceChildren(...found.slice(0, 8).map((node) => {
      const row = document.createElement("li"), pick = part("button", node[1]);
      pick.type = "button";
      pick.append(part("small", node[2]));
      pick.addEventListener("click", () => { choose(node[0], true); hits.hidden = true; });
      row.append(pick);
      return row;
    }), ...(found.length > 8 ? [part("li", `and ${found.length - 8} more`, "text-secondary")] : []), ...(text && !found.length ? [part("li", "Nothing here is called that.", "text-secondary")] : []));
  }
  search.addEventListener("input", find);
  search.addEventListener("keydown", (event) => {
    if (event.key === "Enter") { event.preventDefault(); hits.querySelector("button")?.click(); }
    if (event.key === "Escape") { search.value = ""; find(); }
  });
  const range = $("time"), when = $("when"), live = $("live");
  function tellTime() {
    const minutes = +range.value;
    when.textContent = asOf ? Orchestrator.absolute(new Date(asOf)) : "now";
    range.setAttribute("aria-valuetext", when.textContent);
    live.hidden = !asOf;
    return minutes;
  }
  let waiting = 0;
  range.addEventListener("input", () => {
    const minutes = +range.value;
    asOf = minutes ? new Date(Math.floor(Orchestrator.now() / 60000 + minutes) * 60000).toISOString() : "";
    tellTime();
    clearTimeout(waiting);
    waiting = setTimeout(() => { remember(); pulses.clear(); tag = null; fetchMap(); }, 180);
  });
  live.addEventListener("click", () => { range.value = 0; range.dispatchEvent(new Event("input")); range.focus(); });
  $("hops").value = String(hops);
  $("hops").addEventListener("change", (event) => { hops = +event.target.value; remember(); if (focus) draw(true); });
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-focus-it]")) { focus = chosen || focus; chosen = ""; remember(); draw(true); }
    if (event.target.closest("[data-map-whole]")) { chosen = focus; focus = ""; remember(); draw(true); }
    const zoom = event.target.closest("[data-zoom]")?.dataset.zoom;
    if (zoom === "fit") all();
    else if (zoom) graph.zoom({ level: graph.zoom() * +zoom, renderedPosition: { x: box.clientWidth / 2, y: box.clientHeight / 2 } });
  });
  box.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [70, 0], ArrowRight: [-70, 0], ArrowUp: [0, 70], ArrowDown: [0, -70] }[event.key];
    if (step) { event.preventDefault(); graph.panBy({ x: step[0], y: step[1] }); }
    if (event.key === "+" || event.key === "-") document.querySelector(`[data-zoom="${event.key === "+" ? 1.3 : .77}"]`).click();
    if (event.key === "0") all();
    if (event.key === "Escape") choose("");
  });
  graph.on("viewport", () => { clearTimeout(naming); naming = setTimeout(name, 120); });
  graph.on("tap", "node.item", (event) => choose(event.target.id()));
  graph.on("tap", (event) => event.target === graph && choose(""));
  graph.on("dbltap", "node.item", (event) => { focus = event.target.id(); chosen = ""; remember(); draw(true); });
  graph.on("mouseover", "node.item", () => { box.style.cursor = "pointer"; });
  graph.on("mouseout", "node.item", () => { box.style.cursor = ""; });
  function dress() {
    graph.style().fromJson(style()).update();
    threads.look({ line: css("--ink-soft"), near: css("--tblr-link-color") });
  }
  dress();
  document.addEventListener("orchestrator:theme", dress);
  document.addEventListener("orchestrator:preferences", tellTime);
  if (asOf) range.value = Math.max(Math.round((Date.parse(asOf) - Orchestrator.now()) / 60000), +range.min);
  tellTime();
  box.graph = graph;
  rounds(fetchMap, 4000);
  rounds(fetchEvents, 1000);
});
