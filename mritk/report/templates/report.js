"use strict";
// Click on a head sorts by it; a second click turns the order round. What has no value stays last.
for (const table of document.querySelectorAll("table.board")) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") !== "descending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...body.rows];
      const value = (row) => row.cells[column].dataset.value;
      const numeric = rows.every((row) => value(row) === "" || Number.isFinite(Number(value(row))));
      rows.sort((one, other) => {
        const [a, b] = [value(one), value(other)];
        if (a === "" || b === "") return (a === "") - (b === "");
        const order = numeric ? Number(a) - Number(b) : a.localeCompare(b);
        return down ? -order : order;
      });
      body.append(...rows);
    });
  });
}
for (const field of document.querySelectorAll("input[data-filter]")) {
  const tables = field.dataset.filter.split(" ").map((id) => document.getElementById(id));
  field.addEventListener("input", () => {
    const wanted = field.value.trim().toLowerCase();
    for (const table of tables) {
      if (!table) continue;
      for (const row of table.tBodies[0].rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
    }
  });
}
// On paper nothing can be opened; what only a screen shows stays as it is.
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details")) details.open ||= !details.closest(".more");
});
