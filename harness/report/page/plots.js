// What all charts share. Texts reach the plotting library escaped, because it understands some markup.
"use strict";
const DATA = JSON.parse(document.getElementById("data").textContent);
const OPTIONS = { displayModeBar: false, doubleClick: false };
const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "cross", "star"];
const GLYPHS = ["●", "■", "◆", "▲", "✚", "★"]; // the same, in a legend

/** Text as the plotting library shows it: no tags, no entities. */
function plain(text) {
  return String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

/** At most `length` characters, the end cut off; or the beginning, where names differ at the end. */
function short(text, length, atStart = false) {
  const all = [...text];
  if (all.length <= length) return text;
  return atStart ? "…" + all.slice(1 - length).join("") : all.slice(0, length - 1).join("") + "…";
}

/** Three significant digits, as in the table. */
function significant(value) {
  if (value === 0) return "0";
  const decimals = 2 - Math.floor(Math.log10(Math.abs(value)));
  return value.toFixed(Math.min(Math.max(decimals, 0), 12));
}

/** A colour of the style sheet, in the theme of now. */
function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
}

/** Every arithmetic keeps its colour on the whole page. */
const ARITHMETICS = [...new Set([
  ...DATA.sizes.map((size) => size.arithmetic),
  ...DATA.layers.flatMap((panel) => panel.arithmetics),
  ...DATA.tradeoffs.flatMap((panel) => panel.points.map((point) => point.arithmetic)),
  ...DATA.history.flatMap((panel) => panel.lines.map((line) => line.arithmetic)),
])];
function seriesColour(arithmetic) {
  return colour("series-" + (ARITHMETICS.indexOf(arithmetic) % 6));
}

function narrow() {
  return window.innerWidth < 600;
}

/** The layout that charts start from: colours of the theme, no frame, room for the labels. */
function layoutOf(changes) {
  const axis = { gridcolor: colour("line"), zerolinecolor: colour("line"), linecolor: colour("line"),
    automargin: true, fixedrange: true, ticks: "outside", tickcolor: colour("line"), ticklen: 4 };
  const { xaxis, yaxis, ...rest } = changes;
  return {
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("text") },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", dragmode: false, hovermode: "closest",
    margin: { l: 12, r: 16, t: 8, b: 12 }, height: 340,
    hoverlabel: { bgcolor: colour("raised"), bordercolor: colour("line"), align: "left",
      font: { color: colour("text"), size: 12 } },
    showlegend: false,
    xaxis: { ...axis, ...xaxis }, yaxis: { ...axis, ...yaxis }, ...rest,
  };
}

function axisTitle(text, standoff = 8) {
  return { text: plain(text), font: { size: 12, color: colour("muted") }, standoff };
}

/** A time spans decades between a small model and a large one: then a logarithmic axis. */
function scaleFor(values) {
  const known = values.filter((value) => value > 0);
  const wide = known.length === values.length && Math.max(...known) > 20 * Math.min(...known);
  return wide ? { type: "log", dtick: "D2" } : { rangemode: "tozero" };
}

/** A legend's entries for arithmetics: [glyph, colour, text]. */
function arithmeticKeys(arithmetics, glyph = "■") {
  return arithmetics.map((arithmetic) => [glyph, seriesColour(arithmetic), arithmetic]);
}

/** A list of text, which wraps on a phone as the library's own legend does not. */
function legendOf(keys) {
  const list = document.createElement("ul");
  list.className = "legend";
  for (const [glyph, shade, text] of keys) {
    const item = list.appendChild(document.createElement("li"));
    const mark = item.appendChild(document.createElement("span"));
    mark.style.color = shade;
    mark.setAttribute("aria-hidden", "true");
    mark.textContent = glyph;
    item.append(" ", text);
  }
  return list;
}

const drawn = new Map(); // element → the function that says what is drawn there

/** Draws what `chart()` says: traces, layout and keys of the legend, which stands above. */
function plot(element, chart) {
  const [traces, layout, keys] = chart();
  if (element.previousElementSibling?.className === "legend") element.previousElementSibling.remove();
  if (keys.length > 1) element.before(legendOf(keys));
  element.style.minHeight = layout.height + "px";
  Plotly.react(element, traces, { ...layout, width: element.clientWidth }, OPTIONS);
  if (!drawn.has(element)) {
    forgetClosed();
    element.dataset.drawn = "true";
    element.on("plotly_click", (event) => openDetails(event.points[0].customdata)); // a mark's cell
    widths.observe(element);
  }
  drawn.set(element, chart);
}

/** Charts of a dialog or a tooltip that has since been filled anew. */
function forgetClosed() {
  for (const element of [...drawn.keys()].filter((old) => !old.isConnected)) {
    widths.unobserve(element);
    drawn.delete(element);
  }
}

/** Draws everything anew, for other colours. */
function drawAgain() {
  forgetClosed();
  for (const [element, chart] of [...drawn]) {
    if (element.clientWidth) plot(element, chart);
  }
}

const widths = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const other = target.clientWidth && target.clientWidth !== target.layout?.width;
    if (other && drawn.has(target)) plot(target, drawn.get(target));
  }
});
