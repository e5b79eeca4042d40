// Line charts and bars as SVG: round ticks, a read-out under the pointer, light or dark by CSS.

import { element, hideBubble, showBubble } from './page.js';

const LEFT = 54, RIGHT = 16, TOP = 12, BOTTOM = 44;

/** As wide as its place has room for, so that letters are as large on a phone as anywhere. */
const roomIn = place => Math.max(280, Math.min(760, place.clientWidth));

function roundStep(step) {
  const power = 10 ** Math.floor(Math.log10(step));
  return [1, 2, 2.5, 5, 10].map(factor => factor * power).find(value => value >= step * (1 - 1e-9));
}

/** Round spans of time: seconds, minutes, hours. */
function timeTicks(low, high, wanted) {
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400];
  const step = steps.find(value => value >= (high - low) / wanted) ?? roundStep((high - low) / wanted);
  const ticks = [];
  for (let value = Math.ceil(low / step) * step; value <= high; value += step) ticks.push(value);
  return ticks;
}

function linearTicks(low, high, wanted) {
  const step = roundStep((high - low) / wanted);
  const ticks = [];
  for (let index = Math.ceil(low / step - 1e-9); index * step <= high * (1 + 1e-9) + 1e-12; index += 1) ticks.push(index * step);
  return ticks;
}

function logTicks(low, high, wanted) {
  const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  for (const factors of [[1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 2, 5], [1, 3], [1]]) {
    const ticks = [];
    for (let power = first; power <= last; power += 1) ticks.push(...factors.map(factor => factor * 10 ** power));
    const inside = ticks.filter(value => value >= low * (1 - 1e-9) && value <= high * (1 + 1e-9));
    if (inside.length <= wanted + 1) return inside;
  }
  return [low, high];
}

export function tickLabel(value) {
  const size = Math.abs(value);
  if (size === 0) return '0';
  for (const [limit, letter] of [[1e18, 'E'], [1e15, 'P'], [1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e4, 'k']]) {
    if (size >= limit) return `${Number((value / (letter === 'k' ? 1e3 : limit)).toPrecision(4))}${letter}`;
  }
  return size < 1e-3 ? value.toExponential(0) : String(Number(value.toPrecision(4)));
}

function scale(values, start, end, log, wanted, time = false) {
  let low = Math.min(...values), high = Math.max(...values);
  if (log) {
    if (!(high > low)) [low, high] = [low / 1.2, high * 1.2];
    const margin = (high / low) ** 0.03;
    [low, high] = [low / margin, high * margin];
    const ticks = high / low >= 6 ? logTicks(low, high, wanted) : linearTicks(low, high, wanted);
    return { place: value => start + (Math.log(value / low) / Math.log(high / low)) * (end - start), ticks };
  }
  if (!(high > low)) [low, high] = [low - (Math.abs(low) || 1) * 0.1, high + (Math.abs(high) || 1) * 0.1];
  return { place: value => start + ((value - low) / (high - low)) * (end - start), ticks: (time ? timeTicks : linearTicks)(low, high, wanted) };
}

/**
 * Lines over common axes, for a place on the page. A line is {name, colour (0 to 7), x, y, dots}; a point with null or, on a
 * logarithmic axis, nothing above zero is left out. `say(x)` words a place; `time`: x is seconds.
 */
