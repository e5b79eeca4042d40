// Chat and completion: tokens as they come, what else the model thought of, and branches.

import {
  Told, about, ask, clearTold, copy, element, find, modelPicker, percent, roving, safely, stream, tell, textsOf, visible,
} from './page.js';
import { makeSettings, toldSettings } from './settings.js';
import { after, conversation, roots, version } from './texts.js';

const texts = { completion: [], chat: [] };
const shown = { completion: null, chat: null };
let mode = new URLSearchParams(location.search).get('mode') === 'chat' ? 'chat' : 'completion';
let model = () => null;
let settings = () => ({});
let writing = null;          // what is being written: {version, abort}
let picked = null;           // the token looked at: {version, index}
let tinted = false;
let restart = null;

const input = find('#input');
const place = find('#text');

const WORDS = {
  completion: ['Write an opening; the model goes on from it.', 'Once upon a time'],
  chat: ['Write a message.', ''],
};
const FINISH = {
  end: 'the model ended its text', stop: 'a stop string came', length: 'as many tokens as asked',
  context: 'the context is full', cancelled: 'stopped',
};

// What is asked of the server

function order(one, kept) {
  const values = settings();
  const base = { model: model().name, ...values, sample: one.sample, continued: one.tokens.slice(0, kept).map(token => token.id), alternatives: 10 };
  if (mode === 'completion') return { ...base, prompt: one.said };
  const messages = [];
  for (const turn of conversation(one)) {
    messages.push({ role: 'user', content: turn.said });
    if (turn !== one) messages.push({ role: 'assistant', content: textsOf(turn.tokens.filter(token => !token.end).map(token => token.bytes)).join('') });
  }
  return { ...base, messages };
}

async function write(one) {
  stopWriting();
  clearTold();
  const abort = new AbortController();
  writing = { version: one, abort };
  one.finish = null;
  const begun = performance.now();
  let came = 0;
  let frame = null;
  const paint = () => {
    frame = null;
    if (abort.signal.aborted || !writing) return;
    appendTokens(one);
    const seconds = (performance.now() - begun) / 1000;
    find('#status').textContent = `${one.tokens.length} tokens · ${(came / seconds).toFixed(0)} a second`;
  };
  showAll();
  try {
    for await (const step of stream('/studio/data/write', order(one, one.tokens.length), abort.signal)) {
      if (step.seed !== undefined) one.seed = step.seed;
      one.tokens.push(...step.tokens);
      came += step.tokens.length;
      if (step.finish) one.finish = step.finish;
      // Once a frame at most: tokens may come faster than a page can be laid out.
      frame ??= requestAnimationFrame(paint);
    }
  } catch (error) {
    if (error.name !== 'AbortError') tell(error);
    else one.finish ??= 'cancelled';
  }
  if (!writing || writing.abort === abort) {
    writing = null;
    if (one.finish) find('#status').textContent = `${one.tokens.length} tokens · ${FINISH[one.finish]}${one.seed !== null ? ` · seed ${one.seed}` : ''}`;
    showAll();
  }
}

function stopWriting() {
  writing?.abort.abort();
  writing = null;
}

// Versions

function add(one) {
  texts[mode].push(one);
  shown[mode] = one;
  picked = null;
  return one;
}

function submit() {
  const said = input.value;
  const current = shown[mode];
  if (mode === 'chat') {
    if (!said.trim()) throw new Told('Write a message first.');
    input.value = '';
    return write(add(version(said, { turn: current })));
  }
  return write(add(version(said)));
}

function another() {
  const one = shown[mode];
  if (!one) return;
  const sample = 1 + Math.max(...texts[mode].map(other => other.sample));
  write(add(version(one.said, { turn: one.turn, from: one.from, at: one.at, tokens: one.tokens.slice(0, one.at), sample })));
}

function goOn() {
  const one = shown[mode];
  if (!one) return;
  if (one.tokens.at(-1)?.end) {
    write(add(version(one.said, { turn: one.turn, from: one, at: one.tokens.length - 1, tokens: one.tokens.slice(0, -1) })));
  } else write(one);
}

