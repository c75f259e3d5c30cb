"use strict";
// Sort and filter the result table. Rows are read once; afterwards they are only moved or hidden.
(() => {
  const table = document.getElementById("table");
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const collator = new Intl.Collator("en", { numeric: true });
  let rows = [...body.rows].map((element) => ({
    element,
    text: element.textContent.toLowerCase(),
    keys: [...element.cells].map((cell, i) => {
      if (!heads[i].classList.contains("number")) return cell.textContent;
      return cell.dataset.sort === "" ? null : Number(cell.dataset.sort);
    }),
  }));

  // a cell without a value stays at the end whichever way the table is sorted
  const compare = (a, b, sign) => {
    if (a === null || b === null) return (a === null) - (b === null);
    return sign * (typeof a === "number" ? a - b : collator.compare(a, b));
  };

  const sortBy = (column) => {
    const head = heads[column];
    const old = head.getAttribute("aria-sort");
    // numbers start with the largest, names with the first
    const first = head.classList.contains("number") ? "descending" : "ascending";
    const other = first === "ascending" ? "descending" : "ascending";
    const order = old === first ? other : first;
    heads.forEach((h) => h.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    rows = rows.slice().sort((a, b) => compare(a.keys[column], b.keys[column], sign));
    body.replaceChildren(...rows.map((row) => row.element));
  };
  heads.forEach((head, i) => {
    head.querySelector("button").addEventListener("click", () => sortBy(i));
  });

  const input = document.getElementById("filter");
  const count = document.getElementById("count");
  const filter = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const keep = words.every((word) => row.text.includes(word));
      row.element.hidden = !keep;
      shown += keep;
    }
    count.textContent = shown === rows.length ? `${shown} rows` : `${shown} of ${rows.length} rows`;
  };
  input.addEventListener("input", filter);
  if (input.value) filter();
})();
