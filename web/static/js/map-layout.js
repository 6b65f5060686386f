// Where things stand on the stack map. Nothing here is random: the same stack gives the same picture.
"use strict";

const MapLayout = (() => {
  // Of these relations the target is what is read: data goes from it to the source.
  const BACKWARDS = new Set(["reads", "read", "uses", "loads", "consumes"]);
  // The two ends of an edge, in the direction in which data go.
  const flow = ([source, target, role]) => BACKWARDS.has(role) ? [target, source] : [source, target];

  // Up to this many, everything is a card with its name on it; beyond, dots whose names show when one comes nearer.
  const CARDS = 260;
  const CARD = { width: 150, height: 24 }, ROOM = { width: 176, height: 34 }, DOT = { width: 52, height: 42 };
  const HEAD = 34, PAD = 22, GAP = 40, LANE = 96, TITLE = 92, STREET = 110;
  const isFlow = (edge) => edge[2] !== "part-of";

  // How much of a kind's edges lead away from it: sources stand first, what is made of them last.
  function upstream(kinds, nodes, edges) {
    const out = new Map(), all = new Map();
    const add = (table, kind) => table.set(kind, (table.get(kind) || 0) + 1);
    for (const edge of edges.filter(isFlow)) {
      const [from, to] = flow(edge).map((index) => nodes[index][2]);
      if (from === to) continue;
      add(out, from); add(all, from); add(all, to);
    }
    return new Map(kinds.map((kind) => [kind, all.has(kind) ? (out.get(kind) || 0) / all.get(kind) : -1]));
  }
  function box(members, cards) {
    const cell = cards ? ROOM : DOT;
    const columns = cards ? Math.ceil(members.length / 16) : Math.ceil(Math.sqrt(members.length * 1.6 * DOT.height / DOT.width));
    const rows = Math.ceil(members.length / columns);
    return { members, cards, cell, columns, rows, width: columns * cell.width + 2 * PAD - (cards ? ROOM.width - CARD.width : 0), head: cards ? HEAD : TITLE, height: rows * cell.height + (cards ? HEAD : TITLE) + PAD };
  }
  // Boxes of dots on shelves from top to bottom; how wide they may be follows from the window's shape.
  function shelves(boxes, aspect) {
    const area = boxes.reduce((sum, one) => sum + (one.width + STREET) * (one.height + STREET), 0);
    const most = Math.max(Math.sqrt(area * aspect) * 1.08, ...boxes.map((one) => one.width));
    let x = 0, y = 0, tall = 0;
    for (const one of boxes) {
      if (x > 0 && x + one.width > most) { x = 0; y += tall + STREET; tall = 0; }
      one.x = x; one.y = y;
      x += one.width + STREET; tall = Math.max(tall, one.height);
    }
  }
  // Boxes of cards in columns from left to right, with lanes for the edges between them.
  function columns(boxes, aspect) {
    const area = boxes.reduce((sum, one) => sum + (one.width + LANE) * (one.height + GAP), 0);
    const most = Math.max(Math.sqrt(area / aspect), ...boxes.map((one) => one.height));
    let x = 0, y = 0, wide = 0, column = [];
    const close = () => { column.forEach((one) => { one.y += (most - y + GAP) / 2; }); x += wide + LANE; y = 0; wide = 0; column = []; };
    for (const one of boxes) {
      if (y > 0 && y + one.height > most) close();
      one.x = x; one.y = y;
      y += one.height + GAP; wide = Math.max(wide, one.width);
      column.push(one);
    }
    close();
  }
  // Every node in the box of its kind. Gives positions by index and the boxes.
  function clusters(nodes, edges, aspect) {
    const byKind = new Map(), cards = nodes.length <= CARDS;
    nodes.forEach((node, index) => byKind.has(node[2]) ? byKind.get(node[2]).push(index) : byKind.set(node[2], [index]));
    const kinds = [...byKind.keys()];
    const rank = upstream(kinds, nodes, edges);
    kinds.sort((a, b) => rank.get(b) - rank.get(a) || byKind.get(b).length - byKind.get(a).length || a.localeCompare(b));
    const boxes = kinds.map((kind) => ({ kind, ...box(byKind.get(kind).sort((a, b) => nodes[a][1].localeCompare(nodes[b][1])), cards) }));
    (cards ? columns : shelves)(boxes, aspect);
    const at = new Array(nodes.length);
    for (const one of boxes) {
      one.members.forEach((index, n) => {
        // Down the columns where names are read, along the rows where there are many.
        const column = cards ? Math.floor(n / one.rows) : n % one.columns;
        const row = cards ? n % one.rows : Math.floor(n / one.columns);
        at[index] = {
          x: one.x + PAD + column * one.cell.width + (cards ? CARD.width : one.cell.width) / 2,
          y: one.y + one.head + row * one.cell.height + one.cell.height / 2 - 4,
        };
      });
    }
    return { at, boxes, cards };
  }
  // How many relations lead from one kind's box to another's, as lines between their middles.
  function bundles(nodes, edges, boxes) {
    const middle = new Map(boxes.map((one) => [one.kind, { x: one.x + one.width / 2, y: one.y + one.height / 2 }]));
    const found = new Map();
    for (const edge of edges) {
      const [from, to] = flow(edge).map((index) => nodes[index][2]);
      if (from === to) continue;
      const key = JSON.stringify([from, to]);
      if (found.has(key)) found.get(key).count++; else found.set(key, { from: middle.get(from), to: middle.get(to), count: 1 });
    }
    return [...found.values()];
  }
  // A curve between two cards that leaves and arrives level. In the terms of an unbundled bezier.
  function curve(a, b) {
    const half = CARD.width / 2, side = Math.abs(b.x - a.x) < CARD.width ? 0 : b.x > a.x ? 1 : -1;
    const start = { x: a.x + half * (side || 1), y: a.y }, end = { x: b.x - half * (side || -1), y: b.y };
    const dx = end.x - start.x, dy = end.y - start.y, length = dx * dx + dy * dy || 1;
    const bend = side ? dx / 2 : 34;
    const points = [{ x: bend, y: 0 }, { x: side ? bend : dx + bend, y: dy }];
    return {
      from: side < 0 ? "-50% 0%" : "50% 0%", to: side < 0 ? "50% 0%" : side > 0 ? "-50% 0%" : "50% 0%",
      weights: points.map((point) => (point.x * dx + point.y * dy) / length),
      distances: points.map((point) => (point.y * dx - point.x * dy) / Math.sqrt(length)),
    };
  }
  // What is within some hops of one node: where it comes from on the left, what is made of it on the right.
  function around(focus, edges, hops) {
    const next = new Map(), back = new Map();
    const link = (table, from, to) => table.has(from) ? table.get(from).push(to) : table.set(from, [to]);
    for (const edge of edges) { const [from, to] = flow(edge); link(next, from, to); link(back, to, from); }
    const level = new Map([[focus, 0]]);
    for (const [table, step] of [[back, -1], [next, 1]]) {
      let edge = [focus];
      for (let hop = 1; hop <= hops; hop++) {
        const found = [];
        for (const index of edge) for (const other of table.get(index) || []) {
          if (level.has(other)) continue;
          level.set(other, step * hop);
          found.push(other);
        }
        edge = found;
      }
    }
    return level;
  }
  function levels(nodes, level) {
    const columns = new Map();
    for (const [index, at] of level) columns.has(at) ? columns.get(at).push(index) : columns.set(at, [index]);
    const at = new Map();
    for (const [column, members] of columns) {
      members.sort((a, b) => nodes[a][2].localeCompare(nodes[b][2]) || nodes[a][1].localeCompare(nodes[b][1]));
      const most = 22, wide = Math.ceil(members.length / most), rows = Math.ceil(members.length / wide);
      members.forEach((index, n) => at.set(index, {
        x: column * 222 + (Math.floor(n / rows) - (wide - 1) / 2) * ROOM.width,
        y: (n % rows - (rows - 1) / 2) * 42,
      }));
    }
    return at;
  }
  return { flow, isFlow, clusters, around, levels, bundles, curve, CARD, CARDS };
})();
