// Keyboard, selection and calm refreshes. Without it every page reads, and every form posts, as well.
"use strict";

document.documentElement.classList.add("scripted");

const places = { c: "/cases", d: "/deliveries", n: "/connections", f: "/failures", b: "/batches", m: "/cost" };
let going = false; // after "g"
let here = ""; // data-row of the row that the keys have reached
let chosen = new Set(); // values of the checked boxes, kept while the list is replaced

const rows = () => [...document.querySelectorAll("tr[data-row]")];
const reached = () => rows().find((row) => row.dataset.row === here);

function mark(row) {
  rows().forEach((each) => each.classList.toggle("here", each === row));
  if (!row) return;
  here = row.dataset.row;
  const link = row.querySelector("a");
  (link || row).focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
}

function step(by) {
  const all = rows();
  if (!all.length) return;
  const at = all.indexOf(reached());
  mark(all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + by, 0), all.length - 1)]);
}

function boxes() {
  return [...document.querySelectorAll("td.pick input")];
}

function count() {
  chosen = new Set(boxes().filter((box) => box.checked).map((box) => box.value));
  const number = chosen.size;
  const label = document.getElementById("chosen");
  if (label) label.textContent = number ? `${number} selected` : "None selected";
  document.querySelectorAll("button[data-chosen]").forEach((button) => { button.disabled = !number; });
  const all = document.getElementById("all");
  if (all) { all.hidden = false; all.checked = number > 0 && number === boxes().length; }
}

function showKeys() {
  document.getElementById("keys").showModal();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.matches("input:not([type=checkbox]), select, textarea");
  if (event.key === "Escape" && typing) event.target.blur();
  if (typing || document.querySelector("dialog[open]")) return;
  if (going) {
    going = false;
    if (places[event.key]) location.assign(places[event.key]);
    return;
  }
  const row = reached();
  const acts = {
    "/": () => document.querySelector("input[type=search]")?.focus(),
    j: () => step(1),
    k: () => step(-1),
    x: () => { const box = row?.querySelector("td.pick input"); if (box) { box.checked = !box.checked; count(); } },
    g: () => { going = true; },
    "?": showKeys,
  };
  const act = acts[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

document.addEventListener("change", (event) => {
  if (event.target.id === "all") boxes().forEach((box) => { box.checked = event.target.checked; });
  if (event.target.matches("td.pick input, #all")) count();
});

// A refresh waits while nobody looks, or somebody reads or fills in what it would replace.
document.addEventListener("htmx:beforeRequest", (event) => {
  const live = event.target;
  if (live.id !== "live") return;
  const busy = [live, document.getElementById("head")].some((part) => part
    && (part.querySelector("details[open], input:focus:not([type=checkbox]), select:focus")
      || [...part.querySelectorAll("input[type=text]")].some((field) => field.value)));
  if (document.hidden || busy || document.querySelector("dialog[open]")) {
    event.preventDefault();
    setTimeout(() => { if (document.body.contains(live)) window.htmx.trigger(live, "again"); }, 5000);
  }
});

const same = (one, other) => one.tagName === other.tagName && one.textContent === other.textContent
  && one.getAttribute("href") === other.getAttribute("href");
let focused = null; // what had the focus before a refresh has replaced it

document.addEventListener("htmx:beforeSwap", () => {
  chosen = new Set(boxes().filter((box) => box.checked).map((box) => box.value));
  focused = document.activeElement;
});
document.addEventListener("htmx:afterSettle", (event) => {
  if (event.target.id !== "live" && !document.getElementById("live")) return;
  if (focused && !document.contains(focused)) {
    [...document.querySelectorAll(focused.tagName)].find((each) => same(each, focused))?.focus({ preventScroll: true });
  }
  boxes().forEach((box) => { box.checked = chosen.has(box.value); });
  const row = reached();
  if (row) { row.classList.add("here"); if (document.activeElement === document.body) row.querySelector("a")?.focus({ preventScroll: true }); }
  count();
});

// A part that could not be refreshed shows what was true before: the page says so, since when and why, until it is.
const failing = new Map(); // by the part's id: when it began to fail, and why
let refreshed = new Date();

function stale(id, why) {
  if (why) failing.set(id, [failing.get(id)?.[0] || refreshed, why]); else failing.delete(id);
  const line = document.getElementById("stale");
  const [since, reason] = [...failing.values()][0] || [];
  line.hidden = !since;
  const said = since ? `This page shows what was true at ${since.toTimeString().slice(0, 8)}: ${reason}` : "";
  if (line.textContent !== said) line.textContent = said;
}

function reasonOf(request) {
  if (!request.status) return "the console does not answer. Start `dossier console` again, and open the URL that it prints.";
  if (request.status === 401) return "the console was started again. Open the URL that it has printed.";
  const answer = new DOMParser().parseFromString(request.responseText, "text/html");
  const lines = [...answer.querySelectorAll("main h1 ~ p")].map((each) => each.textContent);
  return lines.slice(0, -1).join("; ") || `the console answers ${request.status}.`;
}

["htmx:responseError", "htmx:sendError"].forEach((name) => document.addEventListener(name, (event) => {
  stale(event.detail.elt.id, reasonOf(event.detail.xhr));
}));
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.xhr.status >= 400) return;
  refreshed = new Date();
  stale(event.detail.elt.id, "");
});

// A page of a document that cannot be drawn: its description says so, in place of a broken picture.
function undrawn(image) {
  const said = document.createElement("p");
  said.className = "empty";
  said.textContent = image.dataset.undrawn;
  image.replaceWith(said);
}
document.querySelectorAll("img[data-undrawn]").forEach((image) => {
  if (image.complete && !image.naturalWidth) undrawn(image);
  else image.addEventListener("error", () => undrawn(image));
});

const opener = document.getElementById("keys-open");
if (opener) {
  opener.hidden = false;
  opener.addEventListener("click", showKeys);
}
document.querySelectorAll(".scriptless").forEach((each) => each.remove());
count();
