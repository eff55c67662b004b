// The page itself: draws charts when they come into view, and answers the theme, the filter and the keyboard.

const plots = [...document.querySelectorAll(".plot[data-chart]")];

function draw(element) {
  if (element.closest("[hidden]")) return;
  plot(element, () => CHARTS[element.dataset.chart](Number(element.dataset.index ?? 0)));
}

const seen = new IntersectionObserver((entries) => {
  for (const entry of entries.filter((found) => found.isIntersecting)) {
    draw(entry.target);
    if (entry.target.dataset.drawn) seen.unobserve(entry.target);
  }
}, { rootMargin: "300px" });
plots.forEach((element) => seen.observe(element));

// --- theme ---

const themeButton = document.getElementById("theme");
const root = document.documentElement;

function setTheme(theme) {
  root.dataset.theme = theme;
  themeButton.setAttribute("aria-pressed", String(theme === "dark"));
  drawAgain();
}

themeButton.addEventListener("click", () => {
  const theme = root.dataset.theme === "dark" ? "light" : "dark";
  setTheme(theme);
  try { localStorage.setItem("quantbench-theme", theme); } catch { /* it then holds for this visit */ }
});
setTheme(root.dataset.theme);

let themeOnScreen = root.dataset.theme;
window.addEventListener("beforeprint", () => {
  themeOnScreen = root.dataset.theme;
  root.classList.add("paper"); // of a sheet's width, so that the charts are drawn to fit it
  setTheme("light");
  plots.forEach(draw);
});
window.addEventListener("afterprint", () => {
  root.classList.remove("paper");
  setTheme(themeOnScreen);
});

// --- device filter and choice of layers ---

const boxes = [...document.querySelectorAll(".filter input")];
const layerChoice = document.getElementById("layer-panel");

function shownDevices() {
  return new Set(boxes.filter((box) => box.checked).map((box) => box.value));
}

function showLayerPanel() {
  const shown = shownDevices();
  document.querySelectorAll(".layer-panel").forEach((panel) => {
    const chosen = panel.id === "layer-panel-" + (layerChoice?.value || "0");
    panel.hidden = !chosen || (boxes.length > 0 && !shown.has(panel.dataset.device));
  });
  document.querySelectorAll(".layer-panel:not([hidden]) .plot").forEach(draw);
}

function filter() {
  const shown = shownDevices();
  document.querySelectorAll("[data-device]:not(option):not(.layer-panel)").forEach((element) => {
    element.hidden = !shown.has(element.dataset.device);
  });
  if (layerChoice) {
    const options = [...layerChoice.options];
    options.forEach((option) => { option.disabled = option.hidden = !shown.has(option.dataset.device); });
    if (layerChoice.selectedOptions[0]?.disabled ?? true) {
      layerChoice.value = options.find((option) => !option.disabled)?.value ?? "";
    }
  }
  showLayerPanel();
  document.getElementById("status").textContent = shown.size === boxes.length ? "" : `${shown.size} of ${boxes.length} devices shown`;
}

boxes.forEach((box) => box.addEventListener("change", filter));
layerChoice?.addEventListener("change", showLayerPanel);

// --- details ---

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-cell]");
  if (button) openDetails(button.dataset.cell);
});
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close(); // outside of its content
});

let waiting = 0;
function peekAt(event) {
  const button = event.target.closest?.("[data-clocked] button[data-cell]");
  window.clearTimeout(waiting);
  if (!button) return hidePeek();
  waiting = window.setTimeout(() => showPeek(button), 150);
}
document.addEventListener("mouseover", peekAt);
document.addEventListener("focusin", (event) => event.target.matches(":focus-visible") && peekAt(event));
document.addEventListener("scroll", hidePeek, { passive: true });
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") hidePeek();
});
root.dataset.ready = "true";
