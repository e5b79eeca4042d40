// The model drawn as the computation it is: parts in order, with what each is for.

import { count, element, percent, short } from './page.js';

const WHY = {
  'Token embedding': 'A table with one row of numbers for every token the model knows. Reading a token is looking up its row.',
  'Learned positions': 'Attention alone cannot tell first from last. A second table adds where in the text a token stands.',
  'Sinusoidal positions': 'Waves of many lengths are added, so that each place in the text has its own pattern.',
  RMSNorm: 'Brings the stream to a common size before a part reads it, so that training stays calm. It changes what is read, not the stream.',
  LayerNorm: 'Brings the stream to a common mean and size before a part reads it, so that training stays calm.',
  'Output head': 'Compares the finished stream with every token of the vocabulary: one score each. The highest is the model’s best guess of the next token.',
  'Feed-forward': 'Works on each token alone: widens it, lets some of the many features through, and folds them back. Much of what the model knows by heart lives here.',
  Router: 'Decides which experts each token goes to.',
  'Depth router': 'Decides which tokens this layer works on; the others pass it by.',
};
const BY_KIND = {
  attention: 'The one place where tokens exchange news. Each head makes a query from the token that asks, compares it with a key of every token before it, and takes in their values in proportion.',
  feed_forward: 'Feed-forwards of which a token goes through a few: more knowledge for the same work.',
  training: 'Used only in training; left out here.',
};

function part(box) {
  const why = element('span', { class: 'why', hidden: true }, WHY[box.title] ?? BY_KIND[box.kind] ?? '');
  const items = Object.entries(box.parts);
  if (items.length > 1) why.append(element('span', { class: 'fact' }, items.map(([name, n]) => `${name.split('.').at(-1).replaceAll('_', ' ')} ${count(n)}`).join(' · ')));
  const button = element('button', { type: 'button', class: `part k-${box.kind}`, 'aria-expanded': 'false', onclick: () => {
    why.hidden = !why.hidden;
    button.setAttribute('aria-expanded', String(!why.hidden));
  } }, element('span', { class: 'size' }, box.parameters ? short(box.parameters) : ''), element('span', { class: 'name' }, box.title),
  box.facts.map(fact => element('span', { class: 'fact' }, fact)), why);
  return button;
}

const flow = () => element('div', { class: 'flow', 'aria-hidden': 'true' });

function node(one) {
  if (one.node === 'box') return [part(one), flow()];
  if (one.node === 'beside') return [element('div', { class: 'beside' }, one.branches.map(branch => element('div', {}, column(branch)))), flow()];
  if (one.node === 'repeat') {
    return [element('div', { class: 'repeat' }, element('div', { class: 'label' }, one.label), column(one.inside)), flow()];
  }
  return [element('div', { class: 'residual' }, element('div', { class: 'entry', 'aria-hidden': 'true' }), column(one.inside),
    element('div', { class: 'sum', title: 'What the part made is added to the stream, which goes past it on the right' }, '+')), flow()];
}

const column = nodes => nodes.flatMap(node);

const COLOURS = { 'token embedding': 6, positions: 3, attention: 0, 'feed-forward': 2, routers: 1, norms: 4, 'output head': 5, retrieval: 7 };

function places(drawn) {
  const total = drawn.places.reduce((sum, one) => sum + one.parameters, 0);
  return element('div', {}, element('h3', {}, 'Where the parameters live'),
    element('div', { class: 'share-bar setting', 'aria-hidden': 'true' }, drawn.places.map(one => element('div', { class: `f${COLOURS[one.name]}`, title: one.name, vars: { 'flex-grow': String(one.parameters) } }))),
    element('div', { class: 'scroll' }, element('table', {}, element('tbody', {}, drawn.places.map(one => element('tr', {},
      element('th', { scope: 'row' }, element('i', { class: `swatch f${COLOURS[one.name]}` }), ` ${one.name}`),
      element('td', { class: 'number' }, count(one.parameters)), element('td', { class: 'number' }, percent(one.parameters / total))))))));
}

export function drawing(drawn) {
  const facts = element('p', { class: 'number' }, element('strong', {}, drawn.facts.join('; ')));
  if (!drawn.column.length) return facts;
  return element('div', { class: 'stack' }, facts, element('div', { class: 'grid' },
    element('div', { class: 'machine' }, element('div', { class: 'terminal' }, drawn.start), flow(), column(drawn.column), element('div', { class: 'terminal' }, drawn.end)),
    places(drawn)));
}
