// The tokenizer: one text in several cuts, tokens linked to ids and bytes, and a word's merges.

import { ask, count, element, find, safely, tell, visible } from './page.js';
import { mergeTree } from './merges.js';

const KEPT = 'lilliput-tokenizer-text';
const OPENING = 'Once upon a time, unbelievably, a little dragon counted to 12345 — naïve café 😀.\n';
const text = find('#text');
const lanes = find('#lanes');
let latest = 0;

/** Where each token begins and ends in the text's bytes. */
function spans(tokens) {
  let at = 0;
  return tokens.map(token => {
    const length = token.special === undefined ? token.bytes.length / 2 : new TextEncoder().encode(token.special).length;
    at += length;
    return [at - length, at];
  });
}

function lane(told, bytes, index) {
  const places = spans(told.tokens);
  const link = number => ({ data: { number, start: places[number][0], end: places[number][1] }, class: `token t${number % 6}` });
  const shown = (token, number) => {
    const made = element('span', { ...link(number), tabindex: number === 0 ? 0 : -1, title: `token ${token.id}` },
      token.special ?? plain(token.bytes));
    return made;
  };
  const box = element('article', { class: 'card lane', 'aria-label': told.name },
    element('div', { class: 'row apart' }, element('h2', {}, told.name),
      element('span', { class: 'quiet number' }, `${count(told.vocabulary_size)} known`)),
    element('p', { class: 'number' }, element('strong', {}, `${count(told.tokens.length)} tokens`),
      element('span', { class: 'quiet' }, ` · ${told.tokens.length ? (bytes / told.tokens.length).toFixed(2) : '–'} bytes a token`)),
    element('div', { class: 'text', role: 'group', 'aria-label': `Tokens of ${told.name}: arrow keys go from one to the next` }, told.tokens.map(shown)),
    element('h3', {}, 'Ids'),
    element('div', { class: 'ids' }, told.tokens.map((token, number) => element('span', link(number), String(token.id)))),
    element('h3', {}, 'Bytes'),
    element('div', { class: 'bytes' }, told.tokens.map((token, number) =>
      element('span', link(number), token.special ?? token.bytes.match(/../g)?.join(' ') ?? '∅'))));
  box.dataset.lane = index;
  const group = box.querySelector('.text');
  group.addEventListener('keydown', event => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const all = [...group.querySelectorAll('.token')];
    const to = all[all.indexOf(document.activeElement) + step];
    if (!step || !to) return;
    event.preventDefault();
    to.focus();
  });
  for (const kind of ['pointerover', 'focusin']) box.addEventListener(kind, event => light(event.target.closest('.token'), box));
  box.addEventListener('pointerleave', () => light(null, box));
  box.addEventListener('click', event => {
    const token = event.target.closest('.token');
    if (token) showWord(wordAt(Number(token.dataset.start)), told.name);
  });
  return box;
}

function plain(hex) {
  const words = visible(hex);
  return words.replaceAll('␣', '\u00b7').replaceAll('↵', '↵\n');
}

function light(token, box) {
  for (const one of lanes.querySelectorAll('.lit, .near')) one.classList.remove('lit', 'near');
  if (!token) return;
  const [start, end] = [Number(token.dataset.start), Number(token.dataset.end)];
  for (const one of lanes.querySelectorAll('.token')) {
    const own = one.closest('.lane') === box;
    if (own && one.dataset.number === token.dataset.number) one.classList.add('lit');
    else if (!own && Number(one.dataset.start) < end && Number(one.dataset.end) > start) one.classList.add('near');
  }
}

/** The word (with the blank before it) around a byte of the text. */
function wordAt(byte) {
  const before = new TextDecoder().decode(new TextEncoder().encode(text.value).slice(0, byte)).length;
  for (const match of text.value.matchAll(/ ?[^\s]+|\s+/g)) {
    if (match.index + match[0].length > before) return match[0].trimEnd() || match[0];
  }
  return text.value.trim().split(/\s+/).pop() ?? '';
}

const cut = safely(async () => {
  latest += 1;
  const mine = latest;
  localStorage.setItem(KEPT, text.value);
  const told = await ask('/studio/data/tokens', { text: text.value, special: find('#special').checked });
  if (mine !== latest) return;
  find('#size').textContent = `${count(told.characters)} characters · ${count(told.bytes)} bytes`
    + (told.missing.length ? ` · ${told.missing.join(' and ')}: files not on this machine` : '');
  lanes.replaceChildren(...told.tokenizers.map((one, index) => lane(one, told.bytes, index)));
  const which = find('#which');
  const chosen = which.value;
  which.replaceChildren(...told.tokenizers.map(one => element('option', { value: one.name, selected: one.name === chosen }, one.name)));
  which.hidden = told.tokenizers.length < 2;
});

async function showWord(word, tokenizer) {
  find('#word').value = word;
  if (tokenizer) find('#which').value = tokenizer;
  await showTree();
}

const showTree = safely(async () => {
  const word = find('#word').value;
  const place = find('#tree');
  if (!word) {
    place.replaceChildren(element('p', { class: 'quiet' }, 'Click a token above, or write a word.'));
    return;
  }
  const { pieces } = await ask('/studio/data/merges', { tokenizer: find('#which').value, word });
  place.replaceChildren(...pieces.map(mergeTree));
});

let waiting;
text.addEventListener('input', () => {
  clearTimeout(waiting);
  waiting = setTimeout(cut, 120);
});
find('#special').addEventListener('change', cut);
find('#word-form').addEventListener('submit', event => { event.preventDefault(); showTree(); });
find('#word').addEventListener('input', () => { clearTimeout(waiting); waiting = setTimeout(showTree, 200); });
find('#which').addEventListener('change', showTree);

text.value = localStorage.getItem(KEPT) || OPENING;
cut().then(() => showWord(wordAt(new TextEncoder().encode(text.value.slice(0, text.value.indexOf('unb') + 1 || 1)).length)), tell);
