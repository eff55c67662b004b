// One function a chart: data of the page → traces, layout, keys of the legend.

function interval(low, value, high) {
  return { plus: high - value, minus: value - low };
}

function tradeoffChart(panel) {
  const models = [...new Set(panel.points.map((point) => point.model))];
  const unit = panel.emulated ? " M instructions" : " ms";
  const arithmetics = [...new Set(panel.points.map((point) => point.arithmetic))];
  const traces = arithmetics.map((arithmetic) => {
    const points = panel.points.filter((point) => point.arithmetic === arithmetic);
    const ends = (low, value, high) => points.map((p) => interval(p[low], p[value], p[high]));
    const bars = (found) => ({ type: "data", array: found.map((e) => e.plus), arrayminus: found.map((e) => e.minus),
      thickness: 1, width: 3, color: seriesColour(arithmetic) });
    return {
      type: "scatter", mode: "markers", name: plain(arithmetic), hoverinfo: "text",
      x: points.map((p) => p.x), y: points.map((p) => p.y), customdata: points.map((p) => p.cell),
      error_x: bars(ends("x_low", "x", "x_high")), error_y: bars(ends("y_low", "y", "y_high")),
      text: points.map((p) => `<b>${plain(p.model)}</b> ${plain(p.arithmetic)}${p.valid ? "" : " (invalid)"}<br>` +
        `top-1 ${p.y.toFixed(3)} [${p.y_low.toFixed(3)}, ${p.y_high.toFixed(3)}]<br>` +
        significant(p.x) + (p.x_low === p.x_high ? "" : ` [${significant(p.x_low)}, ${significant(p.x_high)}]`) + unit),
      marker: { size: 11, color: seriesColour(arithmetic), line: { width: 1.5, color: points.map((p) => (p.valid ? colour("surface") : seriesColour(arithmetic))) },
        symbol: points.map((p) => SYMBOLS[models.indexOf(p.model) % SYMBOLS.length] + (p.valid ? "" : "-open")) },
    };
  });
  const front = { type: "scatter", mode: "lines", name: "Pareto front", hoverinfo: "skip",
    x: panel.front.map((point) => point[0]), y: panel.front.map((point) => point[1]),
    line: { shape: "hv", dash: "dot", width: 2, color: colour("muted") } };
  const keys = [...arithmeticKeys(arithmetics, "●"), ["┈", colour("muted"), "Pareto front"],
    ...(models.length < 2 ? [] : models.map((model, i) => [GLYPHS[i % GLYPHS.length], colour("muted"), model]))];
  return [[front, ...traces], layoutOf({
    height: 340,
    xaxis: { title: axisTitle(panel.axis), ...scaleFor(panel.points.map((point) => point.x)) },
    yaxis: { title: axisTitle("top-1 accuracy"), tickformat: ".3~f", nticks: 7 },
  }), keys];
}

function sizesChart() {
  const models = [...new Set(DATA.sizes.map((size) => size.model))];
  const found = [...new Set(DATA.sizes.map((size) => size.arithmetic))];
  const traces = found.map((arithmetic) => {
    const files = DATA.sizes.filter((size) => size.arithmetic === arithmetic);
    return {
      type: "bar", orientation: "h", name: plain(arithmetic), hoverinfo: "text", textposition: "outside", cliponaxis: false,
      x: files.map((file) => file.bytes / 1e6), y: files.map((file) => models.indexOf(file.model)),
      customdata: files.map((file) => file.cell), marker: { color: seriesColour(arithmetic) },
      text: files.map((file) => significant(file.bytes / 1e6)), textfont: { color: colour("muted"), size: 11 },
      hovertext: files.map((file) => `<b>${plain(file.model)}</b> ${plain(arithmetic)}<br>${file.bytes.toLocaleString("en")} bytes` +
        (file.compressed === null ? "" : `<br>${file.compressed.toLocaleString("en")} bytes compressed`)),
    };
  });
  return [traces, layoutOf({
    height: 60 + models.length * (26 * found.length + 14), bargap: 0.22, bargroupgap: 0.12, margin: { l: 12, r: 48, t: 8, b: 12 },
    xaxis: { title: axisTitle("model file, MB (millions of bytes)"), rangemode: "tozero" },
    yaxis: { ...categories(models, narrow() ? 16 : 32), autorange: "reversed" },
  }), arithmeticKeys(found)];
}

function categories(names, length, atStart = false) {
  return { tickmode: "array", tickvals: names.map((_, i) => i),
    ticktext: names.map((name) => plain(short(name, length, atStart))),
    showgrid: false, zeroline: false };
}

const MOST_LAYERS = 24;

