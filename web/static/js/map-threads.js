// The relations of a map with thousands of dots, as straight lines on a canvas of their own below the dots: ten thousand
// lines drawn at once cost what a few elements of the graph would.
"use strict";

const MapThreads = (() => function below(graph, box) {
  const canvas = document.createElement("canvas");
  canvas.className = "map-threads";
  canvas.setAttribute("aria-hidden", "true");
  box.prepend(canvas);
  const pen = canvas.getContext("2d");
  let lines = [], near = [], looks = {}, frame = 0;

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
    stroke(lines, looks.line, 1, near.length ? .1 : lines.length > 3000 ? .16 : .3, pan, zoom);
    stroke(near, looks.near, 2, 1, pan, zoom);
  }
  const soon = () => { frame ||= requestAnimationFrame(draw); };
  graph.on("viewport resize", soon);
  return {
    set(all) { lines = all; near = []; soon(); },
    near(some) { near = some; soon(); },
    look(colours) { looks = colours; soon(); },
  };
})();