function branch(one, index, candidate) {
  const token = { ...candidate, alternatives: one.tokens[index].alternatives, end: false };
  const other = version(one.said, { turn: one.turn, from: one, at: index, tokens: [...one.tokens.slice(0, index), token] });
  write(add(other)).then(() => focusToken(index));
}

// The text

function tokenSpan(one, index, text) {
  const token = one.tokens[index];
  const span = element('span', {
    class: token.end ? 'token end' : 'token', role: 'button', tabindex: -1, data: { index },
    'aria-pressed': String(picked?.version === one && picked.index === index),
    vars: { '--surprise': Math.min(1, -token.log_probability / 8).toFixed(3) },
    title: percent(Math.exp(token.log_probability)),
  }, token.end ? 'end of text' : text);
  if (!token.end && text === '') span.append(element('span', { class: 'byte-mark' }, token.bytes || '∅'));
  return span;
}

function written(one) {
  const parts = textsOf(one.tokens.map(token => token.bytes));
  const box = element('div', {
    class: `written${tinted ? ' tinted' : ''}${writing?.version === one ? ' cursor' : ''}`, role: 'group', data: { version: one.id },
    'aria-label': 'Written by the model: arrow keys go from token to token, Enter shows the alternatives',
  });
  if (mode === 'completion') box.append(element('span', { class: 'prompt' }, one.said));
  one.tokens.forEach((_, index) => box.append(tokenSpan(one, index, parts[index])));
  const first = box.querySelector('.token');
  if (first) first.tabIndex = 0;
  roving(box, '.token');
  box.addEventListener('click', event => choose(one, event.target.closest('.token')));
  box.addEventListener('keydown', event => {
    if (event.key !== 'Enter' && event.key !== ' ') return;
    event.preventDefault();
    choose(one, event.target.closest('.token'));
  });
  return box;
}

function appendTokens(one) {
  const box = place.querySelector(`[data-version="${one.id}"]`);
  if (!box) return;
  const spans = box.querySelectorAll('.token');
  const there = spans.length;
  // No character has more than four tokens: what came before them is settled.
  const from = Math.max(0, there - 4);
  const parts = textsOf(one.tokens.slice(from).map(token => token.bytes));
  // The last token's text may change: a character that was cut in two is whole now.
  if (there > 0 && spans[there - 1] !== document.activeElement) spans[there - 1].replaceWith(tokenSpan(one, there - 1, parts[there - 1 - from]));
  for (let index = there; index < one.tokens.length; index += 1) box.append(tokenSpan(one, index, parts[index - from]));
  if (there === 0) box.querySelector('.token')?.setAttribute('tabindex', '0');
  // The text's end is kept in sight, unless the reader has scrolled away from it.
  const hidden = box.getBoundingClientRect().bottom - find('#composer').getBoundingClientRect().top;
  if (hidden > 0 && hidden < 160) scrollBy(0, hidden + 12);
}

function choose(one, span) {
  if (!span) return;
  picked = { version: one, index: Number(span.dataset.index) };
  for (const other of place.querySelectorAll('.token[aria-pressed="true"]')) other.setAttribute('aria-pressed', 'false');
  span.setAttribute('aria-pressed', 'true');
  span.focus();
  showInspector();
  look();
}

const focusToken = index => place.querySelectorAll('.written:last-of-type .token')[index]?.focus();

function showText() {
  const one = shown[mode];
  if (!one) {
    place.replaceChildren(element('div', { class: 'empty' }, element('p', {}, mode === 'chat'
      ? 'A conversation with the model. A model that was not tuned to chat answers in its own way.'
      : 'The model writes on from what you give it. Then click any token.')));
    return;
  }
  if (mode === 'completion') {
    place.replaceChildren(written(one));
    return;
  }
  place.replaceChildren(element('div', { class: 'turns' }, conversation(one).flatMap(turn => [
    element('div', { class: 'said' }, turn.said),
    element('div', { class: 'reply' }, element('div', { class: 'who' }, model().name), written(turn)),
  ])));
}

// The token looked at

async function look() {
  const at = picked;
  if (!at) return;
  await safely(async () => {
    const { tokens } = await ask('/studio/data/next', { ...order(at.version, at.index), alternatives: 12 });
    if (picked === at) {
      at.now = tokens;
      showInspector();
    }
  })();
}

