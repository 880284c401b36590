"use strict";
// The tree of modules, from the columns of the page.

/** The tree from its columns: the root, whose nodes know their children; all stand in `nodes`. */
function readTree(columns) {
  const held = columns.tree;
  const root = { label: "all", depth: -1, children: [], parent: null, place: -1, nodes: [] };
  const open = [root];
  held.depth.forEach((depth, place) => {
    const parent = open[depth];
    const node = { label: held.label[place], depth, children: [], parent, place };
    node.bytes = Number(held.bytes[place]);
    node.tensors = held.tensors[place];
    node.isTensor = held.dtype[place] >= 0;
    parent.children.push(node);
    root.nodes.push(node);
    open.length = depth + 1;
    open.push(node);
  });
  weigh(root);
  return root;
}

/** What stands at a tensor's own name has bytes beside those of its children. */
function weigh(root) {
  for (const node of [...root.nodes].reverse().concat(root)) {
    const inner = node.children.reduce((sum, child) => sum + child.total, 0);
    const tensors = node.children.reduce((sum, child) => sum + child.count, 0);
    const isWhole = node.place >= 0 && !(node.isTensor && node.children.length);
    node.total = isWhole ? node.bytes : inner + (node.bytes || 0);
    node.count = isWhole ? node.tensors : tensors + (node.tensors || 0);
  }
}

function pathOf(node) {
  const path = [];
  for (let at = node; at; at = at.parent) path.unshift(at);
  return path;
}

function nameOf(node) {
  return pathOf(node).slice(1).map((one) => one.label).join(".") || "the whole checkpoint";
}
