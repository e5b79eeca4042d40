// The corpus: what it holds, a search through all of it, and documents drawn by chance.

import { Told, about, ask, count, element, find, hasKey, safely, scaled, segments, short } from './page.js';
import { histogram } from './chart.js';

let way = 'literal';
let seed = Math.floor(Math.random() * 1e9);

const fact = (term, value) => element('div', {}, element('dt', {}, term), element('dd', {}, value));
const settingText = value => (typeof value === 'object' ? JSON.stringify(value) : String(value));

async function showFacts() {
  const facts = await ask('/studio/data/corpus');
  find('#folder').textContent = `What the model learned from: ${facts.folder}`;
  if (facts.report) {
    find('#report').append(hasKey() ? element('span', { class: 'quiet' }, `Report: ${facts.folder}/report.html`)
      : element('a', { class: 'button', href: '/studio/data/corpus/report' }, 'Open the report'));
  }
  const { lengths } = facts;
  const dropped = Object.entries(facts.dropped).filter(([, value]) => value);
  const box = find('#facts');
  box.replaceChildren(element('dl', { class: 'facts' },
    fact('Documents', count(facts.documents)), fact('Text', scaled(facts.bytes, 'B')),
    fact('Mean length', `${count(facts.bytes / Math.max(1, facts.documents))} bytes`),
    lengths.median === null ? null : fact('Middle length', `${count(lengths.median)} bytes`),
    fact('Parts', count(facts.parts)), fact('Fingerprint', facts.hash.slice(0, 12))));
  if (lengths.counts.length > 1) {
    box.append(element('div', { class: 'lengths setting' }, element('h3', {}, 'Lengths of documents'),
      histogram(box, lengths.counts, (index, value) => `${short(lengths.edges[index])} to ${short(lengths.edges[index + 1])} bytes: ${count(value)}`,
        `Lengths of documents, from ${lengths.least} to ${lengths.largest} bytes`, [`${short(lengths.edges[0])} bytes`, `${short(lengths.edges.at(-1))} bytes`])));
  }
  box.append(element('div', { class: 'grid setting' },
    table('Sources', facts.sources.map(one => [one.name, count(one.documents)])),
    table('Made with', Object.entries(facts.settings).map(([name, value]) => [name, settingText(value)])),
    dropped.length ? table('Left out', dropped.map(([name, value]) => [name, count(value)])) : null));
}

const table = (title, rows) => element('div', {}, title ? element('h3', {}, title) : null,
  element('div', { class: 'scroll' }, element('table', {}, element('tbody', {}, rows.map(([name, value]) =>
    element('tr', {}, element('th', { scope: 'row' }, name), element('td', {}, value)))))));

// Documents

function article(one) {
  const more = one.characters > one.text.length ? ` The first ${count(one.text.length)} of ${count(one.characters)} characters.` : '';
  const metadata = Object.entries(one.metadata);
  return element('article', { class: 'document' },
    element('p', { class: 'quiet' }, `Document ${count(one.number)} · ${one.source} · ${one.id}.${more}`),
    element('p', { class: 'prose', dir: 'auto' }, one.text),
    metadata.length ? element('details', {}, element('summary', {}, 'What else is known of it'), table('', metadata)) : null);
}

async function draw() {
  const { documents } = await ask(`/studio/data/corpus/sample?seed=${seed}&count=4`);
  find('#documents').replaceChildren(...documents.map(article));
}

const open = safely(async number => {
  const one = await ask(`/studio/data/corpus/document?number=${number}`);
  const step = (to, words) => element('button', { type: 'button', disabled: to < 0, onclick: () => open(to) }, words);
  const dialog = find('#document');
  dialog.replaceChildren(element('form', { method: 'dialog', class: 'stack' },
    element('div', { class: 'row apart' }, element('h2', { id: 'document-title' }, `Document ${count(one.number)}`),
      element('div', { class: 'row' }, step(number - 1, '← Before'), step(number + 1, 'Next →'), element('button', {}, 'Close')))),
  article(one));
  if (!dialog.open) dialog.showModal();
});

// Search

async function search(first = 0) {
  const wanted = find('#wanted').value;
  const place = find('#found');
  if (!first) place.replaceChildren(element('p', { class: 'waiting' }, 'Searching'));
  const query = new URLSearchParams({ wanted, way, case: find('#case').checked, first, count: 20 });
  const told = await ask(`/studio/data/corpus/search?${query}`);
  const hits = told.hits.map(hit => element('div', { class: 'hit' },
    element('div', { class: 'row' }, element('button', { type: 'button', onclick: () => open(hit.number) }, `Document ${count(hit.number)}`),
      element('span', { class: 'quiet' }, hit.count > 1 ? `${hit.count} times` : '')),
    element('div', { class: 'prose' }, `…${hit.before}`, element('mark', {}, hit.found), `${hit.after}…`)));
  const through = told.searched_to - first;
  const words = told.matching
    ? `${count(told.matching)} of ${count(through)} documents hold it (${told.seconds.toFixed(2)} s).`
    : `None of ${count(through)} documents holds it (${told.seconds.toFixed(2)} s).`;
  const more = told.next === null ? null
    : element('button', { type: 'button', onclick: safely(event => { event.target.remove(); return search(told.next); }) }, 'More');
  const parts = [first ? null : element('p', { class: 'quiet' }, words), ...hits, more].filter(Boolean);
  if (first) place.append(...parts);
  else place.replaceChildren(...parts);
}

find('#way').append(segments('way', 'What to find', { literal: 'Any text', word: 'Whole word' }, way, value => { way = value; }));
find('#search').addEventListener('submit', event => {
  event.preventDefault();
  safely(search)(0);
});
find('#draw').addEventListener('click', safely(() => {
  seed += 1;
  return draw();
}));

safely(async () => {
  const { corpus } = await about();
  if (corpus === null) {
    for (const section of document.querySelectorAll('main section')) section.hidden = true;
    throw new Told('No corpus is shown. Start with `lilliput serve MODEL --corpus corpus/`.');
  }
  await Promise.all([showFacts(), draw()]);
})();
