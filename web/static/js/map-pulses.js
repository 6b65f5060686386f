// Events on the stack map: a dot travels along each edge that an event goes over, a ring spreads where it arrives.
"use strict";

const MapPulses = (() => {
  const MOST = 240, TRAVEL = 1100, SPREAD = 700;
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;

  return function over(graph, box) {
    const canvas = document.createElement("canvas");
    canvas.className = "map-pulses";
    canvas.setAttribute("aria-hidden", "true");
    box.append(canvas);
    const pen = canvas.getContext("2d");
    let moving = [], frame = 0;

    function size() {
      const ratio = devicePixelRatio || 1;
      canvas.width = box.clientWidth * ratio;
      canvas.height = box.clientHeight * ratio;
      pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    }
    function draw(now) {
      pen.clearRect(0, 0, box.clientWidth, box.clientHeight);
      moving = moving.filter((one) => now < one.start + one.length && one.from.inside() && one.to.inside());
      for (const one of moving) {
        const part = (now - one.start) / one.length;
        if (part < 0) continue;
        const a = one.from.renderedPosition(), b = one.to.renderedPosition();
        pen.fillStyle = pen.strokeStyle = one.colour;
        pen.beginPath();
        if (one.ring) {
          pen.globalAlpha = 1 - part;
          pen.lineWidth = 2;
          pen.arc(a.x, a.y, 5 + 16 * part, 0, 7);
          pen.stroke();
        } else {
          const eased = part * part * (3 - 2 * part);
          pen.globalAlpha = .95;
          pen.arc(a.x + (b.x - a.x) * eased, a.y + (b.y - a.y) * eased, 3.6, 0, 7);
          pen.fill();
        }
      }
      pen.globalAlpha = 1;
      frame = moving.length ? requestAnimationFrame(draw) : 0;
    }
    function add(one) {
      if (still || document.hidden || moving.length >= MOST) return;
      moving.push(one);
      frame ||= requestAnimationFrame(draw);
    }
    size();
    new ResizeObserver(size).observe(box);
    return {
      ring: (node, colour, wait = 0) => add({ from: node, to: node, colour, ring: true, start: performance.now() + wait, length: SPREAD }),
      travel(from, to, colour, wait = 0) {
        add({ from, to, colour, start: performance.now() + wait, length: TRAVEL });
        add({ from: to, to, colour, ring: true, start: performance.now() + wait + TRAVEL, length: SPREAD });
      },
      clear() { moving = []; },
    };
  };
})();
