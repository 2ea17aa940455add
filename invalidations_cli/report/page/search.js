/* Search: the states whose name, comment or data hold all of the words; Enter goes from one to the next. */

const searchView = { found: [], at: -1, count: null };

const searched = new Map(); // name -> all that is known of a state, in small letters

function textOf(name) {
  if (!searched.has(name)) {
    const { state } = states.get(name);
    const visits = run.visits.filter((visit) => visit.state === name);
    const told = visits.flatMap((visit) => [
      visit.error,
      visit.cause,
      visit.distribution_id,
      detailOf(visit.entered, "input"),
      detailOf(visit.exited, "output"),
    ]);
    searched.set(name, [name, state.type, state.resource, state.comment, ...told].filter(Boolean).join("\n").toLowerCase());
  }
  return searched.get(name);
}

function search(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const found = words.length ? [...states.keys()].filter((name) => words.every((word) => textOf(name).includes(word))) : [];
  const named = (name) => (words.every((word) => name.toLowerCase().includes(word)) ? 0 : 1);
  searchView.found = found.sort((one, other) => named(one) - named(other));
  searchView.at = -1;
  searchView.count.textContent = words.length ? many(found.length, "state") : "";
  byId("stage").classList.toggle("searched", words.length > 0);
  for (const [name, { box }] of graphView.boxes) box.classList.toggle("found", found.includes(name));
}

function nextFound(by) {
  const { found } = searchView;
  if (!found.length) return;
  searchView.at = (searchView.at + by + found.length) % found.length;
  select(found[searchView.at]);
}

function drawSearch() {
  const words = el("input", { type: "search", id: "search", placeholder: "Search ( / )", "aria-label": "Search states and their data" });
  words.addEventListener("input", () => search(words.value));
  words.addEventListener("keydown", (event) => {
    if (event.key === "Enter") nextFound(event.shiftKey ? -1 : 1);
    if (event.key !== "Escape") return;
    words.value = "";
    search("");
  });
  searchView.count = el("span", { class: "quiet", role: "status" });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement?.tagName)) return;
    event.preventDefault();
    words.focus();
  });
  return el("div", { class: "search", role: "search" }, words, searchView.count);
}
