"use strict";
// Sort and filter the result table. Rows are read once; of those that match, the first few are in
// the page until all are asked for, because laying out thousands of rows is slow.
(() => {
  const FEW = 200;
  const table = document.getElementById("table");
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const input = document.getElementById("filter");
  const count = document.getElementById("count");
  const more = document.getElementById("more");
  const collator = new Intl.Collator("en", { numeric: true });
  const key = (cell, i) => {
    if (!heads[i].classList.contains("number")) return cell.textContent;
    return cell.dataset.sort === "" ? null : Number(cell.dataset.sort);
  };
  let rows = [...body.rows].map((element) => ({
    element,
    text: element.textContent.toLowerCase(),
    keys: [...element.cells].map(key),
  }));
  let limit = FEW;

  const show = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const kept = rows.filter((row) => words.every((word) => row.text.includes(word)));
    body.replaceChildren(...kept.slice(0, limit).map((row) => row.element));
    const total = `${rows.length} ${rows.length === 1 ? "row" : "rows"}`;
    count.textContent = kept.length === rows.length ? total : `${kept.length} of ${total}`;
    more.hidden = kept.length <= limit;
    more.textContent = `Show all ${kept.length} rows`;
  };

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
    show();
  };

  heads.forEach((head, i) => {
    head.querySelector("button").addEventListener("click", () => sortBy(i));
  });
  input.addEventListener("input", show);
  more.addEventListener("click", () => {
    limit = Infinity;
    show();
  });
  show();
})();
