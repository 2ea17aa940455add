/* Where things go. dagre lays each machine out by itself, from the inside out: no transition leaves a Map or a
   Parallel. */

const FRAME = { side: 14, top: 10, bottom: 14, between: 18 };
const SPACING = { rankdir: "TB", nodesep: 18, edgesep: 12, ranksep: 36, marginx: 2, marginy: 2 };
const WEIGHTS = { next: 6, choice: 2, default: 2, catch: 1 };
const DOT = 12;
const CROSSING = 50; // how many pixels of width one crossing of wires is worth

/* `sizes` gives {width, height} of each state's box (a container's: its heading), `labels` of each edge's label.
   Returns {width, height, boxes: [{name, x, y, width, height, frame, heading}], dots,
   wires: [{edge, start, middle, end, label}]}. */
function laidOut(machine, sizes, labels) {
  const insides = new Map();
  for (const state of machine.states)
    if (state.machines.length) insides.set(state.name, besideEachOther(state, sizes, labels));
  const ids = new Map(machine.states.map((state, index) => [state.name, `s${index}`]));
  const candidates = orders(machine).map((order) => arranged(machine, order, ids, insides, sizes, labels));
  const best = candidates.reduce((one, other) => (cost(other) < cost(one) ? other : one));
  return collected(machine, best, ids, insides);
}

function arranged(machine, order, ids, insides, sizes, labels) {
  const graph = new dagre.graphlib.Graph({ multigraph: true });
  graph.setGraph({ ...SPACING });
  graph.setNode("start", { width: DOT, height: DOT });
  for (const { name } of order.states) {
    const { width, height } = insides.get(name) ?? sizes.get(name);
    graph.setNode(ids.get(name), { width, height });
  }
  graph.setEdge("start", ids.get(machine.start), { weight: WEIGHTS.next, width: 0, height: 0 }, "start");
  for (const edge of order.edges) {
    const size = labels.get(edge) ?? { width: 0, height: 0 };
    graph.setEdge(
      ids.get(edge.source),
      ids.get(edge.target),
      { ...size, labelpos: "c", weight: WEIGHTS[edge.kind] },
      `e${machine.edges.indexOf(edge)}`,
    );
  }
  dagre.layout(graph);
  return graph;
}

/* dagre starts from the order in which it is told of things, and how wide the outcome is varies by a factor of two: so
   it is asked some times, in orders that are the same each time, and the narrowest with the fewest crossings and the
   least sideways travel is taken. */
function orders(machine) {
  const tries = Math.max(1, Math.min(20, Math.floor(600 / (machine.states.length + machine.edges.length))));
  const random = seeded(20);
  return Array.from({ length: tries }, (_, turn) =>
    turn === 0 ? machine : { states: shuffled(machine.states, random), edges: shuffled(machine.edges, random) },
  );
}

function cost(graph) {
  const wires = graph.edges().map((id) => graph.edge(id));
  const sideways = wires.reduce((sum, { points, weight }) => sum + weight * travel(points), 0);
  return graph.graph().width + 0.05 * sideways + CROSSING * crossings(wires.map(({ points }) => points));
}

const travel = (points) => points.slice(1).reduce((sum, point, index) => sum + Math.abs(point.x - points[index].x), 0);

function crossings(wires) {
  const turn = (one, two, three) =>
    Math.sign((two.x - one.x) * (three.y - one.y) - (two.y - one.y) * (three.x - one.x));
  const cross = (a, b, c, d) => turn(a, b, c) * turn(a, b, d) < 0 && turn(c, d, a) * turn(c, d, b) < 0;
  let count = 0;
  for (let one = 0; one < wires.length; one += 1) {
    for (let other = one + 1; other < wires.length; other += 1) {
      for (let i = 1; i < wires[one].length; i += 1) {
        for (let j = 1; j < wires[other].length; j += 1)
          count += cross(wires[one][i - 1], wires[one][i], wires[other][j - 1], wires[other][j]);
      }
    }
  }
  return count;
}

/* The mulberry32 generator: the same numbers each time, so that a page always looks the same. */
function seeded(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

function shuffled(values, random) {
  const copy = [...values];
  for (let index = copy.length - 1; index > 0; index -= 1) {
    const other = Math.floor(random() * (index + 1));
    [copy[index], copy[other]] = [copy[other], copy[index]];
  }
  return copy;
}

function collected(machine, graph, ids, insides) {
  const result = { width: graph.graph().width, height: graph.graph().height, boxes: [], dots: [], wires: [] };
  const wires = [];
  const corner = (node) => ({
    x: node.x - node.width / 2,
    y: node.y - node.height / 2,
    width: node.width,
    height: node.height,
  });
  const boxes = new Map(machine.states.map((state) => [state.name, corner(graph.node(ids.get(state.name)))]));
  for (const [name, box] of boxes) {
    const inside = insides.get(name);
    if (inside) merge(result, inside, box.x, box.y);
    result.boxes.push({ name, ...box, frame: Boolean(inside), heading: inside?.heading });
  }
  const dot = corner(graph.node("start"));
  result.dots.push(dot);
  wires.push({ edge: null, from: dot, to: boxes.get(machine.start), middle: [], label: null });
  machine.edges.forEach((edge, index) => {
    const laid = graph.edge({ v: ids.get(edge.source), w: ids.get(edge.target), name: `e${index}` });
    wires.push({
      edge,
      from: boxes.get(edge.source),
      to: boxes.get(edge.target),
      middle: laid.points.slice(1, -1),
      label: laid.width ? { x: laid.x, y: laid.y } : null,
    });
  });
  attach(wires);
  result.wires.push(...wires);
  return result;
}

/* A container: its heading, and under it its machines side by side. */
function besideEachOther(state, sizes, labels) {
  const heading = sizes.get(state.name);
  const inner = state.machines.map((machine) => laidOut(machine, sizes, labels));
  const room = inner.reduce((sum, each) => sum + each.width, FRAME.between * (inner.length - 1));
  const result = {
    width: Math.max(heading.width, room + 2 * FRAME.side),
    height: 0,
    boxes: [],
    dots: [],
    wires: [],
    heading,
  };
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
  into.boxes.push(...from.boxes.map(moved));
  into.dots.push(...from.dots.map(moved));
  into.wires.push(
    ...from.wires.map((wire) => ({
      edge: wire.edge,
      start: moved(wire.start),
      end: moved(wire.end),
      middle: wire.middle.map(moved),
      label: wire.label && moved(wire.label),
    })),
  );
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
    for (const [meeting, y] of [
      [top, box.y],
      [bottom, box.y + box.height],
    ]) {
      meeting.sort((one, other) => one.towards.x - other.towards.x);
      const gap = Math.min(18, (box.width - 28) / Math.max(1, meeting.length - 1));
      const single = meeting.length === 1;
      meeting.forEach((each, position) => {
        const spread = centre(box).x + (position - (meeting.length - 1) / 2) * gap;
        const margin = Math.min(14, box.width / 2);
        const straight = Math.min(Math.max(each.towards.x, box.x + margin), box.x + box.width - margin);
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
