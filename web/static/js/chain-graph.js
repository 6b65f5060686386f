// How chains are drawn, whether one looks at them or makes them: boxes of steps, from left to right or from top to bottom.
"use strict";

const ChainGraph = (() => {
  const WIDTH = 150, HEIGHT = 46;
  const css = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();

  function style() {
    const ink = css("--ink"), soft = css("--ink-soft"), panel = css("--panel"), font = css("--tblr-font-sans-serif");
    return [
      { selector: "node", style: { shape: "round-rectangle", width: WIDTH, height: HEIGHT, label: "data(label)", "text-wrap": "wrap", "text-max-width": WIDTH - 14, "text-valign": "center", "text-halign": "center", "font-family": font, "font-size": 12, color: ink, "background-color": panel, "border-width": 1.5, "border-color": soft, "overlay-opacity": 0 } },
      { selector: "edge", style: { "curve-style": "bezier", width: 1.5, "line-color": soft, "target-arrow-color": soft, "target-arrow-shape": "triangle", "arrow-scale": .9, label: "data(says)", "font-family": font, "font-size": 10, color: soft, "text-background-color": panel, "text-background-opacity": 1, "text-background-padding": 2, "overlay-opacity": 0 } },
      { selector: "edge[says != '']", style: { "line-style": "dashed" } },
    ];
  }
  // The longest way from a beginning: a step stands after all that it waits for. Ways that go in a circle end there.
  function levels(all) {
    const byName = new Map(all.map((step) => [step.name, step])), found = new Map(), open = new Set();
    const level = (name) => {
      if (found.has(name)) return found.get(name);
      if (open.has(name) || !byName.has(name)) return -1;
      open.add(name);
      const at = 1 + Math.max(-1, ...byName.get(name).after.map(level));
      open.delete(name);
      found.set(name, at);
      return at;
    };
    all.forEach((step) => level(step.name));
    return found;
  }
  // Where each step stands, by name; `down`: from top to bottom, for narrow screens.
  function places(all, down) {
    const at = levels(all), used = {}, total = {};
    for (const level of at.values()) total[level] = (total[level] || 0) + 1;
    return new Map(all.map((step) => {
      const level = at.get(step.name), across = (used[level] = (used[level] ?? -1) + 1) - (total[level] - 1) / 2;
      return [step.name, down ? { x: across * (WIDTH + 20), y: level * 105 } : { x: level * (WIDTH + 90), y: across * (HEIGHT + 30) }];
    }));
  }
  return { WIDTH, HEIGHT, css, style, places, narrow: (box) => box.clientWidth < 620 };
})();
