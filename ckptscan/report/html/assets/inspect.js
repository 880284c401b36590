"use strict";
// Starts what the page of a checkpoint shows by scripts.

const columns = JSON.parse(document.getElementById("columns").textContent);

function startTree() {
  const place = document.getElementById("tree");
  if (!place) return;
  const root = readTree(columns);
  new Treemap(columns, root, place);
  new TreeTable(columns, root, place);
}

startTree();
startFamilies();
