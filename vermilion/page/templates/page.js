"use strict";

const root = document.documentElement;
const byId = (id) => document.getElementById(id);

// --- theme: the system's, until the button (or #dark, #light in the address) says otherwise

const systemDark = window.matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : systemDark.matches);

function setUpTheme(redraw) {
  const button = byId("theme");
  const show = () => {
    button.textContent = isDark() ? "Light theme" : "Dark theme";
    redraw();
  };
  const asked = window.location.hash.slice(1);
  if (asked === "dark" || asked === "light") root.dataset.theme = asked;
  button.hidden = false;
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    show();
  });
  systemDark.addEventListener("change", show);
  show();
}

// --- charts

const figures = JSON.parse(byId("figures-json").textContent);
const config = { displayModeBar: false, responsive: true, showTips: false };

// plotly travels compressed. The page's policy names the hash of what must come out, so nothing else can run.
async function unpackPlotly() {
  const bytes = Uint8Array.from(atob(byId("plotly").textContent), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.textContent = await new Response(stream).text();
  document.head.append(script);
}

function painted(figure) {
  const style = getComputedStyle(root);
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  const data = figure.data.map((trace) => {
    const own = colour(`chart-${trace.meta}`);
    const marker = { ...trace.marker, color: own };
    if (trace.type === "heatmap") return { ...trace, colorscale: [[0, colour("card")], [1, own]] };
    if (trace.type === "bar") marker.line = { color: colour("card"), width: 1 };
    const bars = {};
    for (const name of ["error_x", "error_y"])
      if (trace[name]) bars[name] = { ...trace[name], color: trace.type === "bar" ? colour("ink") : own };
    return { ...trace, marker, ...(trace.line && { line: { ...trace.line, color: own } }), ...bars };
  });
  const axis = (given) => ({
    automargin: true, fixedrange: true, gridcolor: colour("rule"), linecolor: colour("soft"),
    zerolinecolor: colour("rule"), nticks: 6, ...given,
  });
  const layout = {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", dragmode: false, bargap: 0.15,
    margin: { t: 24, r: 16, b: 44, l: 56 },
    font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: colour("ink") },
    hoverlabel: { bgcolor: colour("card"), bordercolor: colour("soft"), font: { color: colour("ink") } },
    ...figure.layout,
  };
  for (const name of ["xaxis", "yaxis", "yaxis2"]) if (layout[name]) layout[name] = axis(layout[name]);
  return { data, layout };
}

function draw() {
  for (const box of document.querySelectorAll("[data-chart]")) {
    const { data, layout } = painted(figures[box.dataset.chart]);
    box.hidden = false;
    window.Plotly.react(box, data, layout, config);
  }
}

const drawIfReady = () => window.Plotly && draw();

// --- the table of labels: search, sort, pages

const PAGE = 25;

function setUpLabels() {
  const table = byId("label-table");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = [...body.rows].map((row) => ({
    row,
    values: [...row.cells].map((cell, i) => (i ? parseFloat(cell.textContent.replace(/[,<>]/g, "")) : cell.textContent)),
  }));
  const heads = [...table.tHead.rows[0].cells];
  const search = byId("label-search");
  let page = 0;

  function show() {
    const wanted = search.value.trim().toLocaleLowerCase();
    const found = rows.filter(({ values }) => values[0].toLocaleLowerCase().includes(wanted));
    const pages = Math.max(1, Math.ceil(found.length / PAGE));
    page = Math.min(Math.max(page, 0), pages - 1);
    const first = page * PAGE;
    const shown = found.slice(first, first + PAGE);
    body.replaceChildren(...shown.map(({ row }) => row));
    byId("label-place").textContent = found.length
      ? `${first + 1}–${first + shown.length} of ${found.length.toLocaleString("en")}`
      : "no label found";
    byId("label-back").disabled = page === 0;
    byId("label-next").disabled = page === pages - 1;
  }

  function sort(place) {
    const was = heads[place].getAttribute("aria-sort");
    const up = was ? was === "descending" : place === 0;
    heads.forEach((head) => head.removeAttribute("aria-sort"));
    heads[place].setAttribute("aria-sort", up ? "ascending" : "descending");
    const number = (value) => (Number.isNaN(value) ? -1 : value); // a dash comes last
    const compare = place === 0 ? (a, b) => a.localeCompare(b, "en", { numeric: true }) : (a, b) => number(a) - number(b);
    rows.sort((a, b) => (up ? 1 : -1) * compare(a.values[place], b.values[place]));
    page = 0;
    show();
  }

  heads.forEach((head, place) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", () => sort(place));
    head.replaceChildren(button);
  });
  table.caption.textContent = `${table.dataset.title || "Texts by label"}; choose a column's name to sort by it`;
  search.addEventListener("input", () => { page = 0; show(); });
  byId("label-back").addEventListener("click", () => { page -= 1; show(); });
  byId("label-next").addEventListener("click", () => { page += 1; show(); });
  byId("label-tools").hidden = rows.length <= PAGE;
  table.parentElement.classList.remove("tall");
  show();
}

setUpTheme(drawIfReady);
setUpLabels();
// A page without charts does without plotly.
if (byId("plotly")) unpackPlotly().then(draw).catch(() => {
  document.querySelectorAll("[data-chart]").forEach((box) => { box.hidden = true; });
  byId("no-charts").hidden = false;
});
