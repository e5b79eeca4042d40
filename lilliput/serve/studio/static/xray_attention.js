// Attention: a small map for every head, one of them large, and who looks at whom in words.

import { element, hideBubble, percent, roving, showBubble } from './page.js';
import { strip } from './xray_stages.js';

/** Weights of a layer, [heads, tokens, tokens] as one row of numbers from 0 to 1. */
function unpack(packed) {
  const bytes = Uint8Array.from(atob(packed), letter => letter.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Float32Array.from({ length: bytes.length / 2 }, (_, index) => view.getUint16(2 * index, true) / 65535);
}

function paint(canvas, weights, offset, size) {
  const heat = getComputedStyle(document.documentElement).getPropertyValue('--heat').trim().split(' ').map(Number);
  canvas.width = size;
  canvas.height = size;
  const context = canvas.getContext('2d');
  const image = context.createImageData(size, size);
  for (let place = 0; place < size * size; place += 1) {
    image.data.set([...heat, Math.round(255 * Math.sqrt(weights[offset + place]))], 4 * place);
  }
  context.putImageData(image, 0, 0);
}

export function attentionStage(seen, name) {
  const size = seen.ids.length;
  const layers = seen.layers.map(layer => layer.attention && unpack(layer.attention));
  const state = { layer: layers.findIndex(Boolean), head: 0, token: size - 1 };
  const weight = (row, column) => layers[state.layer][(state.head * size + row) * size + column];
  const buttons = [];

  const grid = element('div', { class: 'heads', role: 'group', 'aria-label': 'Heads: arrow keys go from map to map' }, layers.map((weights, layer) => weights && element('div', { class: 'heads-row' },
    element('span', {}, `Layer ${layer + 1}`), Array.from({ length: seen.layers[layer].heads }, (_, head) => {
      const canvas = element('canvas', { 'aria-hidden': 'true' });
      paint(canvas, weights, head * size * size, size);
      const button = element('button', { type: 'button', class: 'head-button', tabindex: buttons.length ? -1 : 0, 'aria-label': `Layer ${layer + 1}, head ${head + 1}`, title: `Layer ${layer + 1}, head ${head + 1}`, onclick: () => {
        Object.assign(state, { layer, head });
        show();
      }, data: { layer, head } }, canvas);
      buttons.push(button);
      return button;
    }))));
  roving(grid, '.head-button', { columns: () => seen.layers[state.layer].heads });

  const map = element('canvas', { class: 'big-map', role: 'img' });
  map.addEventListener('pointermove', event => {
    const place = pointed(event);
    if (!place) return;
    const [row, column] = place;
    showBubble(event, column > row ? `${name(seen.ids[row])} cannot see what comes later` : `${name(seen.ids[row])} looks at ${name(seen.ids[column])}: ${percent(weight(row, column))}`);
  });
  map.addEventListener('pointerleave', hideBubble);
  map.addEventListener('click', event => {
    const place = pointed(event);
    if (place) choose(place[0]);
  });
  const pointed = event => {
    const { left, top, width, height } = map.getBoundingClientRect();
    const [column, row] = [Math.floor(((event.clientX - left) / width) * size), Math.floor(((event.clientY - top) / height) * size)];
    return row >= 0 && row < size && column >= 0 && column < size ? [row, column] : null;
  };

  const title = element('h3', {});
  const tokens = strip(seen, name, index => choose(index));
  tokens.classList.add('looking');
  tokens.setAttribute('aria-label', 'Which token asks: arrow keys go from one to the next');
  const words = element('p', { class: 'quiet', 'aria-live': 'polite' });
  const choose = index => {
    state.token = index;
    show();
  };
  tokens.addEventListener('pointerover', event => {
    const at = [...tokens.children].indexOf(event.target.closest('.token'));
    if (at >= 0) look(at);
  });
  tokens.addEventListener('pointerleave', () => look(state.token));

  function look(row) {
    [...tokens.children].forEach((token, column) => token.style.setProperty('--look', column <= row ? weight(row, column).toFixed(3) : 0));
    const ranked = seen.ids.slice(0, row + 1).map((id, column) => [weight(row, column), column, id]).sort((one, other) => other[0] - one[0]).slice(0, 4);
    const spent = seen.ids.slice(0, row + 1).reduce((sum, _, column) => sum + weight(row, column), 0);
    words.textContent = `“${name(seen.ids[row])}” (${row + 1}) looks at ${ranked.filter(([share]) => share > 0.005).map(([share, column, id]) => `“${name(id)}” (${column + 1}) ${percent(share)}`).join(', ') || 'nothing'}.`
      + (spent < 0.98 ? ` ${percent(1 - spent)} it spends on nothing: this head may.` : '');
  }

  function show() {
    for (const button of buttons) button.setAttribute('aria-pressed', String(Number(button.dataset.layer) === state.layer && Number(button.dataset.head) === state.head));
    paint(map, layers[state.layer], state.head * size * size, size);
    map.setAttribute('aria-label', `Attention of layer ${state.layer + 1}, head ${state.head + 1}: ${size} by ${size} tokens`);
    title.textContent = `Layer ${state.layer + 1}, head ${state.head + 1}`;
    [...tokens.children].forEach((token, index) => token.setAttribute('aria-pressed', String(index === state.token)));
    look(state.token);
  }
  show();
  return element('div', { class: 'attention' }, grid, element('div', { class: 'looks' },
    element('div', {}, title, map, element('p', { class: 'quiet' }, 'Down: the token that asks. Across: the token it looks at.')),
    element('div', {}, element('h3', {}, 'Press a token to see where it looks'), element('div', { class: 'setting' }, tokens), words)));
}
