// The logit lens: the model's guess after every layer, and the likeliest tokens of one place.

import { element, percent, roving } from './page.js';

export function lensStage(seen, name) {
  const { lens, ids } = seen;
  const detail = element('div', { 'aria-live': 'polite' });
  const cells = [];
  const rowName = layer => (layer === 0 ? 'embedding' : `after layer ${layer}`);
  const show = (layer, at) => {
    for (const cell of cells) cell.setAttribute('aria-pressed', String(cell.dataset.layer === String(layer) && cell.dataset.at === String(at)));
    const following = at + 1 < ids.length ? ids[at + 1] : null;
    const likely = lens.ids[layer][at].map((id, place) => element('div', { class: 'candidate', vars: { '--share': `${100 * Math.exp(lens.log_probabilities[layer][at][place])}%` } },
      element('span', { class: 'text' }, name(id)), element('span', { class: 'number' }, percent(Math.exp(lens.log_probabilities[layer][at][place]))),
      element('span', { class: 'number' }, id === following ? '✓ follows' : '')));
    detail.replaceChildren(element('h3', {}, `After “${name(ids[at])}” (${at + 1}), ${rowName(layer)}`),
      element('p', { class: 'quiet' }, `Undecided by ${(lens.entropy[layer][at] / Math.LN2).toFixed(2)} bits.`
        + (following === null ? '' : ` “${name(following)}” does follow: it has ${percent(Math.exp(lens.following[layer][at]))}.`)),
      element('div', { class: 'next-list' }, likely));
  };
  const body = lens.ids.map((row, layer) => element('tr', {}, element('th', { scope: 'row' }, rowName(layer)), row.map((best, at) => {
    const share = Math.exp(lens.log_probabilities[layer][at][0]);
    const right = at + 1 < ids.length && best[0] === ids[at + 1];
    const cell = element('button', { type: 'button', class: right ? 'right' : null, tabindex: cells.length ? -1 : 0, 'aria-pressed': 'false', data: { layer, at }, vars: { '--p': share.toFixed(3) },
      title: `${name(best[0])}: ${percent(share)}`, onclick: () => show(layer, at) }, name(best[0]));
    cells.push(cell);
    return element('td', {}, cell);
  })));
  const table = element('table', { class: 'lens' }, element('caption', { class: 'visually-hidden' }, 'The likeliest next token after every layer'),
    element('thead', {}, element('tr', {}, element('th', {}), ids.map(id => element('th', { scope: 'col', title: name(id) }, name(id))))), element('tbody', {}, body));
  roving(table, 'button', { columns: ids.length });
  show(lens.ids.length - 1, ids.length - 1);
  return element('div', { class: 'lens-pair' }, element('div', { class: 'scroll' }, table), detail);
}