function showInspector() {
  const box = find('#inspector');
  const title = element('h2', { id: 'token-title' }, 'Token');
  if (!picked) {
    box.replaceChildren(title, element('p', { class: 'quiet' }, 'Click a token of the text, or reach it with Tab and the arrow keys.'));
    return;
  }
  const { version: one, index } = picked;
  const token = one.tokens[index];
  const candidates = picked.now ?? token.alternatives.map(other => ({ ...other, sampled: null }));
  const list = candidates.some(other => other.id === token.id) ? candidates : [...candidates, { ...token, sampled: null }];
  const rows = list.map(other => element('li', {}, element('button', {
    class: 'candidate', type: 'button', 'aria-current': other.id === token.id && 'true', vars: { '--share': `${100 * Math.exp(other.log_probability)}%` },
    title: `token ${other.id}, log-probability ${other.log_probability.toFixed(3)} nats: go on from here with it`,
    onclick: () => branch(one, index, other),
  }, element('span', { class: 'text' }, name(other)),
  element('span', { class: 'number' }, percent(Math.exp(other.log_probability))),
  element('span', { class: 'number' }, other.sampled === null ? other.log_probability.toFixed(2) : percent(other.sampled)))));
  box.replaceChildren(
    element('div', { class: 'row apart' }, title, element('span', { class: 'quiet number' }, `${index + 1} of ${one.tokens.length}`)),
    element('dl', { class: 'facts' },
      fact('Token', name(token)), fact('Id', String(token.id)),
      fact('Probability', percent(Math.exp(token.log_probability))), fact('Log-probability', `${token.log_probability.toFixed(3)} nats`)),
    element('p', { class: 'quiet' }, 'What else could have come. Press one to go on from there.'),
    element('div', { class: 'candidates-head', 'aria-hidden': 'true' }, element('span', {}, 'token'), element('span', {}, 'model'),
      element('span', {}, picked.now ? 'as set' : 'log')),
    element('ul', { class: 'candidates' }, rows));
  roving(box.querySelector('.candidates'), '.candidate');
}

const fact = (term, value) => element('div', {}, element('dt', {}, term), element('dd', {}, value));

function name(token) {
  return model().special_tokens[token.id] ?? (visible(token.bytes) || '∅');
}

// Branches

function showBranches() {
  const all = texts[mode];
  const box = find('#branches');
  box.hidden = all.length < 2;
  if (box.hidden) return;
  const line = one => {
    const parts = textsOf(one.tokens.map(token => token.bytes));
    const start = parts.slice(one.at, one.at + 14).join('').trim() || one.said.slice(-40) || 'empty';
    return element('button', { type: 'button', 'aria-current': one === shown[mode] && 'true', title: parts.slice(one.at).join('').slice(0, 300), onclick: () => {
      stopWriting();
      shown[mode] = one;
      picked = null;
      if (mode === 'completion') input.value = one.said;
      showAll();
    } }, one.from ? element('span', { class: 'at' }, `token ${one.at + 1}`) : element('span', { class: 'at' }, one.turn ? 'then' : 'text'), start);
  };
  const nested = list => element('ul', {}, list.map(one => element('li', {}, line(one), after(all, one).length ? nested(after(all, one)) : null)));
  const tree = nested(roots(all));
  tree.className = 'tree';
  box.replaceChildren(element('h2', { id: 'branches-title' }, `Branches (${all.length})`), tree);
}

// As code

