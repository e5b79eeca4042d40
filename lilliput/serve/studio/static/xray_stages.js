// The stages of the X-ray that are small: tokens, embeddings, what is added, experts, next token.

import { element, hideBubble, percent, roving, showBubble } from './page.js';

const style = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** A row of tokens; with `press`, buttons that call it with their place. */
export function strip(seen, name, press) {
  const row = element('div', { class: 'strip', role: press ? 'group' : null }, seen.ids.map((id, index) => element(press ? 'button' : 'span', {
    class: 'token', type: press ? 'button' : null, tabindex: press ? (index ? -1 : 0) : null, 'aria-pressed': press ? 'false' : null,
    onclick: press ? () => press(index) : null,
  }, name(id), element('small', {}, String(press ? index + 1 : id)))));
  if (press) roving(row, '.token');
  return row;
}

export const tokensStage = (seen, name) => strip(seen, name, null);

/** Numbers as coloured dots: below zero in one colour, above in another. */
function paint(canvas, rows) {
  const [high, wide] = [rows.length, rows[0].length];
  canvas.width = wide;
  canvas.height = high;
  const most = Math.max(...rows.flat().map(Math.abs)) || 1;
  const [above, below] = [style('--colour-0'), style('--colour-1')];
  const context = canvas.getContext('2d');
  rows.forEach((row, y) => row.forEach((value, x) => {
    context.globalAlpha = Math.min(1, Math.sqrt(Math.abs(value) / most));
    context.fillStyle = value < 0 ? below : above;
    context.fillRect(x, y, 1, 1);
  }));
}

export function embeddingStage(seen, name) {
  const rows = seen.embeddings;
  const canvas = element('canvas', { class: 'embedding-map', role: 'img', 'aria-label': `The first ${rows[0].length} numbers of each token's vector` });
  paint(canvas, rows);
  canvas.style.height = `${Math.min(420, Math.max(90, rows.length * 14))}px`;
  canvas.addEventListener('pointermove', event => {
    const { left, top, width, height } = canvas.getBoundingClientRect();
    const x = Math.min(rows[0].length - 1, Math.floor(((event.clientX - left) / width) * rows[0].length));
    const y = Math.min(rows.length - 1, Math.floor(((event.clientY - top) / height) * rows.length));
    if (x >= 0 && y >= 0) showBubble(event, `${name(seen.ids[y])}  number ${x + 1}: ${rows[y][x].toFixed(3)}`);
  });
  canvas.addEventListener('pointerleave', hideBubble);
  return element('div', {}, canvas, element('p', { class: 'quiet' }, `One row a token, from top to bottom; the first ${rows[0].length} numbers of each. Blue is above zero, orange below.`));
}

const mean = values => values.reduce((sum, value) => sum + value, 0) / values.length;

export function addedStage(seen) {
  const layers = seen.layers.map((layer, index) => ({
    attention: layer.attention_norms && mean(layer.attention_norms), forward: layer.feed_forward_norms && mean(layer.feed_forward_norms),
    stream: mean(seen.norms[index + 1]),
  }));
  const most = Math.max(...layers.flatMap(layer => [layer.attention ?? 0, layer.forward ?? 0, layer.stream]));
  const bar = (value, colour, words) => (value === null || value === undefined ? null : element('div', {
    class: `f${colour}`, title: `${words}: ${value.toFixed(2)}`, vars: { width: `${(value / most) * 100}%` },
  }));
  return element('div', {}, element('p', { class: 'legend' },
    ...[['attention adds', 0], [layers.some(layer => layer.attention) ? 'feed-forward adds' : 'the layer adds', 2], ['the stream after it', 7]].filter(([words]) => words !== 'attention adds' || layers.some(layer => layer.attention))
      .map(([words, colour]) => element('span', {}, element('i', { class: `swatch f${colour}` }), words))),
  element('div', { class: 'added setting' }, layers.map((layer, index) => element('div', { class: 'layer' },
    element('span', { class: 'quiet' }, `Layer ${index + 1}`),
    element('div', { class: 'pair' }, bar(layer.attention, 0, 'attention adds'), bar(layer.forward, 2, 'feed-forward adds'), bar(layer.stream, 7, 'stream')),
    element('span', { class: 'quiet number' }, layer.stream.toFixed(2))))));
}

export function expertsStage(seen, name) {
  const rows = seen.layers.flatMap((layer, index) => {
    if (!layer.experts && !layer.worked_on) return [];
    const cells = seen.ids.map((_, at) => {
      if (layer.worked_on && !layer.worked_on[at]) return element('td', {}, element('span', { class: 'quiet' }, 'passes'));
      if (!layer.experts) return element('td', {}, 'worked on');
      return element('td', {}, layer.experts[at].map((expert, place) => element('span', {
        class: `expert t${expert % 6}`, title: `weight ${layer.expert_weights[at][place].toFixed(3)}`,
      }, String(expert + 1))));
    });
    return [element('tr', {}, element('th', { scope: 'row' }, `Layer ${index + 1}`), cells)];
  });
  return element('div', { class: 'scroll' }, element('table', {}, element('thead', {}, element('tr', {}, element('th', {}), seen.ids.map(id => element('th', { scope: 'col', class: 'mono' }, name(id))))), element('tbody', {}, rows)));
}

export function nextStage(seen, name, goOn) {
  const list = element('div', { class: 'next-list two', role: 'group', 'aria-label': 'The likeliest next tokens' }, seen.next.map((one, index) => {
    const share = Math.exp(one.log_probability);
    return element('button', { type: 'button', class: 'candidate', tabindex: index ? -1 : 0, vars: { '--share': `${share * 100}%` }, onclick: () => goOn(one.id) },
      element('span', { class: 'text' }, name(one.id)), element('span', { class: 'number' }, percent(share)),
      element('span', { class: 'number', title: 'log-probability, nats' }, one.log_probability.toFixed(2)));
  }));
  roving(list, '.candidate');
  return list;
}
