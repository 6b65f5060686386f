// Charts: runs over time (bars) and runs by start and duration (dots), in the state colours of the stylesheet.
"use strict";

(() => {
  const NAMES = { SCHEDULED: "Scheduled", PENDING: "Pending", RUNNING: "Running", PAUSED: "Paused", CANCELLING: "Cancelling", COMPLETED: "Completed", FAILED: "Failed", CRASHED: "Crashed", CANCELLED: "Cancelled" };
  const SHAPES = { FAILED: "diamond", CRASHED: "triangle", CANCELLED: "rect", RUNNING: "circle" };
  const charts = new Map();
  const css = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();
  const colour = (state) => css("--c-" + state.toLowerCase());
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;

  function base() {
    const soft = css("--ink-soft"), line = css("--line");
    return {
      animation: !still, animationDuration: 250,
      textStyle: { fontFamily: css("--tblr-font-sans-serif"), color: soft },
      tooltip: { backgroundColor: css("--panel"), borderColor: line, textStyle: { color: css("--ink"), fontSize: 12 }, confine: true },
      axis: { axisLine: { lineStyle: { color: line } }, axisTick: { show: false }, axisLabel: { color: soft, fontSize: 11, hideOverlap: true }, splitLine: { lineStyle: { color: line, type: [3, 4] } } },
    };
  }
  function make(node) {
    const chart = echarts.init(node, null, { renderer: "canvas" });
    new ResizeObserver(() => chart.resize()).observe(node);
    charts.set(node, { chart, seen: "" });
    return charts.get(node);
  }
  const label = (ms, step) => step >= 6 * 3600e3 ? Orchestrator.date(new Date(ms)).slice(5) + " " + Orchestrator.clock(new Date(ms), false) : Orchestrator.clock(new Date(ms), false);

  // -------------------------------------------------------- runs over time
  function bars(node, data, chart) {
    const { axis, ...common } = base();
    const starts = Array.from({ length: data.bars }, (_, index) => data.start + index * data.step);
    const narrow = node.clientWidth < 480;
    chart.setOption({
      ...common,
      legend: { bottom: 0, left: "center", icon: "roundRect", itemWidth: 11, itemHeight: 11, itemGap: narrow ? 9 : 16, textStyle: { color: css("--ink-soft"), fontSize: 11.5 }, type: narrow ? "scroll" : "plain" },
      grid: { left: 4, right: 8, top: 22, bottom: 34, containLabel: true },
      tooltip: { ...common.tooltip, trigger: "axis", axisPointer: { type: "shadow", shadowStyle: { color: css("--ink-soft"), opacity: .08 } }, formatter: (items) => tip(items, starts, data.step) },
      xAxis: { type: "category", data: starts, ...axis, splitLine: { show: false }, axisLabel: { ...axis.axisLabel, formatter: (at) => label(+at, data.step) } },
      yAxis: { type: "value", minInterval: 1, ...axis, axisLine: { show: false } },
      series: data.series.map((one, index) => ({
        name: NAMES[one.state], type: "bar", stack: "all", barCategoryGap: "18%", data: one.data.map((count) => count || null),
        itemStyle: { color: colour(one.state), ...(one.state === "SCHEDULED" && { opacity: .75 }), ...(one.state === "CRASHED" && { decal: { symbol: "rect", rotation: Math.PI / 4, dashArrayX: [1, 0], dashArrayY: [2, 4], color: "rgba(255,255,255,.5)" } }) },
        emphasis: { focus: "series" },
        ...(index === 0 && { markLine: { symbol: "none", silent: true, animation: false, lineStyle: { color: css("--ink-soft"), type: "dashed", width: 1 }, label: { formatter: "now", color: css("--ink-soft"), fontSize: 11 }, data: [{ xAxis: data.now }] } }),
      })),
    }, { notMerge: true });
  }
  function tip(items, starts, step) {
    const at = starts[items[0].dataIndex];
    const body = items.filter((item) => item.value).reverse().map((item) => `${item.marker}${item.seriesName} <b style="float:right;margin-left:18px">${item.value}</b>`).join("<br>");
    return `<div style="margin-bottom:3px">${Orchestrator.absolute(new Date(at))}, ${Orchestrator.span(step)}</div>${body || "no run"}`;
  }

  // ------------------------------------------------------ start by duration
  function dots(node, points, chart) {
    const { axis, ...common } = base();
    const states = [...new Set(points.map((point) => point[2]))];
    const escape = (text) => echarts.format.encodeHTML(text);
    chart.setOption({
      ...common,
      legend: { bottom: 0, left: "center", itemWidth: 11, itemHeight: 11, itemGap: node.clientWidth < 480 ? 9 : 16, textStyle: { color: css("--ink-soft"), fontSize: 11.5 }, type: node.clientWidth < 480 ? "scroll" : "plain" },
      grid: { left: 4, right: 12, top: 14, bottom: 34, containLabel: true },
      tooltip: { ...common.tooltip, trigger: "item", formatter: ({ data }) => `<b>${escape(data.label)}</b><br>${escape(data.state)} · ${Orchestrator.span(data.value[1] * 1000)}<br>${Orchestrator.absolute(new Date(data.value[0]))}` },
      xAxis: { type: "time", ...axis, splitLine: { show: false }, axisLabel: { ...axis.axisLabel, formatter: (at) => Orchestrator.clock(new Date(at), false) === "00:00" ? Orchestrator.date(new Date(at)).slice(5) : Orchestrator.clock(new Date(at), false) } },
      yAxis: { type: "log", min: (range) => Math.max(range.min / 2, .01), ...axis, axisLine: { show: false }, axisLabel: { ...axis.axisLabel, formatter: (seconds) => Orchestrator.span(seconds * 1000).replace(/\.0 s| 00 s| 00 m/, (end) => end === ".0 s" ? " s" : "") } },
      series: states.map((state) => ({
        name: NAMES[state], type: "scatter", symbol: SHAPES[state] || "circle", symbolSize: 9, itemStyle: { color: colour(state), opacity: .85 },
        data: points.filter((point) => point[2] === state).map(([id, text, , name, at, seconds]) => ({ id, label: text, state: name, value: [at, Math.max(seconds, .01)] })),
      })),
    }, { notMerge: true });
  }

  // ---------------------------------------------------------------- feeding
  function fromPage() {
    document.querySelectorAll("[data-chart=runs]").forEach((node) => {
      const entry = charts.get(node) || make(node);
      const text = document.getElementById(node.dataset.source).textContent;
      if (text === entry.seen) return;
      entry.seen = text;
      entry.draw = () => bars(node, JSON.parse(text), entry.chart);
      entry.draw();
    });
  }
  async function fetched(node) {
    const entry = charts.get(node) || make(node);
    const answer = document.hidden ? null : await Orchestrator.fetchJson(node.dataset.address, entry.seen);
    if (answer) {
      entry.seen = answer.tag;
      entry.draw = () => dots(node, answer.data, entry.chart);
      entry.chart.off("click");
      entry.chart.on("click", (event) => event.data?.id && location.assign(node.dataset.href + "/" + event.data.id));
      entry.draw();
    }
    setTimeout(() => fetched(node), 10000);
  }
  const again = () => charts.forEach((entry) => entry.draw?.());
  document.addEventListener("DOMContentLoaded", () => {
    fromPage();
    document.querySelectorAll("[data-chart=points]").forEach(fetched);
    document.addEventListener("orchestrator:live", fromPage);
    document.addEventListener("orchestrator:theme", again);
    document.addEventListener("orchestrator:preferences", again);
  });
})();