export function lineChart(place, lines, { label, xLabel, logX = false, logY = false, time = false, say = tickLabel }) {
  const drawn = lines.map(line => ({
    ...line,
    points: line.x.map((x, index) => [x, line.y[index]]).filter(([x, y]) =>
      Number.isFinite(x) && Number.isFinite(y) && x !== null && y !== null && (!logX || x > 0) && (!logY || y > 0)),
  })).filter(line => line.points.length);
  if (!drawn.length) return element('p', { class: 'empty' }, 'Nothing recorded yet.');
  const all = drawn.flatMap(line => line.points);
  const width = roomIn(place), height = Math.round(Math.min(360, 120 + width * 0.4));
  const x = scale(all.map(point => point[0]), LEFT, width - RIGHT, logX, width / 105, time);
  const y = scale(all.map(point => point[1]), height - BOTTOM, TOP, logY, 5);
  const parts = [];
  for (const tick of y.ticks) {
    const at = y.place(tick);
    parts.push(element('line', { class: 'gridline', x1: LEFT, x2: width - RIGHT, y1: at, y2: at }),
      element('text', { x: LEFT - 8, y: at + 4, 'text-anchor': 'end' }, tickLabel(tick)));
  }
  for (const tick of x.ticks) {
    parts.push(element('text', { x: x.place(tick), y: height - BOTTOM + 19, 'text-anchor': 'middle' }, say(tick)));
  }
  parts.push(element('line', { class: 'axis', x1: LEFT, x2: width - RIGHT, y1: height - BOTTOM, y2: height - BOTTOM }),
    element('text', { x: (LEFT + width - RIGHT) / 2, y: height - 6, 'text-anchor': 'middle' }, xLabel));
  for (const line of drawn) {
    line.places = line.points.map(([px, py]) => [x.place(px), y.place(py)]);
    const path = `M${line.places.map(place => place.map(value => value.toFixed(1)).join(',')).join('L')}`;
    parts.push(element('path', { class: `curve c${line.colour}`, d: path, 'stroke-dasharray': line.dashed ? '5 4' : null }));
    if (line.dots || line.points.length === 1) {
      parts.push(...line.places.map(([cx, cy]) => element('circle', { class: `dot f${line.colour}`, cx, cy, r: 3.5 })));
    }
  }
  const rule = element('line', { class: 'rule', y1: TOP, y2: height - BOTTOM, visibility: 'hidden' });
  const svg = element('svg', { class: 'chart', viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': label }, parts, rule);
  svg.addEventListener('pointerleave', () => { hideBubble(); rule.setAttribute('visibility', 'hidden'); });
  svg.addEventListener('pointermove', event => {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse()).x;
    const near = drawn.map(line => line.places.reduce((best, place, index) =>
      Math.abs(place[0] - at) < Math.abs(line.places[best][0] - at) ? index : best, 0));
    const nearest = drawn.reduce((best, line, index) =>
      Math.abs(line.places[near[index]][0] - at) < Math.abs(drawn[best].places[near[best]][0] - at) ? index : best, 0);
    const column = drawn[nearest].places[near[nearest]][0];
    rule.setAttribute('x1', column);
    rule.setAttribute('x2', column);
    rule.setAttribute('visibility', 'visible');
    const head = element('div', {}, `${xLabel}: ${say(drawn[nearest].points[near[nearest]][0])}`);
    const rows = drawn.flatMap((line, index) => Math.abs(line.places[near[index]][0] - column) > 14 ? [] : [element('div', {},
      element('i', { class: `f${line.colour}` }), element('b', {}, String(Number(line.points[near[index]][1].toPrecision(4)))), ` ${line.name}`)]);
    showBubble(event, head, rows);
  });
  return svg;
}

/** Bars for counts in stretches of a scale, with the stretch's words under the pointer. */
export function histogram(place, counts, words, label, ends) {
  const [width, height, bottom] = [roomIn(place), 150, 22];
  const most = Math.max(...counts, 1), step = width / counts.length;
  const bars = counts.map((value, index) => {
    const tall = (value / most) * (height - bottom - 6);
    const bar = element('rect', { class: 'bar', x: index * step + 1, y: height - bottom - tall, width: step - 2, height: Math.max(tall, value ? 1 : 0), rx: 2 });
    bar.addEventListener('pointermove', event => showBubble(event, words(index, value)));
    bar.addEventListener('pointerleave', hideBubble);
    return bar;
  });
  return element('svg', { class: 'chart', viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': label }, bars,
    element('line', { class: 'axis', x1: 0, x2: width, y1: height - bottom, y2: height - bottom }),
    element('text', { x: 0, y: height - 6 }, ends[0]),
    element('text', { x: width, y: height - 6, 'text-anchor': 'end' }, ends[1]));
}
