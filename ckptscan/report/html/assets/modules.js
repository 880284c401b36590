"use strict";
// The same modules as a table that unfolds.

const MOST_ROWS = 200; // of one module
const FIRST_ROWS = 30; // unfolded at the start

class TreeTable {
  constructor(columns, root, place) {
    this.columns = columns;
    this.root = root;
    this.open = new Set([root]);
    this.limits = new Map();
    const heads = ["module", "shape", "dtype", "tensors", "elements", "bytes", "share"];
    const cells = heads.map((head, at) =>
      make("th", { scope: "col", class: at > 2 ? "figure" : null }, head),
    );
    this.body = make("tbody");
    const caption = make("caption", {}, "Modules with their tensors, elements and bytes");
    const table = make("table", {}, caption, make("thead", {}, make("tr", {}, ...cells)), this.body);
    const label = "Modules as a table";
    place.append(
      make("div", { class: "controls" },
        button("Unfold one level", () => this.unfold()), button("Fold", () => this.fold())),
      make("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": label }, table),
    );
    this.unfoldFirst();
    this.draw();
  }

  /** Open the modules from the top, as many as a screen holds. */
  unfoldFirst() {
    let rows = this.root.children.length;
    let level = this.root.children;
    while (level.length && rows < FIRST_ROWS) {
      const next = level.flatMap((node) => node.children);
      if (rows + next.length > FIRST_ROWS * 2) return;
      level.filter((node) => node.children.length).forEach((node) => this.open.add(node));
      rows += next.length;
      level = next;
    }
  }

  unfold() {
    const shown = this.rows().filter((row) => row.node);
    shown.slice(0, MOST_ROWS).forEach(({ node }) => this.open.add(node));
    this.draw();
  }

  fold() {
    this.open = new Set([this.root]);
    this.draw();
  }

  /** The rows that are to be seen, top to bottom, with how many are held back. */
  rows() {
    const found = [];
    const add = (parent) => {
      const limit = this.limits.get(parent) || MOST_ROWS;
      for (const node of parent.children.slice(0, limit)) {
        found.push({ node });
        if (this.open.has(node)) add(node);
      }
      const rest = parent.children.length - limit;
      if (rest > 0) found.push({ parent, rest });
    };
    add(this.root);
    return found;
  }

  draw() {
    this.body.replaceChildren(...this.rows().map((row) => (row.node ? this.row(row.node) : this.more(row))));
  }

  row(node) {
    const { tree, dtypes, shapes } = this.columns;
    const place = node.place;
    const isOpen = this.open.has(node);
    const label = `${isOpen ? "Fold" : "Unfold"} ${node.label}`;
    const toggle = node.children.length
      ? button(isOpen ? "\u2212" : "+", () => this.turn(node), {
          class: "toggle", "aria-expanded": String(isOpen), "aria-label": label })
      : make("span", { class: "leaf" });
    const name = make("div", { class: `depth-${Math.min(node.depth, 8)}` }, toggle, named(node.label));
    const figures = [count(tree.tensors[place]), count(tree.elements[place]),
      size(tree.bytes[place]), share(tree.bytes[place], this.root.total)];
    return make("tr", { "data-place": place },
      make("th", { scope: "row" }, name),
      make("td", { class: "whole" }, node.isTensor ? shapes[tree.shape[place]] : ""),
      make("td", {}, node.isTensor ? dtypes[tree.dtype[place]] : ""),
      ...figures.map((figure) => make("td", { class: "figure" }, figure)));
  }

  turn(node) {
    if (this.open.has(node)) this.open.delete(node);
    else this.open.add(node);
    this.draw();
    const again = this.body.querySelector(`[data-place="${node.place}"] button`);
    if (again) again.focus();
  }

  more({ parent, rest }) {
    const limit = this.limits.get(parent) || MOST_ROWS;
    const label = `${count(Math.min(rest, MOST_ROWS))} more of ${count(rest)}`;
    const chosen = button(label, () => {
      this.limits.set(parent, limit + MOST_ROWS);
      this.draw();
    });
    return make("tr", {}, make("td", { colspan: 7 }, chosen));
  }
}
