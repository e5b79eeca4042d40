// The X-ray: one text followed through the model, stage by stage.

import { ask, bytesOf, count, element, find, modelPicker, safely, visible } from './page.js';
import { drawing } from './xray_drawing.js';
import { tokensStage, embeddingStage, addedStage, expertsStage, nextStage } from './xray_stages.js';
import { attentionStage } from './xray_attention.js';
import { lensStage } from './xray_lens.js';

const EXAMPLES = ['Once upon a time, there was a little', 'The dog saw the cat. The cat saw the', 'Lily had a red ball. She gave the red'];
const text = find('#text');
let model = () => null;
let seen = null;
let drawn = null;

/** A numbered part of the page with a sentence or two for a person new to it. */
function stage(number, id, title, explain, ...content) {
  return element('section', { class: 'card stage', id, 'aria-labelledby': `${id}-title` },
    element('div', { class: 'title' }, element('span', { class: 'step-number', 'aria-hidden': 'true' }, String(number)), element('h2', { id: `${id}-title` }, title)),
    element('p', { class: 'explain' }, explain), ...content);
}

function stages() {
  const name = id => seen.names[id];
  const machine = drawn.column.length
    ? `A model is a row of simple steps. A stream of numbers, one row of ${count(drawn.width)} for each token, goes from top to bottom; every part reads the stream and adds something to it. Press a part to read what it does.`
    : 'This kind of model is not drawn part by part.';
  const list = [['machine', 'The machine', machine, drawing(drawn)]];
  if (seen) {
    const hasAttention = seen.layers.some(layer => layer.attention);
    list.push(
      ['tokens', 'Text becomes tokens', 'The model reads no letters. The text is cut into pieces it knows, its tokens, and each is a number: the small one below it.', tokensStage(seen, name)],
      ['embedding', 'Tokens become vectors', 'Each token is looked up in a table that was learned. What it finds is a row of numbers, a vector: where the token stands among all others. Tokens used alike have similar rows.', embeddingStage(seen, name)]);
    if (hasAttention) {
      list.push(['attention', 'Tokens look at one another', 'In attention each token asks a question of all tokens before it and takes in most from those that answer best. Each small map is one head, with one kind of question. Rows are the tokens that ask, columns those they look at; it is a triangle, for nobody sees what is still to come.', attentionStage(seen, name)]);
    }
    list.push(['added', 'Every part adds to the stream', 'Attention brings news from other tokens; the feed-forward thinks about each token alone, with what it learned by heart. Bars show how much each adds, on average over the text, beside the size of the stream itself.', addedStage(seen)]);
    if (seen.layers.some(layer => layer.experts || layer.worked_on)) {
      list.push(['experts', 'Which parts work on which token', 'This model does not use all of itself for every token: a router sends each token to a few experts, or past a layer altogether.', expertsStage(seen, name)]);
    }
    list.push(
      ['lens', 'The guess takes shape', 'What would the model say if it had to answer already here? Read the stream after every layer through the output head: from left to right the tokens, from top to bottom the layers. The stronger the colour, the surer; an underline marks where it has the token that does follow.', lensStage(seen, name)],
      ['next', 'The next token', 'After the last layer the head scores every token it knows, and the scores become probabilities. One is drawn, joins the text, and everything begins again. Press one to go on with it.', nextStage(seen, name, goOn)]);
  }
  find('#result').replaceChildren(...list.map(([id, title, explain, ...content], index) => stage(index + 1, id, title, explain, ...content)));
  find('#stages').replaceChildren(...list.map(([id, title], index) => element('li', {}, element('a', { href: `#${id}` },
    element('span', { class: 'step-number', 'aria-hidden': 'true' }, String(index + 1)), title))));
  for (const one of new Set([...(drawn.not_shown ?? []), ...(seen?.not_shown ?? [])])) {
    find('#result').prepend(element('p', { class: 'card', role: 'note' }, one));
  }
}

async function goOn(id) {
  const added = seen.texts[id];
  text.value += added;
  await look();
  find('#next').scrollIntoView({ block: 'nearest' });
}

const look = safely(async () => {
  const status = find('#status');
  status.classList.add('waiting');
  status.textContent = 'Reading';
  try {
    const told = await ask('/studio/data/xray', { model: model().name, text: text.value });
    const special = model().special_tokens;
    told.names = Object.fromEntries(Object.entries(told.token_bytes).map(([id, hex]) => [id, special[id] ?? (visible(hex) || '∅')]));
    told.texts = Object.fromEntries(Object.entries(told.token_bytes).map(([id, hex]) => [id, new TextDecoder().decode(bytesOf(hex))]));
    seen = told;
    status.textContent = `${count(told.ids.length)} tokens${told.left_out ? `; ${count(told.left_out)} more are left out, to keep the page quick` : ''}`;
    stages();
  } finally {
    status.classList.remove('waiting');
    if (status.textContent === 'Reading') status.textContent = '';
  }
});

const start = safely(async () => {
  drawn = await ask(`/studio/data/drawing?model=${encodeURIComponent(model().name)}`);
  drawn.width = model().width;
  seen = null;
  stages();
  find('#form').hidden = !drawn.can_look;
  if (drawn.can_look) await look();
});

find('#form').addEventListener('submit', event => { event.preventDefault(); look(); });
text.addEventListener('keydown', event => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    look();
  }
});
find('#examples').append(...EXAMPLES.map(words => element('button', { type: 'button', class: 'plain', onclick: () => { text.value = words; look(); } }, words.split(' ').slice(0, 3).join(' ') + ' …')));
document.addEventListener('themechange', () => seen && stages());

safely(async () => {
  text.value = EXAMPLES[0];
  model = await modelPicker(find('#mode'), start);
  await start();
})();
