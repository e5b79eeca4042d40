// How tokens are chosen: sliders that are kept between visits and count at once.

import { element } from './page.js';

const KEPT = 'lilliput-settings';
const SLIDERS = [
  ['temperature', 'Temperature', 0.8, 0, 2, 0.05, 'How daring: 0 always takes the likeliest token, 1 is the model as it is.'],
  ['top_k', 'Top-k', 0, 0, 100, 1, 'Choose among the k likeliest tokens; 0 keeps all.'],
  ['top_p', 'Top-p', 1, 0.05, 1, 0.01, 'Choose among the fewest tokens that reach this probability together.'],
  ['min_p', 'Min-p', 0, 0, 0.5, 0.01, 'Leave out tokens less likely than this share of the likeliest.'],
  ['repetition_penalty', 'Repetition penalty', 1, 1, 2, 0.05, 'Makes tokens that are already in the text less likely; 1 has no effect.'],
  ['presence_penalty', 'Presence penalty', 0, -2, 2, 0.1, 'Taken off tokens that were written once or more.'],
  ['frequency_penalty', 'Frequency penalty', 0, -2, 2, 0.1, 'Taken off tokens for each time they were written.'],
];
const MAIN = 4;

/** Build the settings into `place`; `changed` hears of every change. Gives their reader. */
export function makeSettings(place, changed) {
  const kept = JSON.parse(localStorage.getItem(KEPT) ?? '{}');
  const values = { seed: null, max_tokens: 200 };
  for (const [name, , standard] of SLIDERS) values[name] = standard;
  for (const name of Object.keys(values)) if (name in kept) values[name] = kept[name];
  const keep = () => {
    localStorage.setItem(KEPT, JSON.stringify(values));
    changed();
  };
  const redraw = [];
  const slider = ([name, label, standard, min, max, step, words]) => {
    const shown = element('output', { for: name }, String(values[name]));
    const field = element('input', { type: 'range', id: name, min, max, step, title: words, 'aria-describedby': `${name}-words`, oninput: () => {
      values[name] = Number(field.value);
      shown.value = field.value;
      keep();
    } });
    field.value = values[name];
    redraw.push(() => { values[name] = standard; field.value = standard; shown.value = standard; });
    return element('div', { class: 'setting' }, element('div', { class: 'row' }, element('label', { for: name }, label), shown), field,
      element('span', { class: 'visually-hidden', id: `${name}-words` }, words));
  };
  const numberField = (name, label, standard, attributes) => {
    const field = element('input', { type: 'number', id: name, ...attributes, oninput: () => {
      if (!field.checkValidity()) return;
      values[name] = field.value === '' ? null : Number(field.value);
      keep();
    } });
    field.value = values[name] ?? '';
    redraw.push(() => { values[name] = standard; field.value = standard ?? ''; });
    return element('div', { class: 'setting' }, element('div', { class: 'row' }, element('label', { for: name }, label), field));
  };
  const rest = element('details', { open: SLIDERS.slice(MAIN).some(([name, , standard]) => values[name] !== standard) },
    element('summary', {}, 'Penalties'), SLIDERS.slice(MAIN).map(slider));
  place.append(...SLIDERS.slice(0, MAIN).map(slider),
    numberField('max_tokens', 'Most tokens', 200, { min: 1, max: 4096, step: 1, required: true }),
    numberField('seed', 'Seed', null, { min: 0, max: 2 ** 53, step: 1, placeholder: 'a new one' }),
    rest,
    element('div', { class: 'row setting' }, element('button', { type: 'button', class: 'plain', onclick: () => {
      for (const one of redraw) one();
      keep();
    } }, 'Standard settings')));
  return () => ({ ...values });
}

/** The settings that differ from what a request without them would have, for code to copy. */
export function toldSettings(values) {
  const told = {};
  for (const [name, , standard] of SLIDERS) {
    if (values[name] !== standard || name === 'temperature') told[name] = values[name];
  }
  if (values.seed !== null) told.seed = values.seed;
  return told;
}
