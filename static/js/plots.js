// Draws what was measured. The numbers stand in the page, as JSON for this and as a table for people; the library that draws is
// loaded only where there is a plot.
const drawn = new Map(); // element -> uPlot
const paper = matchMedia("print");

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
  const base = { label: column.label, stroke, width: 2, value: (plot, v) => v == null ? "–" : v.toLocaleString(document.documentElement.lang) };
  if (kind === "raster") return { ...base, paths: () => null, points: { show: true, size: 4, fill: stroke, stroke } };
  if (kind === "histogram") return { ...base, width: 1, fill: stroke + "44", paths: Plot.paths.bars({ size: [0.9, 60] }), points: { show: false } };
  return { ...base, dash: dashes[i % dashes.length], spanGaps: false, points: { size: 4 } };
}

// The bins of a histogram grow with what they hold, so each has the same width and its upper edge below it. The last one may be
// open: it has the edge of the one before.
function bins(edges, rem) {
  const names = edges.map((edge, i) => (i > 0 && edge === edges[i - 1] ? "> " : "") + edge.toLocaleString(document.documentElement.lang));
  const name = (i) => names[i] ?? "";
  return {
    values: edges.map((_, i) => i),
    scale: { range: [-0.5, edges.length - 0.5] },
    series: { value: (plot, i) => i == null ? "–" : name(i) },
    axis: {
      splits: (plot) => {
        const each = Math.ceil(edges.length * 3 * rem / plot.width);
        return edges.map((_, i) => i).filter((i) => i % each === 0);
      },
      values: (plot, splits) => splits.map(name),
      grid: { show: false },
    },
  };
}

// Whole numbers: half a message was never counted.
const counts = [0, 1, 2, 3, 4, 5, 6, 7, 8].flatMap((power) => [1, 2, 5].map((n) => n * 10 ** power));

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
  drawn.set(box, drawn.get(box) ?? null);
  const { columns, marks = [] } = JSON.parse(box.querySelector("script").textContent);
  if (columns.length < 2) return;
  const Plot = await load(box);
  if (!box.isConnected) return;
  const c = colours();
  const kind = box.dataset.plot;
  const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
  const font = `${0.75 * rem}px system-ui`;
  const axis = { stroke: c.text, grid: { stroke: c.grid, width: 1 }, ticks: { stroke: c.grid, width: 1 }, font };
  const binned = kind === "histogram" ? bins(columns[0].values, rem) : null;
  // What nothing was measured of (no message came twice, say) has no place among the names.
  const shown = columns.slice(1).filter((column, i) => i === 0 || column.values.some((v) => v != null));
  const options = {
    width: paper.matches ? Math.min(box.clientWidth, 660) : box.clientWidth, // an A4 page takes that much
    height: 15 * rem,
    scales: {
      x: { time: false, ...binned?.scale },
      // From nothing on: cut off below, small differences look large.
      y: { range: (plot, min, max) => min == null ? [0, 1] : min < 0 ? Plot.rangeNum(min, max, 0.1, true) : [0, Plot.rangeNum(0, max || 1, 0.1, true)[1]] },
    },
    axes: [
      { ...axis, label: columns[0].label, labelSize: 1.25 * rem, labelFont: font, ...binned?.axis },
      { ...axis, size: 3.75 * rem, ...(binned && { incrs: counts }) },
    ],
    series: [{ label: columns[0].label, ...binned?.series }, ...shown.map((column, i) => seriesOf(Plot, kind, column, i, c))],
    hooks: marks.length ? { draw: [drawMarks(marks, c.mark)] } : {},
    legend: { live: matchMedia("(hover: hover)").matches },
    cursor: { drag: { x: !binned, y: false } },
  };
  drawn.get(box)?.destroy();
  drawn.set(box, new Plot(options, [binned?.values ?? columns[0].values, ...shown.map((column) => column.values)], box));
  sizes.observe(box);
}

const sizes = new ResizeObserver((entries) => {
  for (const { target, contentRect } of entries) {
    const plot = drawn.get(target);
    if (plot && Math.abs(plot.width - contentRect.width) > 1) plot.setSize({ width: contentRect.width, height: plot.height });
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

// Another theme has other colours, and so has paper.
function again() {
  for (const box of [...drawn.keys()]) draw(box);
}
new MutationObserver(again).observe(document.documentElement, { attributeFilter: ["data-theme"] });
for (const media of [matchMedia("(prefers-color-scheme: dark)"), paper]) media.addEventListener("change", again);

// The end of a run brings its plots.
const run = document.getElementById("run");
if (run) new MutationObserver(look).observe(run, { childList: true, subtree: false });
const body = document.getElementById("run-body") ?? document.body;
if (!run) new MutationObserver(look).observe(body, { childList: true });
look();
