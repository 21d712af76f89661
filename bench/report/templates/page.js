"use strict";
(() => {
  // Sorting: a click on a heading goes ascending, descending, and back to the suite's order.
  const next = { none: "ascending", ascending: "descending", descending: "none" };

  function compare(column, number, direction) {
    return (a, b) => {
      const one = a.row.cells[column], two = b.row.cells[column];
      if (!number) {
        const order = one.textContent.localeCompare(two.textContent, "en", { numeric: true });
        return direction * order || a.place - b.place;
      }
      const x = parseFloat(one.dataset.v), y = parseFloat(two.dataset.v);
      if (isNaN(x) || isNaN(y)) return isNaN(x) - isNaN(y) || a.place - b.place; // missing: last
      return direction * (x - y) || a.place - b.place;
    };
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    const body = table.tBodies[0];
    const rows = Array.from(body.rows, (row, place) => ({ row, place }));
    const headings = Array.from(table.tHead.rows[0].cells);
    headings.forEach((heading, column) => {
      heading.querySelector("button").addEventListener("click", () => {
        const state = next[heading.getAttribute("aria-sort")];
        for (const other of headings) other.setAttribute("aria-sort", "none");
        heading.setAttribute("aria-sort", state);
        const number = heading.classList.contains("number");
        const sorted = rows.slice();
        if (state !== "none") {
          sorted.sort(compare(column, number, state === "ascending" ? 1 : -1));
        }
        body.append(...sorted.map((item) => item.row));
      });
    });
  }

  // Filtering: a variant stays where its rows or what it changes contain every word.
  const field = document.getElementById("filter");
  const told = document.getElementById("shown");
  const parts = Array.from(document.querySelectorAll("[data-variant]"));
  const texts = new Map();
  for (const part of parts) {
    const text = (part.querySelector(".told") || part).textContent.toLowerCase();
    texts.set(part.dataset.variant, `${texts.get(part.dataset.variant) || ""} ${text}`);
  }

  function filter() {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    const kept = new Set();
    for (const [variant, text] of texts) {
      if (words.every((word) => text.includes(word))) kept.add(variant);
    }
    for (const part of parts) part.hidden = !kept.has(part.dataset.variant);
    told.textContent = `${kept.size} of ${texts.size} variants`;
  }

  field.addEventListener("input", filter);
  filter();
})();
