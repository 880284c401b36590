"use strict";
// What every page does: the theme, filters over what stands in it, folds opened for print.
// Text from a checkpoint becomes text nodes alone; nothing here writes HTML.

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** An element with attributes and children; a string is a child as text. */
function make(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value !== null && value !== undefined && value !== false) {
      made.setAttribute(name, value === true ? "" : String(value));
    }
  }
  made.append(...children);
  return made;
}

/** A name, which may be broken behind its dots and underscores. */
function named(text) {
  const pieces = text.split(/(?<=[._/])/);
  return make("code", {}, ...pieces.flatMap((piece) => [piece, document.createElement("wbr")]));
}

/** A set of indices in few words: `0-2,4-6,...,44-46`; the whole of it is told when pointed at. */
function indices(axes) {
  const short = axes.map((axis) => {
    const ranges = axis.split(",");
    return ranges.length > 4 ? [...ranges.slice(0, 2), "...", ranges.at(-1)].join(",") : axis;
  });
  return make("span", { title: axes.join(" x ") }, short.join(" x "));
}

/** A button that does something when it is chosen. */
function button(label, action, attributes) {
  const made = make("button", { type: "button", ...attributes }, label);
  made.addEventListener("click", action);
  return made;
}

/** A count in digits; one that JavaScript would round comes as text. */
function count(value) {
  return BigInt(value).toLocaleString("en");
}

/** Bytes in binary units with two decimals. */
function size(value) {
  let scaled = Number(value);
  let unit = 0;
  while (scaled >= 1024 && unit < UNITS.length - 1) {
    scaled /= 1024;
    unit += 1;
  }
  const digits = unit ? 2 : 0;
  const options = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return `${scaled.toLocaleString("en", options)} ${UNITS[unit]}`;
}

/** A share in percent. */
function share(part, whole) {
  const percent = whole > 0 ? (100 * Number(part)) / Number(whole) : 0;
  return percent > 0 && percent < 0.05 ? "<0.1 %" : `${percent.toFixed(1)} %`;
}

/** A choice among words, told to `action` by its place. */
function choice(label, words, action) {
  const options = words.map((word, place) => make("option", { value: place }, word));
  const made = make("select", {}, ...options);
  made.addEventListener("change", () => action(Number(made.value)));
  return make("label", {}, label, made);
}

/** The action, once nobody has asked for it for a moment. */
function settled(action) {
  let waiting = 0;
  return () => {
    window.clearTimeout(waiting);
    waiting = window.setTimeout(action, 120);
  };
}

function startTheme() {
  const root = document.documentElement;
  const asked = window.matchMedia("(prefers-color-scheme: dark)");
  const toggle = document.getElementById("theme");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : asked.matches);
  const tell = () => {
    toggle.textContent = isDark() ? "Light" : "Dark";
    toggle.setAttribute("aria-label", isDark() ? "Show in light colours" : "Show in dark colours");
    document.dispatchEvent(new Event("theme"));
  };
  toggle.hidden = false;
  toggle.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    tell();
  });
  asked.addEventListener("change", tell);
  tell();
}

/** A filter hides the items of a list that lack its words, or whose kind is not chosen. */
function startFilter(controls) {
  const items = [...document.querySelectorAll(`#${controls.dataset.of} [data-kind]`)];
  const texts = items.map((item) => item.textContent.toLowerCase());
  const search = controls.querySelector("input[type=search]");
  const kinds = [...controls.querySelectorAll("input[type=checkbox]")];
  const status = controls.parentElement.querySelector(".status");
  const apply = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const chosen = new Set(kinds.filter((kind) => kind.checked).map((kind) => kind.value));
    let shown = 0;
    items.forEach((item, place) => {
      const isKind = !kinds.length || chosen.has(item.dataset.kind);
      item.hidden = !(isKind && words.every((word) => texts[place].includes(word)));
      shown += item.hidden ? 0 : 1;
    });
    status.textContent = `${count(shown)} of ${count(items.length)} shown`;
  };
  controls.hidden = false;
  search.addEventListener("input", settled(apply));
  kinds.forEach((kind) => kind.addEventListener("change", apply));
  apply();
}

window.addEventListener("beforeprint", () => {
  document.querySelectorAll("details").forEach((fold) => {
    fold.open = true;
  });
});
startTheme();
document.querySelectorAll("[data-of]").forEach(startFilter);
