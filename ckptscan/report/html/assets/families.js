"use strict";
// Families of tensors: search, filter, sort; the names of a family are made when it is opened.

const FIRST_FAMILIES = 50;
const NAMES_AT_ONCE = 100;
const BY = ["order of names", "bytes", "tensors", "elements"];

/** Digits of each index of a set, `08-12`; 0 where they are not padded. The first is the least. */
function widthOf(set) {
  return /^0\d/.test(set) ? set.split(/[-,]/)[0].length : 0;
}

/** The indices of a set, `0-2,5`, as they stand in names. */
function indicesOf(set) {
  const found = [];
  for (const part of set ? set.split(",") : []) {
    const [first, last = first] = part.split("-");
    for (let index = Number(first); index <= Number(last); index += 1) found.push(index);
  }
  return found.map((index) => String(index).padStart(widthOf(set), "0"));
}

class Families {
  constructor(columns, place) {
    this.columns = columns;
    this.held = columns.families;
    this.patterns = this.held.pieces.map((pieces) => pieces.join("*"));
    this.texts = this.patterns.map((pattern, at) => this.text(pattern, at));
    this.asked = { words: [], part: -1, dtype: -1, by: 0 };
    this.limit = FIRST_FAMILIES;
    this.search = make("input", { type: "search", placeholder: "layers.3 mlp, norm, BF16 ..." });
    this.search.addEventListener("input", settled(() => this.ask({
      words: this.search.value.toLowerCase().split(/\s+/).filter(Boolean) })));
    this.status = make("p", { class: "status", role: "status" });
    this.body = make("tbody", { id: "families-rows" });
    this.next = button("", () => {
      this.limit += FIRST_FAMILIES * 4;
      this.draw();
    });
    place.append(this.controls(), this.status, this.table(), this.next);
    this.ask({});
  }

  text(pattern, at) {
    const { roles, dtypes, parts, part_of: partOf } = this.columns;
    const role = this.held.role[at];
    const words = [pattern, roles[role], parts[partOf[role]], dtypes[this.held.dtype[at]]];
    return words.join(" ").toLowerCase();
  }

  controls() {
    const { parts, dtypes } = this.columns;
    return make("div", { class: "controls", role: "search", "aria-label": "Families" },
      make("label", { class: "wide" }, "Search", this.search),
      choice("Part", ["all", ...parts], (chosen) => this.ask({ part: chosen - 1 })),
      choice("Dtype", ["all", ...dtypes], (chosen) => this.ask({ dtype: chosen - 1 })),
      choice("Sort by", BY, (chosen) => this.ask({ by: chosen })));
  }

