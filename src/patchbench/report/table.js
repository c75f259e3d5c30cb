"use strict";
// Sort and filter the result table. Of the rows that match, the first few are in the page until all
// are asked for, because laying out thousands of rows is slow. For the same reason, whoever sorts
// or filters anew sees the first few again, and the page comes with the rest in a template, which
// is read but not laid out.
(() => {
  const table = document.getElementById("table");
  const FEW = Number(table.dataset.first);
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const input = document.getElementById("filter");
  const count = document.getElementById("count");
  const more = document.getElementById("more");
  const collator = new Intl.Collator("en", { numeric: true });
  const rest = document.getElementById("rest");
  const found = [...body.rows, ...(rest ? rest.content.querySelectorAll("tr") : [])];
  let rows = found.map((element) => ({ element, text: null }));
  let limit = FEW;

  // place of every row in the ascending order of a column, equal ones alike; worked out once, since
  // comparing names is slow. A cell without a value has none.
  const ranked = new Map();
  const ranksOf = (column) => {
    if (ranked.has(column)) return ranked.get(column);
    const isNumber = heads[column].classList.contains("number");
    const keys = new Map(rows.map(({ element }) => {
      const cell = element.cells[column];
      return [element, isNumber ? cell.dataset.sort : cell.textContent];
    }));
    const distinct = [...new Set(keys.values())].filter((key) => !isNumber || key !== "");
    distinct.sort(isNumber ? (a, b) => a - b : collator.compare);
    const places = new Map(distinct.map((key, i) => [key, i]));
    ranked.set(column, new Map([...keys].map(([element, key]) => [element, places.get(key)])));
    return ranked.get(column);
  };

  // a row's words are read when first looked for, so that the page opens without it
  const wordsOf = (row) => (row.text ??= row.element.textContent.toLowerCase());
  const show = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const kept = rows.filter((row) => words.every((word) => wordsOf(row).includes(word)));
    body.replaceChildren(...kept.slice(0, limit).map((row) => row.element));
    const total = `${rows.length} ${rows.length === 1 ? "row" : "rows"}`;
    count.textContent = kept.length === rows.length ? total : `${kept.length} of ${total}`;
    more.hidden = kept.length <= limit;
    more.textContent = `Show all ${kept.length} rows`;
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
    const [sign, ranks] = [order === "ascending" ? 1 : -1, ranksOf(column)];
    // a cell without a value stays at the end whichever way the table is sorted
    const place = (rank) => (rank === undefined ? Infinity : sign * rank);
    const placed = rows.map((row) => [place(ranks.get(row.element)), row]);
    placed.sort(([a], [b]) => (a === b ? 0 : a - b));
    rows = placed.map(([, row]) => row);
    showFirst();
  };

  const showFirst = () => {
    limit = FEW;
    show();
  };

  heads.forEach((head, i) => {
    head.querySelector("button").addEventListener("click", () => sortBy(i));
  });
  input.addEventListener("input", showFirst);
  more.addEventListener("click", () => {
    limit = Infinity;
    show();
  });
  show();

  // places are worked out while nobody waits, a column at a time, so that the first sort is quick, too
  const prepare = (column) => {
    if (column === heads.length) return;
    ranksOf(column);
    later(() => prepare(column + 1));
  };
  const later = window.requestIdleCallback ?? ((act) => setTimeout(act, 50));
  later(() => prepare(0));
})();
