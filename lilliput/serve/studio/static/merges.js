// The merges that build a word, drawn as a tree: bytes at the top, the token below.

import { element, visible } from './page.js';

const LETTER = 9, PAD = 14, GAP = 10, STEP = 52, TALL = 26;

const width = text => text.length * LETTER + PAD;

/** Places of a tree's nodes: x of its middle, depth counted from its leaves. */
function lay(tree, left) {
  if (!tree.parts.length) {
    const wide = width(visible(tree.bytes));
    return { tree, left, right: left + wide, x: left + wide / 2, height: 0, inside: [] };
  }
  const inside = [];
  let at = left;
  for (const part of tree.parts) {
    inside.push(lay(part, at));
    at = inside.at(-1).right + GAP;
  }
  let right = at - GAP;
  const own = width(visible(tree.bytes));
  let shift = 0;
  if (own > right - left) {
    shift = (own - (right - left)) / 2;
    for (const part of inside) move(part, shift);
    right = left + own;
  }
  return { tree, left, right, x: (inside[0].x + inside.at(-1).x) / 2, height: 1 + Math.max(...inside.map(part => part.height)), inside };
}

function move(node, by) {
  node.left += by;
  node.right += by;
  node.x += by;
  for (const part of node.inside) move(part, by);
}

function draw(node, top, whole) {
  const y = place => 8 + place.height * STEP;
  const text = visible(node.tree.bytes);
  const wide = width(text);
  const lines = node.inside.map(part => element('line', { x1: part.x, y1: y(part) + TALL, x2: node.x, y2: y(node) }));
  return [...lines, ...node.inside.flatMap(part => draw(part, top, false)),
    element('g', { class: whole ? 'whole' : null },
      element('title', {}, node.tree.rank === null ? `the byte ${node.tree.bytes}` : `merge number ${node.tree.rank + 1}, token ${node.tree.id ?? '–'}`),
      element('rect', { x: node.x - wide / 2, y: y(node), width: wide, height: TALL, rx: 6 }),
      element('text', { x: node.x, y: y(node) + 17 }, text),
      element('text', { class: 'rank', x: node.x, y: y(node) + TALL + 12 }, node.tree.rank === null ? '' : `${node.tree.rank + 1}`))];
}

/** The trees of a piece of text, one for each token, side by side. */
export function mergeTree(piece) {
  let left = 4;
  const nodes = piece.trees.map(tree => {
    const node = lay(tree, left);
    left = node.right + 26;
    return node;
  });
  const tallest = Math.max(...nodes.map(node => node.height));
  const [wide, high] = [left - 18, 8 + tallest * STEP + TALL + 20];
  return element('div', { class: 'merge-tree' }, element('svg', {
    width: wide, height: high, viewBox: `0 0 ${wide} ${high}`, role: 'img',
    'aria-label': `“${piece.text}” is ${nodes.length === 1 ? 'one token' : `${nodes.length} tokens`}: ${piece.trees.map(tree => visible(tree.bytes)).join(', ')}`,
  }, nodes.flatMap(node => draw(node, tallest, true))));
}