  table() {
    const heads = ["pattern", "indices", "role", "dtype", "shape", "tensors", "elements", "bytes"];
    const cells = heads.map((head, at) =>
      make("th", { scope: "col", class: at > 4 ? "figure" : null }, head));
    const caption = make("caption", {}, "Families of tensors that share pattern, dtype and shape");
    const table = make("table", {}, caption, make("thead", {}, make("tr", {}, ...cells)), this.body);
    const label = "Families of tensors";
    return make("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": label }, table);
  }

  /** Change what is asked for, and show what answers it. */
  ask(changes) {
    Object.assign(this.asked, changes);
    this.limit = FIRST_FAMILIES;
    const found = [];
    for (let at = 0; at < this.patterns.length; at += 1) if (this.answers(at)) found.push(at);
    this.found = found.sort(this.order());
    this.draw();
  }

  order() {
    const column = [null, this.held.bytes, this.held.count, this.held.elements][this.asked.by];
    if (!column) return (one, other) => one - other;
    return (one, other) => Number(column[other]) - Number(column[one]) || one - other;
  }

  answers(at) {
    const { words, part, dtype } = this.asked;
    if (dtype >= 0 && this.held.dtype[at] !== dtype) return false;
    if (part >= 0 && this.columns.part_of[this.held.role[at]] !== part) return false;
    const open = words.filter((word) => !this.texts[at].includes(word));
    if (!open.length) return true;
    if (!open.every((word) => /\d/.test(word))) return false;
    return !this.names(at, open).next().done;
  }

  /** The names of a family that hold these words, in order. */
  *names(at, words) {
    const pieces = this.held.pieces[at];
    for (const indices of this.instances(at)) {
      let name = pieces[0];
      indices.forEach((index, place) => {
        name += index + pieces[place + 1];
      });
      const lower = words.length ? name.toLowerCase() : "";
      if (words.every((word) => lower.includes(word))) yield name;
    }
  }

  *instances(at) {
    const sets = this.held.axes[at];
    const listed = this.held.instances[at];
    if (listed) {
      for (const one of listed) {
        yield one.map((index, place) => String(index).padStart(widthOf(sets[place]), "0"));
      }
      return;
    }
    const axes = sets.map(indicesOf);
    const total = axes.reduce((product, axis) => product * axis.length, 1);
    for (let number = 0; number < total; number += 1) {
      let rest = number;
      const indices = new Array(axes.length);
      for (let place = axes.length - 1; place >= 0; place -= 1) {
        indices[place] = axes[place][rest % axes[place].length];
        rest = Math.floor(rest / axes[place].length);
      }
      yield indices;
    }
  }

  draw() {
    const shown = this.found.slice(0, this.limit);
    this.body.replaceChildren(...shown.map((at) => this.row(at)));
    const sum = (column, places) => places.reduce((total, at) => total + Number(column[at]), 0);
    const tensors = sum(this.held.count, this.found);
    this.status.textContent = `${count(this.found.length)} of ${count(this.patterns.length)} families, `
      + `${count(tensors)} tensors, ${size(sum(this.held.bytes, this.found))}`;
    const rest = this.found.length - shown.length;
    this.next.hidden = rest <= 0;
    this.next.textContent = `${count(rest)} more families`;
  }

  row(at) {
    const { roles, dtypes, shapes } = this.columns;
    const held = this.held;
    const toggle = button("+", () => this.turn(row, toggle, at), {
      class: "toggle", "aria-expanded": "false", "aria-label": `Names of ${this.patterns[at]}` });
    const cells = [indices(held.axes[at]), roles[held.role[at]], dtypes[held.dtype[at]]];
    const figures = [count(held.count[at]), count(held.elements[at]), size(held.bytes[at])];
    const row = make("tr", {},
      make("th", { scope: "row" }, make("div", {}, toggle, named(this.patterns[at]))),
      ...cells.map((cell) => make("td", {}, cell)),
      make("td", { class: "whole" }, shapes[held.shape[at]]),
      ...figures.map((figure) => make("td", { class: "figure" }, figure)));
    return row;
  }

  /** Open or close the names of a family, below its row. */
  turn(row, toggle, at) {
    const isOpen = toggle.getAttribute("aria-expanded") === "true";
    toggle.setAttribute("aria-expanded", String(!isOpen));
    toggle.textContent = isOpen ? "+" : "\u2212";
    if (isOpen) row.nextElementSibling.remove();
    else row.after(make("tr", { class: "inner" }, make("td", { colspan: 8 }, ...this.list(at))));
  }

  list(at) {
    const words = this.asked.words.filter((word) => !this.texts[at].includes(word));
    const names = this.names(at, words);
    const list = make("ul", { class: "names" });
    const next = button("more names", () => add());
    const add = () => {
      for (let shown = 0; shown < NAMES_AT_ONCE; shown += 1) {
        const { value, done } = names.next();
        if (done) {
          next.remove();
          return;
        }
        list.append(make("li", {}, value));
      }
    };
    add();
    return list.children.length < NAMES_AT_ONCE ? [list] : [list, next];
  }
}

function startFamilies() {
  const place = document.getElementById("families-list");
  if (place) new Families(columns, place);
}