function showCode() {
  const values = settings();
  const one = shown[mode];
  const chat = mode === 'chat';
  const said = one && !input.value ? one.said : input.value || one?.said || WORDS.completion[1];
  const body = { model: model().name, ...(chat ? { messages: [{ role: 'user', content: said }] } : { prompt: said }), max_tokens: values.max_tokens, ...toldSettings(values) };
  const path = chat ? '/v1/chat/completions' : '/v1/completions';
  const quoted = JSON.stringify(body, null, 2).replaceAll("'", "'\\''");
  const curl = `curl ${location.origin}${path} \\\n  -H 'Content-Type: application/json' \\\n  -d '${quoted}'`;
  const known = new Set(['model', 'messages', 'prompt', 'max_tokens', 'temperature', 'top_p', 'seed', 'presence_penalty', 'frequency_penalty']);
  const literal = value => JSON.stringify(value);
  const named = Object.entries(body).filter(([key]) => known.has(key)).map(([key, value]) => `    ${key}=${literal(value)},`);
  const extra = Object.entries(body).filter(([key]) => !known.has(key));
  if (extra.length) named.push(`    extra_body=${literal(Object.fromEntries(extra))},`);
  const python = [
    'from openai import OpenAI', '', `client = OpenAI(base_url="${location.origin}/v1", api_key="-")`,
    `answer = client.${chat ? 'chat.completions' : 'completions'}.create(`, ...named, ')',
    `print(answer.choices[0].${chat ? 'message.content' : 'text'})`,
  ].join('\n');
  const part = (title, text) => {
    const button = element('button', { type: 'button', onclick: () => copy(text, button) }, 'Copy');
    return element('section', {}, element('div', { class: 'row apart' }, element('h3', {}, title), button), element('pre', {}, text));
  };
  find('#code-dialog').replaceChildren(element('form', { method: 'dialog', class: 'stack' },
    element('div', { class: 'row apart' }, element('h2', { id: 'code-title' }, 'The same from a program'), element('button', {}, 'Close')),
    part('curl', curl), part('Python', python)));
  find('#code-dialog').showModal();
}

// The page

function showAll() {
  showText();
  showInspector();
  showBranches();
  const one = shown[mode];
  find('#stop').hidden = !writing;
  find('#again').disabled = !one;
  find('#more').disabled = !one || Boolean(writing);
  find('#write').firstChild.textContent = mode === 'chat' ? 'Send ' : 'Write ';
  find('#clear').textContent = mode === 'chat' ? 'New conversation' : 'New text';
  find('#input-label').textContent = WORDS[mode][0];
  input.placeholder = WORDS[mode][0];
  input.rows = mode === 'chat' ? 2 : 3;
}

function changedSettings() {
  clearTimeout(restart);
  restart = setTimeout(() => {
    // What is being written goes on under the new settings from where it is.
    if (writing) write(writing.version);
    look();
  }, 250);
}

find('#composer').addEventListener('submit', event => {
  event.preventDefault();
  safely(submit)();
});
input.addEventListener('keydown', event => {
  const sends = event.key === 'Enter' && (event.ctrlKey || event.metaKey || (mode === 'chat' && !event.shiftKey));
  if (!sends || event.isComposing) return;
  event.preventDefault();
  safely(submit)();
});
document.addEventListener('keydown', event => {
  if (event.key === 'Escape' && writing) stopWriting();
});
find('#stop').addEventListener('click', stopWriting);
find('#again').addEventListener('click', another);
find('#more').addEventListener('click', goOn);
find('#clear').addEventListener('click', () => {
  stopWriting();
  shown[mode] = null;
  picked = null;
  find('#status').textContent = '';
  input.value = '';
  showAll();
  input.focus();
});
find('#code').addEventListener('click', showCode);

function showModes(bar) {
  bar.append(element('div', { class: 'segments', role: 'radiogroup', 'aria-label': 'Mode' },
    [['completion', 'Completion'], ['chat', 'Chat']].map(([value, words]) => element('label', {},
      element('input', { type: 'radio', name: 'mode', value, checked: mode === value, onchange: () => {
        stopWriting();
        mode = value;
        picked = null;
        input.value = mode === 'completion' ? shown.completion?.said ?? WORDS.completion[1] : '';
        showAll();
      } }), element('span', {}, words)))),
  element('label', { class: 'check' }, element('input', { type: 'checkbox', id: 'tint', onchange: event => {
    tinted = event.target.checked;
    showText();
  } }), 'Tint surprising tokens'));
}

safely(async () => {
  await about();
  const bar = find('#mode');
  model = await modelPicker(bar, () => { stopWriting(); showAll(); });
  showModes(bar);
  settings = makeSettings(find('#settings'), changedSettings);
  input.value = mode === 'completion' ? WORDS.completion[1] : '';
  showAll();
})();
