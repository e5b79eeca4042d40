// The start page: what is served, and the doors to the rest.

import { about, count, element, find, safely, short } from './page.js';

const ART = {
  chat: 'M6 9h28v17H18l-7 6v-6H6z M12 15h16 M12 20h10',
  xray: 'M8 8h24v24H8z M8 16h24 M8 24h24 M16 8v24 M24 8v24',
  tokenizer: 'M5 14h8v12H5z M15 14h13v12H15z M30 14h5v12h-5z',
  training: 'M7 7v26h26 M10 12c6 14 12 15 22 16',
  corpus: 'M10 6h15l6 6v22H10z M25 6v6h6 M15 18h11 M15 23h11 M15 28h7',
};
const DOORS = {
  chat: ['Chat and completion', 'Write with the model, see what else it thought of at every token, and branch from there.'],
  xray: ['X-ray', 'Follow a text through the model: attention, the residual stream, the next token. Ten minutes to understand a transformer.'],
  tokenizer: ['Tokenizer', 'See how text is cut into tokens, here and in GPT-2 and GPT-4, and how a word is built.'],
  training: ['Training', 'Loss curves, samples as they improve, speed, energy and the time left.'],
  corpus: ['Corpus', 'Search and read what the model learned from.'],
};

function door(page, missing) {
  const [title, words] = DOORS[page];
  return element('a', { class: missing ? 'card door off' : 'card door', href: `/studio/${page}` },
    element('svg', { viewBox: '0 0 40 40', 'aria-hidden': 'true' },
      element('path', { d: ART[page], fill: 'none', stroke: 'var(--accent)', 'stroke-width': 2, 'stroke-linejoin': 'round', 'stroke-linecap': 'round' })),
    element('h2', {}, title), element('p', {}, missing || words));
}

function card(model) {
  const facts = {
    Parameters: short(model.parameters), Family: model.family, Layers: count(model.layers),
    Width: count(model.width), Vocabulary: count(model.vocabulary_size),
    Context: `${count(model.context_length)} tokens`,
  };
  const of = page => `/studio/${page}?model=${encodeURIComponent(model.name)}`;
  return element('article', { class: 'card' },
    element('div', { class: 'row apart' }, element('h2', {}, model.name),
      element('div', { class: 'row' },
        element('a', { class: 'button', href: of('chat') }, 'Write'),
        element('a', { class: 'button', href: of('xray') }, 'Look inside'))),
    element('dl', { class: 'facts' }, Object.entries(facts).map(([name, value]) =>
      element('div', {}, element('dt', {}, name), element('dd', {}, value)))));
}

safely(async () => {
  const served = await about();
  const none = element('p', { class: 'card empty' }, 'No model is served.');
  find('#models').replaceChildren(...(served.models.length ? served.models.map(card) : [none]));
  const missing = {
    training: served.runs === null && 'Start with `lilliput serve MODEL --runs runs/` to see your runs here.',
    corpus: served.corpus === null && 'Start with `lilliput serve MODEL --corpus corpus/` to read your corpus here.',
  };
  find('#doors').append(...Object.keys(DOORS).map(page => door(page, missing[page])));
  const name = served.models[0]?.name ?? 'MODEL';
  const body = JSON.stringify({ model: name, prompt: 'Once upon a time', max_tokens: 60 });
  find('#curl').textContent = `curl ${location.origin}/v1/completions \\\n  -H 'Content-Type: application/json' \\\n  -d '${body}'`;
  if (served.version) find('.foot').prepend(`Lilliput ${served.version}. `);
})();
