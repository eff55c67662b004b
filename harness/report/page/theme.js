// Before anything is drawn, so that a dark page does not flash white: the reader's choice, else the system's.
(function () {
  let chosen = null;
  try { chosen = localStorage.getItem("quantbench-theme"); } catch { /* a browser may forbid it for files */ }
  const dark = window.matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = chosen || (dark ? "dark" : "light");
})();
