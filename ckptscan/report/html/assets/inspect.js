"use strict";
const columns = JSON.parse(document.getElementById("columns").textContent);
startTree();
startFamilies();
