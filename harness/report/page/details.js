// The dialog of a cell, and the small distribution beside a time. Built from texts, never from markup.

const dialog = document.getElementById("details");
const peek = document.getElementById("peek");

/** An element with attributes and children; a string child becomes text. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function listOf(title, items, kind) {
  if (!items.length) return "";
  return make("div", { class: "remarks " + kind }, make("h3", {}, title),
    make("ul", {}, ...items.map((item) => make("li", {}, item))));
}

/** A table in a box that scrolls; the first cell of a row is its head. */
function tableOf(label, heads, rows, numbers = false) {
  const kind = numbers ? { class: "num" } : {};
  const head = heads.length ? [make("thead", {}, make("tr", {}, ...heads.map((text, i) =>
    make("th", { scope: "col", ...(i ? kind : {}) }, text))))] : [];
  const body = make("tbody", {}, ...rows.map(([first, ...others]) =>
    make("tr", {}, make("th", { scope: "row" }, first), ...others.map((text) => make("td", kind, text)))));
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label },
    make("table", {}, ...head, body));
}

function fold(title, content, open = false) {
  return make("details", open ? { open: "" } : {}, make("summary", {}, title), content);
}

function samplesNote(samples) {
  const outside = [samples.below && `${samples.below} below`, samples.above && `${samples.above} above`].filter(Boolean);
  return `${samples.n.toLocaleString("en")} timed runs in ${samples.counts[0].length} bins, a shade for each process; ` +
    "the dashed line is the median of all." +
    (outside.length ? ` Outliers not drawn: ${outside.join(", ")} the bins.` : "");
}

function distributionOf(cell) {
  if (!cell.samples) return make("p", { class: "empty" }, "No timed runs are stored for this cell.");
  const chart = make("div", { class: "plot", role: "img", "aria-label": "Histogram of the timed runs; the table has its percentiles" });
  const heads = cell.samples.quantiles.map(([name]) => name + " ms");
  const values = cell.samples.quantiles.map(([, value]) => significant(value));
  const table = make("table", { class: "quantiles" },
    make("thead", {}, make("tr", {}, ...heads.map((head) => make("th", { scope: "col", class: "num" }, head)))),
    make("tbody", {}, make("tr", {}, ...values.map((value) => make("td", { class: "num" }, value)))));
  const parts = [make("h3", {}, "Distribution of the raw samples"), chart, table,
    make("p", { class: "hint" }, samplesNote(cell.samples) + (cell.emulated ? " These are an emulator's times." : ""))];
  return make("div", {}, ...parts.slice(0, 2), make("div", { class: "scroll", tabindex: "0", role: "region",
    "aria-label": "Percentiles" }, table), parts[3]);
}

function openDetails(key) {
  const cell = DATA.cells[key];
  if (!cell) return;
  hidePeek();
  document.getElementById("details-title").textContent = cell.title;
  const facts = tableOf("Facts of the device", ["fact", "before", "after"], cell.facts);
  facts.querySelectorAll("tbody tr").forEach((row, i) => row.classList.toggle("changed", cell.facts[i][1] !== cell.facts[i][2]));
  document.getElementById("details-body").replaceChildren(
    make("p", {}, make("span", { class: "verdict " + cell.verdict }, cell.verdict),
      ...(cell.emulated ? [" ", make("span", { class: "verdict" }, "emulated")] : [])),
    listOf("Reasons", cell.reasons, "bad"), listOf("Warnings", cell.warnings, "warn"), distributionOf(cell),
    fold("Figures and hashes", tableOf("Figures", [], cell.figures), true),
    fold("Run and settings", tableOf("Run", [], DATA.runs[cell.run])),
    fold("Device, before and after the trial", facts),
    fold("Processes", tableOf("Processes", DATA.process_heads, cell.processes, true)));
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
  const chart = dialog.querySelector(".plot");
  if (chart) plot(chart, () => distributionChart(cell.samples, 260));
}

function showPeek(button) {
  const cell = DATA.cells[button.dataset.cell];
  if (!cell?.samples || dialog.open) return;
  const chart = make("div", { class: "plot" });
  const line = cell.samples.quantiles.map(([name, value]) => `${name} ${significant(value)}`).join(" · ");
  peek.replaceChildren(make("p", {}, make("strong", {}, cell.title)), chart, make("p", {}, line + " ms"));
  peek.hidden = false;
  const box = button.getBoundingClientRect();
  const left = Math.min(box.left, document.documentElement.clientWidth - peek.offsetWidth - 8);
  peek.style.left = Math.max(left, 8) + "px";
  plot(chart, () => distributionChart(cell.samples, 150));
  const below = box.bottom + 6;
  peek.style.top = (below + peek.offsetHeight < window.innerHeight ? below : Math.max(box.top - peek.offsetHeight - 6, 8)) + "px";
  button.setAttribute("aria-describedby", "peek");
}

function hidePeek() {
  peek.hidden = true;
  document.querySelector("[aria-describedby=peek]")?.removeAttribute("aria-describedby");
}
