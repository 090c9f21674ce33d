// Draws the figures in the reader's theme, switches the lookback window, and makes the page ready for paper.
(function () {
  "use strict";
  const root = document.documentElement;
  const charts = Array.from(document.querySelectorAll(".chart"));
  const options = { displayModeBar: false, responsive: true, showTips: false };
  const PRINT_WIDTH = 660;
  const PRINT_FONT = 11;

  // Figures name CSS variables as colours, so one figure serves every theme.
  function inTheme(value, style) {
    if (typeof value === "string") {
      const match = /^var\((--[\w-]+)\)$/.exec(value);
      return match ? style.getPropertyValue(match[1]).trim() : value;
    }
    if (Array.isArray(value)) {
      return value.map((item) => inTheme(item, style));
    }
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, inTheme(item, style)]));
    }
    return value;
  }

  function draw(width) {
    const style = getComputedStyle(root);
    for (const chart of charts) {
      if (chart.offsetParent === null) continue; // plotly cannot measure what is hidden
      const figure = inTheme(JSON.parse(document.getElementById(chart.dataset.figure).textContent), style);
      if (width) {
        const font = { ...figure.layout.font, size: PRINT_FONT };
        Object.assign(figure.layout, { autosize: false, width: width, font: font });
      }
      // Plotly moves the bands of a flow to their new places over half a second, and paper does not wait for it.
      if (figure.data[0].type === "sankey") Plotly.purge(chart);
      Plotly.react(chart, figure.data, figure.layout, options);
    }
  }

  const choice = document.querySelector(".choice");
  function chooseWindow() {
    const chosen = choice.querySelector("input:checked").value;
    for (const panel of document.querySelectorAll(".panel")) panel.hidden = panel.id !== chosen;
  }
  if (choice) {
    choice.hidden = false;
    chooseWindow();
    choice.addEventListener("change", () => {
      chooseWindow();
      draw();
    });
  }

  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw());

  // What was hidden when it was drawn has no drawing yet.
  for (const details of document.querySelectorAll("details")) {
    details.addEventListener("toggle", () => {
      if (details.open && details.querySelector(".chart")) draw();
    });
  }

  let opened = [];
  window.addEventListener("beforeprint", () => {
    root.classList.add("printing");
    opened = Array.from(document.querySelectorAll("details:not([open], .query)"));
    for (const details of opened) details.open = true;
    draw(PRINT_WIDTH);
  });
  window.addEventListener("afterprint", () => {
    root.classList.remove("printing");
    for (const details of opened) details.open = false;
    draw();
  });

  // The contents say where the reader is.
  const links = new Map(Array.from(document.querySelectorAll("nav a"), (link) => [link.hash.slice(1), link]));
  const near = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        for (const link of links.values()) link.removeAttribute("aria-current");
        links.get(entry.target.id)?.setAttribute("aria-current", "true");
      }
    },
    { rootMargin: "-10% 0px -80% 0px" },
  );
  for (const id of links.keys()) near.observe(document.getElementById(id));

  draw();
  const without = document.getElementById("no-script");
  if (without) without.hidden = true;
})();
