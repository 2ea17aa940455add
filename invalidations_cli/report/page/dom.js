/* Elements and words. Text only ever becomes text: nothing here or elsewhere parses markup. */

const SVG = "http://www.w3.org/2000/svg";

function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "onclick") element.addEventListener("click", value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(
    ...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false),
  );
  return element;
}

function svg(tag, attributes = {}) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  return element;
}

const byId = (id) => document.getElementById(id);

function fill(element, ...children) {
  element.replaceChildren(
    ...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false),
  );
}

const STATUSES = {
  succeeded: { glyph: "✓", text: "succeeded" },
  retried: { glyph: "↻", text: "retried, then succeeded" },
  caught: { glyph: "!", text: "error caught" },
  failed: { glyph: "✕", text: "failed" },
  aborted: { glyph: "■", text: "stopped" },
  running: { glyph: "…", text: "running" },
  unreached: { glyph: "", text: "not reached" },
  unrecorded: { glyph: "?", text: "not recorded" },
};
const WORST_FIRST = ["failed", "aborted", "running", "caught", "retried", "succeeded"];
const SHORT = { retried: "retried", caught: "caught" };

const shortStatus = (status) => SHORT[status] ?? STATUSES[status].text;

function glyph(status, type = "Task") {
  return el(
    "span",
    { class: `glyph ${status}`, "data-type": type, "aria-hidden": "true" },
    el("i", {}, STATUSES[status].glyph),
  );
}

function duration(milliseconds) {
  if (milliseconds === null || milliseconds === undefined || Number.isNaN(milliseconds)) return "";
  const ms = Math.max(0, milliseconds);
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
  const minutes = Math.floor(ms / 60_000);
  const two = (number) => String(Math.floor(number)).padStart(2, "0");
  if (minutes < 60) return `${minutes} min ${two((ms % 60_000) / 1000)} s`;
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
  return `${Math.floor(minutes / 1440)} d ${Math.floor((minutes % 1440) / 60)} h`;
}

const clock = (time) => new Date(time).toISOString().slice(11, 23);
const moment = (time) => `${new Date(time).toISOString().slice(0, 10)} ${clock(time)} UTC`;
const many = (number, one, more = `${one}s`) => `${number.toLocaleString("en")} ${number === 1 ? one : more}`;
