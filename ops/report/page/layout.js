/* Where things go. dagre lays each machine out by itself, from the inside out: no transition leaves a Map or a Parallel. */

const FRAME = { side: 14, top: 10, bottom: 14, between: 18 };
const SPACING = { rankdir: "TB", nodesep: 26, edgesep: 18, ranksep: 30, marginx: 2, marginy: 2 };
const WEIGHTS = { next: 6, choice: 2, default: 2, catch: 1 };
const DOT = 12;

/* `sizes` gives {width, height} of each state's box (a container's: its heading), `labels` of each edge's label.
   Returns {width, height, boxes: [{name, x, y, width, height, frame?}], dots: [...], wires: [{edge, points, label}]}. */
function laidOut(machine, sizes, labels) {
  const graph = new dagre.graphlib.Graph({ multigraph: true });
  graph.setGraph({ ...SPACING });
  const ids = new Map(machine.states.map((state, index) => [state.name, `s${index}`]));
  const insides = new Map();
  for (const state of machine.states) {
    if (state.machines.length) insides.set(state.name, besideEachOther(state, sizes, labels));
    graph.setNode(ids.get(state.name), { ...(insides.get(state.name) ?? sizes.get(state.name)) });
  }
  graph.setNode("start", { width: DOT, height: DOT });
  graph.setEdge("start", ids.get(machine.start), { weight: WEIGHTS.next, width: 0, height: 0 }, "start");
  machine.edges.forEach((edge, index) => {
    const size = labels.get(edge) ?? { width: 0, height: 0 };
    graph.setEdge(ids.get(edge.source), ids.get(edge.target), { ...size, labelpos: "c", weight: WEIGHTS[edge.kind] }, `e${index}`);
  });
  dagre.layout(graph);
  return collected(machine, graph, ids, insides);
}

function collected(machine, graph, ids, insides) {
  const result = { width: graph.graph().width, height: graph.graph().height, boxes: [], dots: [], wires: [] };
  const corner = (node) => ({ x: node.x - node.width / 2, y: node.y - node.height / 2, width: node.width, height: node.height });
  const boxes = new Map(machine.states.map((state) => [state.name, corner(graph.node(ids.get(state.name)))]));
  for (const [name, box] of boxes) {
    const inside = insides.get(name);
    if (inside) merge(result, inside, box.x, box.y);
    result.boxes.push({ name, ...box, frame: Boolean(inside), heading: inside?.heading });
  }
  const dot = corner(graph.node("start"));
  result.dots.push(dot);
  result.wires.push({ edge: null, from: dot, to: boxes.get(machine.start), middle: [], label: null });
  machine.edges.forEach((edge, index) => {
    const laid = graph.edge({ v: ids.get(edge.source), w: ids.get(edge.target), name: `e${index}` });
    result.wires.push({
      edge, from: boxes.get(edge.source), to: boxes.get(edge.target),
      middle: laid.points.slice(1, -1), label: laid.width ? { x: laid.x, y: laid.y } : null,
    });
  });
  attach(result.wires.filter((wire) => !wire.inner));
  return result;
}

/* A container: its heading, and under it its machines side by side. */
function besideEachOther(state, sizes, labels) {
  const heading = sizes.get(state.name);
  const inner = state.machines.map((machine) => laidOut(machine, sizes, labels));
  const room = inner.reduce((sum, each) => sum + each.width, FRAME.between * (inner.length - 1));
  const result = { width: Math.max(heading.width, room + 2 * FRAME.side), height: 0, boxes: [], dots: [], wires: [], heading };
  const top = heading.height + FRAME.top;
  let x = (result.width - room) / 2;
  for (const each of inner) {
    merge(result, each, x, top);
    x += each.width + FRAME.between;
  }
  result.height = top + Math.max(...inner.map((each) => each.height)) + FRAME.bottom;
  return result;
}

function merge(into, from, x, y) {
  const moved = (point) => ({ ...point, x: point.x + x, y: point.y + y });
  const boxes = new Map();
  const once = (box) => { if (!boxes.has(box)) boxes.set(box, moved(box)); return boxes.get(box); };
  into.boxes.push(...from.boxes.map(moved));
  into.dots.push(...from.dots.map(moved));
  into.wires.push(...from.wires.map((wire) => ({
    ...wire, inner: true, from: once(wire.from), to: once(wire.to), middle: wire.middle.map(moved), label: wire.label && moved(wire.label),
    start: wire.start && moved(wire.start), end: wire.end && moved(wire.end),
  })));
}

/* The ends of wires, spread along the side of the box where they meet it, in the order of where they come from. */
function attach(wires) {
  const sides = new Map();
  const at = (box, side) => {
    if (!sides.has(box)) sides.set(box, { top: [], bottom: [] });
    return sides.get(box)[side];
  };
  const centre = (box) => ({ x: box.x + box.width / 2, y: box.y + box.height / 2 });
  for (const wire of wires) {
    const down = centre(wire.from).y <= centre(wire.to).y;
    at(wire.from, down ? "bottom" : "top").push({ wire, end: "start", towards: wire.middle[0] ?? centre(wire.to) });
    at(wire.to, down ? "top" : "bottom").push({ wire, end: "end", towards: wire.middle.at(-1) ?? centre(wire.from) });
  }
  for (const [box, { top, bottom }] of sides) {
    for (const [ends, y] of [[top, box.y], [bottom, box.y + box.height]]) {
      ends.sort((one, other) => one.towards.x - other.towards.x);
      const gap = Math.min(18, (box.width - 28) / Math.max(1, ends.length - 1));
      const single = ends.length === 1;
      ends.forEach((each, position) => {
        const spread = centre(box).x + (position - (ends.length - 1) / 2) * gap;
        const straight = Math.min(Math.max(each.towards.x, box.x + 14), box.x + box.width - 14);
        each.wire[each.end] = { x: single && Math.abs(straight - spread) < 24 ? straight : spread, y };
      });
    }
  }
}

/* Smooth, upright at every point, so that long wires run straight down and side steps are S-shaped. */
function curve({ start, middle, end }) {
  const points = [start, ...middle, end];
  let path = `M${start.x},${start.y}`;
  for (let index = 1; index < points.length; index += 1) {
    const [from, to] = [points[index - 1], points[index]];
    const half = (from.y + to.y) / 2;
    path += from.x === to.x ? `L${to.x},${to.y}` : `C${from.x},${half} ${to.x},${half} ${to.x},${to.y}`;
  }
  return path;
}
