// Draws architecture.svg, the picture of README.md:   node .readme/architecture.mjs
// It follows the reader's light or dark page, and needs nothing.
import fs from "node:fs";

const parts = [];
const text = (x, y, words, kind = "name", anchor = "middle") => parts.push(`<text x="${x}" y="${y}" class="${kind}" text-anchor="${anchor}">${words}</text>`);
const box = (x, y, w, h, name, lines = [], kind = "box") => {
  parts.push(`<rect x="${x}" y="${y}" width="${w}" height="${h}" rx="8" class="${kind}"/>`);
  const top = y + h / 2 - (lines.length * 17) / 2 + 5;
  text(x + w / 2, top, name);
  lines.forEach((line, i) => text(x + w / 2, top + 18 + i * 16, line, "note"));
};
const arrow = (d, words, x, y, anchor) => {
  parts.push(`<path d="${d}" class="line" marker-end="url(#tip)"/>`);
  if (words) text(x, y, words, "note", anchor);
};

// Who asks.
box(36, 20, 190, 62, "Browser", ["pages, live steps, console"], "edge");
box(256, 20, 190, 62, "Programs", ["HTTP interface, WebSocket"], "edge");
box(670, 20, 174, 62, "Terminal", ["mqttdoctor check"], "edge");

// The server.
parts.push(`<rect x="20" y="126" width="604" height="132" rx="12" class="group"/>`);
text(36, 148, "the server", "note", "start");
box(36, 160, 128, 80, "templates", ["HTML, Markdown"]);
box(196, 160, 128, 80, "handlers", ["pages, interface"]);
box(356, 160, 128, 80, "web", ["runs, limits, owners"]);
box(516, 160, 92, 80, "archive", ["SQLite or", "PostgreSQL"]);
arrow("M131 82 V104 H240 V158");
arrow("M351 82 V104 H280 V158");
arrow("M196 200 H166");
arrow("M324 200 H354");
arrow("M484 200 H514");

// A diagnosis.
parts.push(`<rect x="20" y="304" width="840" height="236" rx="12" class="group"/>`);
text(36, 328, "diag: what a diagnosis is; knows nothing of the server", "note", "start");
arrow("M420 240 V302", "runs, cancels, follows", 432, 286, "start");
arrow("M757 82 V302", "the same diagnosis", 747, 200, "end");
const row = 350;
box(36, row, 128, 72, "Plan", ["target, symptom"]);
box(196, row, 128, 72, "probes", ["all I/O, side by side"]);
box(356, row, 148, 72, "observations", ["typed, no opinion"]);
box(536, row, 128, 72, "rules", ["pure functions"]);
box(696, row, 148, 72, "Report", ["one root cause,", "the others ruled out"]);
for (const [from, to] of [[164, 194], [324, 354], [504, 534], [664, 694]]) arrow(`M${from} ${row + 36} H${to}`);
box(36, 458, 128, 62, "relay, trace", ["console’s packets"]);
box(196, 458, 128, 62, "guard", ["the only dialler"]);
box(366, 458, 128, 62, "live", ["steps as they end"]);
box(696, 458, 148, 62, "catalogue", ["every text, en and zh"]);
arrow("M260 422 V456");
arrow("M430 422 V456");
arrow("M770 422 V456");
arrow("M164 489 H194");

// What is looked at.
box(60, 576, 400, 46, "DNS · network · TCP · TLS · WebSocket · broker", [], "edge");
arrow("M260 520 V574");

fs.writeFileSync(new URL("architecture.svg", import.meta.url), `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 880 642" width="880" height="642" role="img" aria-labelledby="title">
<title id="title">Browser, programs and terminal start a run; probes observe through the guard, rules conclude from observations, the catalogue words the report; the archive keeps it</title>
<style>
svg { font-family: system-ui, -apple-system, "Segoe UI", "Noto Sans", "DejaVu Sans", sans-serif; }
.back { fill: #fff } .group { fill: #f4f5f8; stroke: #d5dae1 } .box { fill: #fff; stroke: #868f9e } .edge { fill: #eeeffc; stroke: #4347bd }
.name { fill: #161b24; font-size: 13.5px; font-weight: 600 } .note { fill: #4a5362; font-size: 12px } .line { fill: none; stroke: #4a5362; stroke-width: 1.4 } .tip { fill: #4a5362 }
@media (prefers-color-scheme: dark) {
.back { fill: #0e1117 } .group { fill: #161a22; stroke: #363e4b } .box { fill: #1e242e; stroke: #6b7585 } .edge { fill: #20223f; stroke: #a5a9ff }
.name { fill: #e9ecf1 } .note { fill: #b0b8c5 } .line { stroke: #b0b8c5 } .tip { fill: #b0b8c5 }
}
</style>
<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto-start-reverse"><path d="M0 0 L8 4 L0 8 z" class="tip"/></marker></defs>
<rect width="880" height="642" class="back" rx="12"/>
${parts.join("\n")}
</svg>
`);
