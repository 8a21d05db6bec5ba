// Draws what was measured. The numbers stand in the page, as JSON for this and as a table for people; the library that draws is
// loaded only where there is a plot.
const drawn = new Map(); // element -> uPlot

let library;
function load(box) {
  if (library) return library;
  const style = document.createElement("link");
  style.rel = "stylesheet";
  style.href = box.dataset.style;
  document.head.append(style);
  library = import(box.dataset.library).then((module) => module.default);
  return library;
}

function colours() {
  const css = getComputedStyle(document.documentElement);
  const value = (name) => css.getPropertyValue(name).trim();
  return {
    text: value("--text-soft"),
    grid: value("--line"),
    series: [value("--accent"), value("--warned"), value("--passed"), value("--failed"), value("--idle")],
    mark: value("--failed"),
  };
}

// Lines are told apart by their dashes too, not by colour alone.
const dashes = [[], [6, 4], [2, 3], [10, 4, 2, 4], [1, 5]];

function seriesOf(Plot, kind, column, i, c) {
  const stroke = c.series[i % c.series.length];
  const base = { label: column.label, stroke, width: 2 };
  if (kind === "raster") return { ...base, paths: () => null, points: { show: true, size: 4, fill: stroke, stroke } };
  if (kind === "histogram") return { ...base, width: 1, fill: stroke + "44", paths: Plot.paths.bars({ size: [0.9, 60], align: -1 }), points: { show: false } };
  return { ...base, dash: dashes[i % dashes.length], spanGaps: false, points: { size: 4 } };
}

// Marks are lines across the plot, such as a connection that dropped.
function drawMarks(marks, colour) {
  return (plot) => {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.strokeStyle = colour;
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
    for (const { at } of marks) {
      const x = plot.valToPos(at, "x", true);
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
    }
    ctx.restore();
  };
}

async function draw(box) {
  drawn.set(box, null);
  const { columns, marks = [] } = JSON.parse(box.querySelector("script").textContent);
  if (columns.length < 2) return;
  const Plot = await load(box);
  if (!box.isConnected) return;
  const c = colours();
  const axis = { stroke: c.text, grid: { stroke: c.grid, width: 1 }, ticks: { stroke: c.grid, width: 1 }, font: "12px system-ui" };
  const options = {
    width: box.clientWidth,
    height: 240,
    scales: { x: { time: false } },
    axes: [{ ...axis, label: columns[0].label, labelSize: 20, labelFont: "12px system-ui" }, { ...axis, size: 60 }],
    series: [{ label: columns[0].label }, ...columns.slice(1).map((column, i) => seriesOf(Plot, box.dataset.plot, column, i, c))],
    hooks: marks.length ? { draw: [drawMarks(marks, c.mark)] } : {},
    legend: { live: matchMedia("(hover: hover)").matches },
    cursor: { drag: { x: true, y: false } },
  };
  drawn.get(box)?.destroy();
  drawn.set(box, new Plot(options, columns.map((column) => column.values), box));
  sizes.observe(box);
}

const sizes = new ResizeObserver((entries) => {
  for (const { target, contentRect } of entries) {
    const plot = drawn.get(target);
    if (plot && Math.abs(plot.width - contentRect.width) > 1) plot.setSize({ width: contentRect.width, height: 240 });
  }
});

function look() {
  for (const [box, plot] of drawn) {
    if (box.isConnected) continue;
    plot?.destroy();
    sizes.unobserve(box);
    drawn.delete(box);
  }
  for (const box of document.querySelectorAll(".plot[data-plot]")) if (!drawn.has(box)) draw(box);
}

// Another theme has other colours.
function again() {
  for (const box of [...drawn.keys()]) draw(box);
}
new MutationObserver(again).observe(document.documentElement, { attributeFilter: ["data-theme"] });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);

// The end of a run brings its plots.
const run = document.getElementById("run");
if (run) new MutationObserver(look).observe(run, { childList: true, subtree: false });
const body = document.getElementById("run-body") ?? document.body;
if (!run) new MutationObserver(look).observe(body, { childList: true });
look();
