// The relations of a map with thousands of dots, as straight lines on a canvas of their own below the dots: ten thousand
// lines drawn at once cost what a few elements of the graph would.
"use strict";

const MapThreads = (() => function below(graph, box) {
  const canvas = document.createElement("canvas");
  canvas.className = "map-threads";
  canvas.setAttribute("aria-hidden", "true");
  box.prepend(canvas);
  const pen = canvas.getContext("2d");
  let lines = [], near = [], bundles = [], looks = {}, frame = 0;

  function stroke(ends, colour, width, alpha, { x, y }, zoom) {
    if (!ends.length) return;
    pen.strokeStyle = colour;
    pen.lineWidth = width;
    pen.globalAlpha = alpha;
    pen.beginPath();
    for (const [a, b] of ends) {
      pen.moveTo(a.x * zoom + x, a.y * zoom + y);
      pen.lineTo(b.x * zoom + x, b.y * zoom + y);
    }
    pen.stroke();
  }
  // From afar: one arc from kind to kind, the thicker the more relations it stands for.
  function arcs({ x, y }, zoom) {
    pen.strokeStyle = looks.near;
    pen.globalAlpha = near.length ? .08 : .3;
    for (const { from, to, count } of bundles) {
      const ax = from.x * zoom + x, ay = from.y * zoom + y, bx = to.x * zoom + x, by = to.y * zoom + y;
      pen.lineWidth = 1 + Math.log2(1 + count) * .7;
      pen.beginPath();
      pen.moveTo(ax, ay);
      pen.quadraticCurveTo((ax + bx) / 2 - (by - ay) * .18, (ay + by) / 2 + (bx - ax) * .18, bx, by);
      pen.stroke();
    }
  }
  function draw() {
    frame = 0;
    const ratio = Math.min(devicePixelRatio || 1, 2), width = box.clientWidth, height = box.clientHeight;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const pan = graph.pan(), zoom = graph.zoom();
    const dense = lines.length > 1500, far = dense && zoom < .55;
    if (far) arcs(pan, zoom);
    else stroke(lines, looks.line, 1, near.length ? .08 : dense ? .12 : .3, pan, zoom);
    stroke(near, looks.near, 2, 1, pan, zoom);
  }
  const soon = () => { frame ||= requestAnimationFrame(draw); };
  graph.on("viewport resize", soon);
  return {
    set(all, between) { lines = all; bundles = between; near = []; soon(); },
    near(some) { near = some; soon(); },
    look(colours) { looks = colours; soon(); },
  };
})();
