// Events over time by kind. Dragging over the bars looks into a stretch: its ends go into the address.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const box = document.getElementById("histogram");
  if (!box) return;
  const css = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();
  const COLOURS = { action: "--c-paused", operation: "--c-running", heartbeat: "--c-pending", relationship: "--c-completed" };
  const NAMES = { action: "Actions", operation: "Operations", heartbeat: "Heartbeats", relationship: "Relations" };
  const chart = echarts.init(box, null, { renderer: "canvas" });
  const total = document.querySelector("[data-total]");
  let data = null, tag = null;

  const label = (at) => data.step * data.bars > 36 * 3600e3 ? `${Orchestrator.date(new Date(at)).slice(5)} ${Orchestrator.clock(new Date(at), false)}` : Orchestrator.clock(new Date(at), data.step < 60e3);
  const escape = (text) => echarts.format.encodeHTML(text);
  function draw() {
    const soft = css("--ink-soft"), line = css("--line");
    const starts = Array.from({ length: data.bars }, (_, index) => data.start + index * data.step);
    chart.setOption({
      animation: false, textStyle: { fontFamily: css("--tblr-font-sans-serif"), color: soft },
      grid: { left: 4, right: 6, top: 10, bottom: 22, containLabel: true },
      legend: { show: data.series.length > 1, right: 0, top: -4, icon: "roundRect", itemWidth: 10, itemHeight: 10, textStyle: { color: soft, fontSize: 11 } },
      tooltip: {
        trigger: "axis", confine: true, backgroundColor: css("--panel"), borderColor: line, textStyle: { color: css("--ink"), fontSize: 12 }, axisPointer: { type: "shadow", shadowStyle: { color: soft, opacity: .1 } },
        formatter: (items) => `${escape(Orchestrator.absolute(new Date(starts[items[0].dataIndex])))}, ${Orchestrator.span(data.step)}<br>` + (items.filter((item) => item.value).map((item) => `${item.marker}${item.seriesName} <b>${item.value}</b>`).join("<br>") || "no event"),
      },
      xAxis: { type: "category", data: starts, axisLine: { lineStyle: { color: line } }, axisTick: { show: false }, axisLabel: { color: soft, fontSize: 11, hideOverlap: true, formatter: (at) => label(+at) } },
      yAxis: { type: "value", minInterval: 1, splitNumber: 3, axisLabel: { color: soft, fontSize: 11 }, splitLine: { lineStyle: { color: line, type: [3, 4] } } },
      series: data.series.map((one) => ({ name: NAMES[one.kind], type: "bar", stack: "all", barCategoryGap: "14%", data: one.data.map((count) => count || null), itemStyle: { color: css(COLOURS[one.kind]) } })),
    }, { notMerge: true });
    total.textContent = `${data.cut ? "more than " : ""}${data.total.toLocaleString("en").replaceAll(",", "\u202f")} event${data.total === 1 ? "" : "s"}`;
    box.dataset.ready = "yes";
  }

  // ------------------------------------------------------------------ zoom
  const mark = Object.assign(document.createElement("div"), { className: "drag", hidden: true });
  box.append(mark);
  let from = null;
  const place = (event) => Math.min(Math.max(event.clientX - box.getBoundingClientRect().left, 0), box.clientWidth);
  const bar = (x) => {
    const first = chart.convertToPixel({ xAxisIndex: 0 }, 0), last = chart.convertToPixel({ xAxisIndex: 0 }, data.bars - 1), width = (last - first) / (data.bars - 1);
    return Math.min(Math.max((x - first) / width + .5, 0), data.bars);
  };
  box.addEventListener("pointerdown", (event) => { if (data && event.button === 0) { from = place(event); box.setPointerCapture(event.pointerId); } });
  box.addEventListener("pointermove", (event) => {
    if (from === null) return;
    const to = place(event);
    mark.hidden = Math.abs(to - from) < 5;
    mark.style.left = `${Math.min(from, to)}px`;
    mark.style.width = `${Math.abs(to - from)}px`;
  });
  box.addEventListener("pointerup", (event) => {
    if (from === null) return;
    const ends = [from, place(event)].sort((a, b) => a - b);
    from = null;
    mark.hidden = true;
    if (ends[1] - ends[0] < 5) return;
    const [first, last] = [Math.floor(bar(ends[0])), Math.ceil(bar(ends[1]))].map((index) => new Date(data.start + index * data.step).toISOString());
    const query = new URLSearchParams(location.search);
    query.set("since", first);
    query.set("until", last);
    query.delete("cursor");
    location.assign(`${location.pathname}?${query}`);
  });
  box.addEventListener("pointercancel", () => { from = null; mark.hidden = true; });

  async function fetched() {
    try {
      const answer = document.hidden ? null : await Orchestrator.fetchJson(box.dataset.address, tag);
      if (answer) { tag = answer.tag; data = answer.data; if (from === null) draw(); }
    } finally { setTimeout(fetched, 5000); }
  }
  new ResizeObserver(() => chart.resize()).observe(box);
  document.addEventListener("orchestrator:theme", () => data && draw());
  document.addEventListener("orchestrator:preferences", () => data && draw());
  fetched();
});
