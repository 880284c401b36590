"use strict";
// Memory by module as a treemap to zoom into: with the mouse, or with the buttons around it.

const MOST_TILES = 60; // of one module; the smaller ones are put together
const MOST_BUTTONS = 24; // of what is inside a module; the table below has all
const MOST_SHOWN = 600; // tiles at once
const LEAST_LABEL = 0.012; // of what is shown; a smaller tile has no room for words
const LEAST_HEADING = 0.04;

class Treemap {
  constructor(columns, root, place) {
    this.columns = columns;
    this.root = root;
    this.node = root;
    this.colours = "part";
    this.crumbs = make("nav", { class: "crumbs", "aria-label": "Path in the tree" });
    this.room = make("div", { id: "treemap", role: "img" });
    this.inside = make("ul", { class: "inside", "aria-label": "What is inside, the largest first" });
    this.status = make("p", { class: "status", role: "status" });
    this.legend = make("ul", { class: "legend", "aria-label": "Colours" });
    const how = choice("Colour by", ["part of the model", "dtype"], (chosen) => {
      this.colours = chosen ? "dtype" : "part";
      this.show(this.node);
    });
    const controls = make("div", { class: "controls" }, how);
    place.append(controls, this.legend, this.crumbs, this.room, this.status, this.inside);
    this.chart = echarts.init(this.room, null, { renderer: "canvas", devicePixelRatio: 2 });
    this.chart.on("click", (event) => this.choose(this.root.nodes[event.data && event.data.place]));
    new ResizeObserver(() => this.chart.resize()).observe(this.room);
    document.addEventListener("theme", () => this.show(this.node));
    window.addEventListener("beforeprint", () => this.chart.resize());
    this.show(root);
  }

  /** Zoom into a module; of a tensor tell what it is. */
  choose(node) {
    if (!node) return;
    if (node.children.length) this.show(node);
    else if (node.parent !== this.node) this.show(node.parent);
    this.tell(node);
  }

  /** Zoom as a key asked for it: the focus stays, on the step where one is now. */
  enter(node) {
    this.show(node);
    this.crumbs.querySelector("[aria-current]").focus();
  }

  /** A button for a tile: into a module; of a tensor it tells what it is. */
  door(child) {
    const isModule = child.children.length > 0;
    const kind = isModule ? "" : this.kind(child);
    const action = () => (isModule ? this.enter(child) : this.tell(child));
    return button(`${child.label} ${size(child.total)}`, action, { title: kind || null });
  }

  tell(node) {
    this.status.textContent = this.told(node).join(" ");
  }

  /** The part of the model or the dtype of a tensor, which its colour tells. */
  kind(node) {
    const names = this.colours === "dtype" ? this.columns.dtypes : this.columns.parts;
    return names[this.code(node)];
  }

  show(node) {
    this.node = node;
    this.chart.setOption(this.option(), { notMerge: true });
    this.room.setAttribute("aria-label", `Treemap of ${nameOf(node)}; the table below has all`);
    const steps = pathOf(node).map((one) => {
      const current = one === node ? { "aria-current": "true" } : {};
      return make("li", {}, button(one.label, () => this.enter(one), current));
    });
    this.crumbs.replaceChildren(make("ol", {}, ...steps));
    this.tell(node);
    const within = this.largest(node);
    const rest = within.slice(MOST_BUTTONS);
    const left = rest.reduce((sum, child) => sum + child.total, 0);
    this.inside.replaceChildren(
      ...within.slice(0, MOST_BUTTONS).map((child) => make("li", {}, this.door(child))),
      ...(rest.length ? [make("li", {}, `${count(rest.length)} more, ${size(left)}`)] : []),
    );
    this.tellColours();
  }

  /** What there is to say of a node, in a few sentences. */
  told(node) {
    const { tree, dtypes, shapes, roles } = this.columns;
    const said = [`${nameOf(node)}:`, `${size(node.total)},`];
    said.push(`${share(node.total, this.root.total)} of all, ${count(node.count)} tensors`);
    if (!node.isTensor) return said;
    const place = node.place;
    said.push(`of ${dtypes[tree.dtype[place]]} ${shapes[tree.shape[place]]},`);
    said.push(`${roles[tree.role[place]]}, part: ${this.columns.parts[this.columns.part_of[tree.role[place]]]}`);
    return said;
  }

  largest(node) {
    return [...node.children].sort((one, other) => other.total - one.total);
  }

  code(node) {
    const { tree, part_of: partOf } = this.columns;
    return this.colours === "dtype" ? tree.dtype[node.place] : partOf[tree.role[node.place]];
  }

  /** A node and all below it: in the order of the columns those that follow it and are deeper. */
  *below(node) {
    if (node.place >= 0) yield node;
    for (let place = node.place + 1; place < this.root.nodes.length; place += 1) {
      const next = this.root.nodes[place];
      if (next.depth <= node.depth) return;
      yield next;
    }
  }

  tellColours() {
    const { dtypes, parts } = this.columns;
    const used = new Set();
    for (const node of this.below(this.node)) if (node.isTensor) used.add(this.code(node));
    const names = this.colours === "dtype" ? dtypes : parts;
    const items = names.flatMap((name, place) => (used.has(place) ? [legendItem(name, place)] : []));
    this.legend.replaceChildren(...items);
  }