/** The layers that weigh most, in the order of execution. */
function layersChart(panel) {
  const weight = (row) => Math.max(...Object.values(row.values));
  const least = panel.rows.map(weight).sort((a, b) => b - a)[MOST_LAYERS - 1] ?? 0;
  const rows = panel.rows.filter((row) => weight(row) >= least).slice(0, MOST_LAYERS);
  const same = panel.emulated && rows.every((row) => new Set(Object.values(row.values)).size === 1);
  const traces = (same ? [panel.arithmetics[0]] : panel.arithmetics).map((arithmetic) => ({
    type: "bar", orientation: "h", name: same ? "every arithmetic" : plain(arithmetic), hoverinfo: "text",
    x: rows.map((row) => (same ? weight(row) : row.values[arithmetic] ?? null)), y: rows.map((_, i) => i),
    marker: { color: seriesColour(arithmetic) },
    hovertext: rows.map((row) => `<b>${plain(row.name)}</b> ${plain(row.op)}<br>` +
      `${same ? "" : plain(arithmetic) + ": "}${significant(row.values[arithmetic] ?? weight(row))}`),
  }));
  const keys = same ? [["■", seriesColour(panel.arithmetics[0]), "every arithmetic"]] : arithmeticKeys(panel.arithmetics);
  if (rows.length < panel.rows.length) keys.push(["", "", `the ${rows.length} largest of ${panel.rows.length} layers`]);
  return [traces, layoutOf({
    height: 60 + rows.length * (same ? 20 : 9 * traces.length + 8), bargap: 0.25, bargroupgap: 0.05,
    xaxis: { title: axisTitle(panel.axis), rangemode: "tozero" },
    yaxis: { ...categories(rows.map((row) => row.name), narrow() ? 18 : 40, true), autorange: "reversed" },
  }), keys];
}

function historyChart(panel) {
  const first = new Map();
  for (const point of panel.lines.flatMap((line) => line.points)) {
    if (!first.has(point.release) || point.started < first.get(point.release)) first.set(point.release, point.started);
  }
  const releases = [...first.keys()].sort((a, b) => first.get(a).localeCompare(first.get(b)));
  const traces = panel.lines.map((line) => ({
    type: "scatter", mode: "lines+markers+text", name: plain(line.arithmetic), hoverinfo: "text", cliponaxis: false,
    x: line.points.map((p) => releases.indexOf(p.release)), y: line.points.map((p) => p.value),
    customdata: line.points.map((p) => p.cell), line: { color: seriesColour(line.arithmetic), width: 2 },
    marker: { color: seriesColour(line.arithmetic), size: line.points.map((p) => (p.change ? 13 : 7)),
      opacity: 1, line: { width: 0 }, symbol: line.points.map((p) => (p.change ? "diamond" : "circle")) },
    text: line.points.map((p) => p.change ?? ""), textposition: "top center", textfont: { size: 11, color: colour("text") },
    hovertext: line.points.map((p) => `<b>${plain(p.release)}</b> ${plain(line.arithmetic)}<br>${significant(p.value)}` +
      (p.change ? `<br>change point: ${plain(p.change)}` : "") + `<br>${plain(p.started)}`),
  }));
  const values = panel.lines.flatMap((line) => line.points.map((point) => point.value));
  const every = Math.ceil(releases.length / (narrow() ? 5 : 9));
  const labelled = releases.map((_, i) => i).filter((i) => (releases.length - 1 - i) % every === 0);
  return [traces, layoutOf({
    height: 320,
    xaxis: { tickmode: "array", tickvals: labelled, ticktext: labelled.map((i) => plain(short(releases[i], 14))),
      showgrid: false, zeroline: false, range: [-0.4, releases.length - 0.6] },
    yaxis: { title: axisTitle(panel.axis), ...scaleFor(values) },
  }), arithmeticKeys(panel.lines.map((line) => line.arithmetic), "●")];
}

/** The runs of a cell in bins, a shade a process. */
function distributionChart(samples, height) {
  const alpha = (i) => Math.round(255 * (1 - (0.75 * i) / samples.counts.length));
  const shade = (i) => colour("series-0") + alpha(i).toString(16).padStart(2, "0");
  const centres = samples.counts[0].map((_, i) => samples.low + (i + 0.5) * samples.width);
  const traces = samples.counts.map((counts, i) => ({
    type: "bar", x: centres, y: counts, width: samples.width, name: `process ${i + 1}`, hoverinfo: "text",
    marker: { color: shade(i), line: { width: 0 } },
    hovertext: counts.map((n, bin) => `${n} runs of process ${i + 1}<br>${significant(samples.low + bin * samples.width)} to ` +
      `${significant(samples.low + (bin + 1) * samples.width)} ms`),
  }));
  const median = samples.quantiles.find(([name]) => name === "median")[1];
  return [traces, layoutOf({
    height, barmode: "stack", bargap: 0,
    shapes: [{ type: "line", x0: median, x1: median, y0: 0, y1: 1, yref: "paper",
      line: { color: colour("text"), width: 1.5, dash: "dash" } }],
    xaxis: { title: axisTitle("ms"), nticks: height > 200 ? 8 : 4, showgrid: false },
    yaxis: { title: height > 200 ? axisTitle("runs") : undefined, nticks: 4 },
  }), height > 200 ? samples.counts.map((_, i) => ["■", shade(i), `process ${i + 1}`]) : []];
}

const CHARTS = {
  tradeoff: (index) => tradeoffChart(DATA.tradeoffs[index]),
  sizes: sizesChart,
  layers: (index) => layersChart(DATA.layers[index]),
  history: (index) => historyChart(DATA.history[index]),
};
