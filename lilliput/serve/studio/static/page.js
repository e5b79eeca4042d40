// What every page shares: elements, questions to the server, errors in words, the bar at the top.

/** An element with attributes (`on…` are listeners, `data` and `vars` objects) and children. */
export function element(tag, attributes = {}, ...children) {
  const svg = ['svg', 'path', 'line', 'circle', 'rect', 'text', 'g', 'title'].includes(tag);
  const made = svg
    ? document.createElementNS('http://www.w3.org/2000/svg', tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) made.addEventListener(name.slice(2), value);
    else if (name === 'vars') {
      for (const [property, set] of Object.entries(value)) made.style.setProperty(property, set);
    } else if (name === 'data') Object.assign(made.dataset, value);
    else made.setAttribute(name, value === true ? '' : value);
  }
  made.append(...children.flat().filter(child => child !== null && child !== undefined));
  return made;
}

export const find = selector => document.querySelector(selector);

/** A failure that is told to the reader as it stands. */
export class Told extends Error {}

function headers(extra = {}) {
  const key = sessionStorage.getItem('lilliput-key');
  return key ? { ...extra, Authorization: `Bearer ${key}` } : extra;
}

export const hasKey = () => Boolean(sessionStorage.getItem('lilliput-key'));

async function reach(path, body, signal) {
  let answer;
  try {
    answer = await fetch(path, {
      signal,
      method: body === undefined ? 'GET' : 'POST',
      headers: headers(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Told('The server does not answer. Is `lilliput serve` still running?');
  }
  if (answer.status === 401) {
    await askForKey();
    return reach(path, body, signal);
  }
  if (answer.ok) return answer;
  let message = `The server answered ${answer.status}.`;
  try {
    const told = await answer.json();
    message = told.error?.message ?? told.detail?.[0]?.msg ?? told.detail ?? message;
  } catch { /* no JSON: the status has to do */ }
  throw new Told(String(message));
}

/** The JSON answer to a question: GET, or POST where there is a body. Throws Told. */
export const ask = async (path, body, signal) => (await reach(path, body, signal)).json();

/** The objects of a stream of events, as they come. Throws Told. */
export async function* stream(path, body, signal) {
  const answer = await reach(path, body, signal);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = '';
  while (true) {
    const { done, value } = await reader.read();
    if (done) return;
    waiting += value;
    const events = waiting.split('\n\n');
    waiting = events.pop();
    for (const event of events) {
      const text = event.replace(/^data: /, '');
      if (text === '[DONE]') return;
      const told = JSON.parse(text);
      if (told.error) throw new Told(told.error.message);
      yield told;
    }
  }
}

function askForKey() {
  return new Promise(resolve => {
    const field = element('input', { type: 'password', id: 'key', autocomplete: 'off', required: true });
    const form = element('form', { method: 'dialog', class: 'stack' },
      element('h2', {}, 'This server asks for its key'),
      element('label', { for: 'key' }, 'The key given with --api-key. It is kept in this tab only.'),
      field, element('div', {}, element('button', { class: 'main' }, 'Go on')));
    const dialog = element('dialog', { 'aria-label': 'Key' }, form);
    dialog.addEventListener('close', () => {
      sessionStorage.setItem('lilliput-key', field.value);
      dialog.remove();
      resolve();
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Say on the page what went wrong; an aborted question is no failure. */
export function tell(error) {
  if (error?.name === 'AbortError') return;
  if (!(error instanceof Told)) console.error(error);
  clearTold();
  const words = error instanceof Told ? error.message : `The page failed: ${error.message ?? error}`;
  const box = element('div', { class: 'told', role: 'alert', id: 'told' },
    element('p', {}, words),
    element('button', { class: 'plain', 'aria-label': 'Dismiss', onclick: clearTold }, '✕'));
  find('main').prepend(box);
}

export const clearTold = () => find('#told')?.remove();

/** Run a handler and tell its failure. */
export const safely = handler => async (...values) => {
  try {
    clearTold();
    return await handler(...values);
  } catch (error) {
    tell(error);
    return undefined;
  }
};

// Numbers

export const count = value => Math.round(value).toLocaleString('en');
export function short(value) {
  for (const [limit, letter] of [[1e12, 'T'], [1e9, 'B'], [1e6, 'M'], [1e3, 'k']]) {
    if (Math.abs(value) >= limit) return `${Number((value / limit).toPrecision(3))}${letter}`;
  }
  return String(Number(value.toPrecision(4)));
}
export function scaled(value, unit) {
  for (const [limit, prefix] of [[1e18, 'E'], [1e15, 'P'], [1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e3, 'k']]) {
    if (Math.abs(value) >= limit) return `${Number((value / limit).toPrecision(3))} ${prefix}${unit}`;
  }
  return `${Number(value.toPrecision(3))} ${unit}`;
}
export function percent(share) {
  if (share >= 0.9995) return '100%';
  if (share >= 0.0995) return `${(share * 100).toFixed(1)}%`;
  if (share >= 0.001) return `${(share * 100).toFixed(2)}%`;
  if (share >= 1e-5) return `${(share * 100).toFixed(3)}%`;
  return share > 0 ? '<0.001%' : '0%';
}
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = value => String(value).padStart(2, '0');
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

// Tokens

export const bytesOf = hex => Uint8Array.from(hex.match(/../g) ?? [], pair => parseInt(pair, 16));

/** A token's bytes as text in one line: blanks and broken characters made visible. */
export function visible(hex) {
  const bytes = bytesOf(hex);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
      .replaceAll('\n', '↵').replaceAll('\t', '⇥').replaceAll(' ', '␣');
  } catch {
    return [...bytes].map(byte => `‹${byte.toString(16).padStart(2, '0')}›`).join('');
  }
}

/** The text that each token of a row adds: a character cut in two stands with its last token. */
export function textsOf(hexes) {
  const decoder = new TextDecoder('utf-8');
  return hexes.map((hex, index) => decoder.decode(bytesOf(hex), { stream: index < hexes.length - 1 }));
}

/** Move the focus within a group by the arrow keys: one stop of the Tab key for all. */
export function roving(group, selector, { columns = 0 } = {}) {
  const items = () => [...group.querySelectorAll(selector)];
  group.addEventListener('keydown', event => {
    const all = items();
    const at = all.indexOf(document.activeElement);
    const width = typeof columns === 'function' ? columns() : columns;
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: width || 1, ArrowUp: -(width || 1) }[event.key];
    let to = step ? at + step : event.key === 'Home' ? 0 : event.key === 'End' ? all.length - 1 : -1;
    if (at < 0 || to < 0 || to >= all.length || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    all[at].tabIndex = -1;
    all[to].tabIndex = 0;
    all[to].focus();
  });
  group.addEventListener('focusin', event => {
    const item = event.target.closest(selector);
    if (item) for (const one of items()) one.tabIndex = one === item ? 0 : -1;
  });
}

/** A choice among radio buttons that looks like one switch. */
export function segments(name, label, options, chosen, choose) {
  return element('div', { class: 'segments', role: 'radiogroup', 'aria-label': label },
    Object.entries(options).map(([value, text]) => element('label', {},
      element('input', { type: 'radio', name, value, checked: value === chosen, onchange: () => choose(value) }),
      element('span', {}, text))));
}

/** A small box beside the pointer. */
const box = element('div', { class: 'bubble', role: 'status', hidden: true });
export function showBubble(event, ...content) {
  if (!box.isConnected) document.body.append(box);
  box.replaceChildren(...content.flat());
  box.hidden = false;
  const { width, height } = box.getBoundingClientRect();
  const left = event.clientX + 16 + width > innerWidth ? event.clientX - 16 - width : event.clientX + 16;
  const above = event.clientY - height - 12;
  box.style.left = `${Math.max(4, left)}px`;
  box.style.top = `${above < 4 ? event.clientY + 18 : above}px`;
}
export const hideBubble = () => { box.hidden = true; };

export async function copy(text, button) {
  const before = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = 'Copied';
  } catch {
    button.textContent = 'Could not copy';
  }
  setTimeout(() => { button.textContent = before; }, 1400);
}

// The bar at the top

const PAGES = [
  ['/studio/chat', 'Chat'], ['/studio/xray', 'X-ray'], ['/studio/tokenizer', 'Tokenizer'],
  ['/studio/training', 'Training'], ['/studio/corpus', 'Corpus'],
];

function themeButton() {
  const root = document.documentElement;
  const dark = () => root.dataset.theme
    ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  const button = element('button', { class: 'square plain', type: 'button', id: 'theme' });
  const show = () => {
    button.textContent = dark() ? '☀' : '☾';
    button.setAttribute('aria-label', dark() ? 'Light colours' : 'Dark colours');
    button.title = button.getAttribute('aria-label');
  };
  button.addEventListener('click', () => {
    root.dataset.theme = dark() ? 'light' : 'dark';
    localStorage.setItem('lilliput-theme', root.dataset.theme);
    show();
    document.dispatchEvent(new Event('themechange'));
  });
  show();
  return button;
}

find('.top').append(element('div', {},
  element('a', { class: 'brand', href: '/' },
    element('img', { src: '/studio/static/icon.svg', alt: '', width: 24, height: 24 }),
    element('span', {}, 'Lilliput')),
  element('nav', { 'aria-label': 'Studio' }, PAGES.map(([path, name]) => element('a',
    { href: path, 'aria-current': location.pathname === path && 'page' }, name))),
  themeButton()));
find('.foot').textContent = 'Everything here stays on this machine: the pages load nothing from anywhere else.';
document.querySelector('.top [aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'center' });

let asked;
/** What is served; asked once a page. */
export const about = () => (asked ??= ask('/studio/data/about'));

/** A choice of model where several are served; gives the chosen model's facts. */
export async function modelPicker(place, changed) {
  const { models } = await about();
  if (!models.length) throw new Told('No model is served: start with `lilliput serve MODEL`.');
  const wanted = new URLSearchParams(location.search).get('model');
  let chosen = models.find(model => model.name === wanted) ?? models[0];
  if (models.length > 1) {
    const list = element('select', { id: 'model', onchange: () => {
      chosen = models.find(model => model.name === list.value);
      changed(chosen);
    } }, models.map(model => element('option', { value: model.name, selected: model === chosen }, model.name)));
    place.append(element('label', { for: 'model' }, 'Model '), list);
  } else {
    place.append(element('span', { class: 'quiet' }, `${chosen.name} · ${short(chosen.parameters)} parameters`));
  }
  return () => chosen;
}