  /** The tiles of a node: its largest children, the others as one. */
  tiles(node) {
    const children = this.largest(node);
    this.left -= Math.min(children.length, MOST_TILES);
    const shown = children.slice(0, MOST_TILES).map((child) => this.tile(child));
    const rest = children.slice(MOST_TILES);
    const left = rest.reduce((sum, child) => sum + child.total, 0);
    if (rest.length) shown.push({ name: `${count(rest.length)} more`, value: left, place: -1 });
    if (node.isTensor) {
      const { label, bytes, place } = node;
      shown.push({ name: label, value: bytes, place, ...this.look(node) });
    }
    return shown;
  }

  /** One tile; it shows what is inside while there is room for more tiles. */
  tile(node) {
    const made = { name: node.label, value: node.total, place: node.place };
    if (node.children.length && this.left > 0) made.children = this.tiles(node);
    return Object.assign(made, this.look(this.heaviest(node)));
  }

  /** The tensor below a module that takes most, whose colour the module has when it is closed. */
  heaviest(node) {
    let at = node;
    while (at.children.length) [at] = this.largest(at);
    return at;
  }

  look(node) {
    const code = this.code(node);
    return { itemStyle: { color: fillOf(code) }, label: { textBorderColor: colourOf(code) } };
  }

  option() {
    const style = getComputedStyle(document.body);
    const ink = style.color;
    const paper = style.backgroundColor;
    this.left = MOST_SHOWN;
    return {
      animation: !window.matchMedia("(prefers-reduced-motion: reduce)").matches,
      animationDuration: 0,
      textStyle: { fontFamily: style.fontFamily },
      tooltip: { confine: true, formatter: (event) => this.tip(event.data) },
      series: [
        {
          type: "treemap",
          data: this.tiles(this.node),
          left: 0, right: 0, top: 0, bottom: 0,
          roam: false,
          nodeClick: false,
          breadcrumb: { show: false },
          visibleMin: 40,
          label: {
            color: "#1c2127",
            textBorderWidth: 3,
            fontSize: 12,
            lineHeight: 16,
            overflow: "truncate",
            formatter: (event) => this.label(event.data),
          },
          upperLabel: {
            show: true,
            height: 22,
            color: ink,
            fontSize: 12,
            backgroundColor: paper,
            formatter: (event) => this.heading(event.data),
          },
          itemStyle: { borderColor: paper, borderWidth: 1, gapWidth: 1 },
          emphasis: { itemStyle: { borderColor: ink }, upperLabel: { show: true, color: ink } },
          levels: [{ upperLabel: { show: false }, itemStyle: { gapWidth: 4, borderWidth: 0 } }],
        },
      ],
    };
  }

  heading(tile) {
    const isWide = tile.value >= LEAST_HEADING * this.node.total;
    return isWide ? `${tile.name}  ${size(tile.value)}` : "";
  }

  label(tile) {
    if (tile.value < LEAST_LABEL * this.node.total) return "";
    const node = this.root.nodes[tile.place];
    const kind = node && node.isTensor ? `\n${this.kind(node)}` : "";
    return `${tile.name}\n${size(tile.value)}${kind}`;
  }

  tip(tile) {
    if (!tile) return "";
    const node = this.root.nodes[tile.place];
    const lines = node ? this.told(node) : [tile.name, size(tile.value)];
    return make("div", { class: "tip" }, ...lines.map((line) => make("p", {}, line)));
  }
}

/** The colour of a code without its lines. */
function colourOf(code) {
  return getComputedStyle(document.querySelector(`#fill-${code % 8} rect`)).fill;
}

const FINE = 2; // pixels of a pattern's canvas for one of the page
const fills = new Map();

/** The fill of a code as the chart paints it: colour and lines of the page's own pattern. */
function fillOf(code) {
  const id = `fill-${code % 8}`;
  if (!fills.has(id)) fills.set(id, { image: painted(id, code), scaleX: 1 / FINE, scaleY: 1 / FINE });
  return { ...fills.get(id), repeat: "repeat" };
}

function painted(id, code) {
  const canvas = make("canvas", { width: 8 * FINE, height: 8 * FINE });
  const brush = canvas.getContext("2d");
  brush.scale(FINE, FINE);
  brush.fillStyle = colourOf(code);
  brush.fillRect(0, 0, 8, 8);
  const lines = document.querySelector(`#${id} path`);
  if (lines) {
    const style = getComputedStyle(lines);
    brush.strokeStyle = style.stroke;
    brush.globalAlpha = Number(style.strokeOpacity);
    brush.stroke(new Path2D(lines.getAttribute("d")));
  }
  return canvas;
}

/** A name beside a square of its fill. */
function legendItem(name, code) {
  const space = "http://www.w3.org/2000/svg";
  const drawn = document.createElementNS(space, "svg");
  const square = document.createElementNS(space, "rect");
  drawn.setAttribute("class", "swatch");
  drawn.setAttribute("aria-hidden", "true");
  square.setAttribute("fill", `url(#fill-${code % 8})`);
  square.setAttribute("width", "14");
  square.setAttribute("height", "14");
  drawn.append(square);
  return make("li", {}, drawn, name);
}
