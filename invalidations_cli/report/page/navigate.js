/* Moving about in the graph: zoom, and arrow keys from state to state. */

/* Zoom: native scrolling over a scaled stage. */
const ZOOM = { least: 0.1, most: 2, legible: 0.9, step: 1.2 };

function zoomTo(level) {
  const viewport = byId("viewport");
  const before = {
    x: (viewport.scrollLeft + viewport.clientWidth / 2) / graphView.zoom,
    y: (viewport.scrollTop + viewport.clientHeight / 2) / graphView.zoom,
  };
  graphView.zoom = Math.min(ZOOM.most, Math.max(ZOOM.least, level));
  byId("stage").style.transform = `scale(${graphView.zoom})`;
  Object.assign(byId("sizer").style, {
    width: `${graphView.size.width * graphView.zoom}px`,
    height: `${graphView.size.height * graphView.zoom}px`,
  });
  byId("zoom-level").textContent = `${Math.round(graphView.zoom * 100)}%`;
  viewport.scrollLeft = before.x * graphView.zoom - viewport.clientWidth / 2;
  viewport.scrollTop = before.y * graphView.zoom - viewport.clientHeight / 2;
}

const fitZoom = (both) => {
  const viewport = byId("viewport");
  const room = { width: viewport.clientWidth - 32, height: viewport.clientHeight - 32 };
  const across = room.width / graphView.size.width;
  return Math.min(1, across, both ? room.height / graphView.size.height : 1);
};

function wireZoom() {
  byId("every-catch").addEventListener("change", (event) => {
    graphView.everyCatch = event.target.checked;
    drawGraph();
    markSelection();
    zoomTo(graphView.zoom);
  });
  byId("zoom-in").addEventListener("click", () => zoomTo(graphView.zoom * ZOOM.step));
  byId("zoom-out").addEventListener("click", () => zoomTo(graphView.zoom / ZOOM.step));
  byId("zoom-level").addEventListener("click", () => zoomTo(1));
  byId("zoom-fit").addEventListener("click", () => zoomTo(fitZoom(true)));
  byId("viewport").addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      zoomTo(graphView.zoom * (event.deltaY < 0 ? 1.1 : 1 / 1.1));
    },
    { passive: false },
  );
}

/* Arrow keys go to the nearest state in that direction. A graph has rows: what is up or down may lie three times as far
   aside as it lies away, what is left or right lies in the row. Each state is thus in exactly one direction of each
   other, and no step leads away from it (the sum of both distances shrinks): holding towards a state gets there,
   whatever the layout. */
const DIRECTIONS = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };
const STEEPNESS = 3;

function neighbour(name, [across, down]) {
  const middle = ({ place }) => ({ x: place.x + place.width / 2, y: (place.y + place.height / 2) * STEEPNESS });
  const here = middle(graphView.boxes.get(name));
  let best = null;
  for (const [other, entry] of graphView.boxes) {
    const there = middle(entry);
    const along = (there.x - here.x) * across + (there.y - here.y) * down;
    const aside = Math.abs((there.x - here.x) * down) + Math.abs((there.y - here.y) * across);
    const thisWay = across ? along >= aside : along > aside;
    if (other === name || !thisWay || (best && best.distance <= along + aside)) continue;
    best = { name: other, distance: along + aside };
  }
  return best?.name;
}

function graphKeys(event) {
  const at = event.target.closest?.(".state")?.dataset.state;
  if (event.key in DIRECTIONS && at !== undefined) {
    event.preventDefault();
    const next = neighbour(at, DIRECTIONS[event.key]);
    if (next !== undefined) focusState(next);
  } else if (event.key === "+" || event.key === "=") zoomTo(graphView.zoom * ZOOM.step);
  else if (event.key === "-") zoomTo(graphView.zoom / ZOOM.step);
  else if (event.key === "0") zoomTo(1);
  else if (event.key === "f") zoomTo(fitZoom(true));
}

function focusState(name) {
  graphView.boxes.get(name).box.querySelector(".state").focus({ preventScroll: true });
  reveal(name);
}

function reveal(name) {
  graphView.boxes.get(name).box.scrollIntoView({ block: "nearest", inline: "nearest" });
}
