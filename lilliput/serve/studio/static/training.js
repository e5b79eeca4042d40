// Training runs: curves laid over one another, samples as they improve, speed, cost, time left.

import { Told, about, ask, count, duration, element, find, hasKey, percent, safely, scaled, segments, short } from './page.js';
import { lineChart, tickLabel } from './chart.js';

const EVERY = 2000, EVERY_LIST = 6000;
const MEASURES = {
  bits_per_byte: ['Bits per byte', true], loss: ['Loss, nats per token', true], tokens_per_second: ['Tokens per second', false],
  gradient_norm: ['Gradient norm', false], peak_share: ['Share of the matmul peak', false], memory_bytes: ['Memory, bytes', false],
  joules: ['Energy, joules', false], dollars: ['Cost, dollars', false],
};
const AXES = {
  tokens: ['Tokens', tickLabel], seconds: ['Time', value => duration(value)], flops: ['Compute, FLOP', tickLabel], step: ['Steps', tickLabel],
};
const view = { measure: 'bits_per_byte', axis: 'seconds', logX: false, logY: true };
const ticked = new Map();    // name of a run → what was told of it
let runs = [];
let main = null;             // the run whose facts and samples are shown
let sampleAt = null;         // the step of the samples looked at; null: the newest

const STATES = { live: 'training', finished: 'finished', stopped: 'stopped' };
const colourOf = name => [...ticked.keys()].indexOf(name) % 8;

// The list

function showRuns() {
  find('#runs').replaceChildren(...runs.map(run => {
    const box = element('input', { type: 'checkbox', checked: ticked.has(run.name), onchange: safely(async () => {
      if (box.checked) await read(run.name);
      else ticked.delete(run.name);
      main = box.checked ? run.name : [...ticked.keys()].at(-1) ?? null;
      sampleAt = null;
      showRuns();
      showRun();
    }) });
    const bits = run.validation_bits_per_byte;
    const facts = [STATES[run.state], bits === null ? null : `${bits.toFixed(3)} bits/byte`,
      run.state === 'live' && run.last.progress !== null ? percent(run.last.progress) : null].filter(Boolean).join(' · ');
    return element('li', {}, element('label', { class: 'run' }, box,
      element('span', { class: 'name' }, run.name),
      ticked.has(run.name) ? element('i', { class: `swatch f${colourOf(run.name)}` }) : element('span'),
      element('span', { class: 'quiet number' }, facts)));
  }));
}

// One run

async function read(name) {
  const known = ticked.get(name);
  const query = new URLSearchParams({ name, read: known?.read ?? -1 });
  const told = await ask(`/studio/data/runs/curves?${query}`);
  ticked.set(name, told.training ? told : { ...known, headline: told.headline });
  const at = runs.findIndex(run => run.name === name);
  if (at >= 0) runs[at] = told.headline;
  return Boolean(told.training);
}

function showChart() {
  const [label, bothCurves] = MEASURES[view.measure];
  const [axis, say] = AXES[view.axis];
  const lines = [...ticked].flatMap(([name, told]) => {
    const line = (columns, kind, options) => {
      const y = columns[view.measure], x = columns[view.axis];
      return y && x ? [{ name: ticked.size > 1 ? `${name}, ${kind}` : kind, x, y, ...options }] : [];
    };
    const colour = colourOf(name);
    return [...line(told.training, 'training', { colour }),
      ...(bothCurves ? line(told.validation, 'validation', { colour: ticked.size > 1 ? colour : 1, dots: told.validation.step?.length < 60, dashed: true }) : [])];
  });
  const several = ticked.size > 1;
  const named = several ? [...ticked.keys()].map(name => ({ name, colour: colourOf(name) })) : lines;
  const legend = element('p', { class: 'legend' }, named.map(line => element('span', {}, element('i', { class: `swatch f${line.colour}` }), line.name)),
    several && bothCurves ? element('span', {}, 'full: training; dashed: validation') : null);
  find('#chart').replaceChildren(lineChart(find('#chart'), lines, { label: `${label} over ${axis.toLowerCase()}`, xLabel: axis, logX: view.logX, logY: view.logY, time: view.axis === 'seconds', say }), legend);
}

const fact = (term, value) => (value === null || value === undefined ? null : element('div', {}, element('dt', {}, term), element('dd', {}, value)));
const when = (value, say) => (value === null || value === undefined ? null : say(value));

function showFacts() {
  const { headline } = ticked.get(main);
  const { last } = headline;
  const box = find('#facts');
  box.hidden = false;
  const report = headline.report && !hasKey()
    ? element('a', { class: 'button', href: `/studio/data/runs/report?name=${encodeURIComponent(main)}` }, 'Open the report') : null;
  const share = Math.min(1, last.progress ?? 0);
  box.replaceChildren(
    element('div', { class: 'row apart' }, element('div', { class: 'row' }, element('h2', { id: 'facts-title' }, main),
      element('span', { class: `badge ${headline.state}` }, STATES[headline.state])), report),
    last.progress === null ? element('div') : element('div', { class: 'meter', role: 'progressbar', 'aria-valuenow': Math.round(share * 100), 'aria-valuemin': 0, 'aria-valuemax': 100, 'aria-label': 'Progress' },
      element('div', { vars: { width: `${share * 100}%` } })),
    element('dl', { class: 'facts setting' },
      fact('Validation bits/byte', when(headline.validation_bits_per_byte, value => value.toFixed(4))),
      fact('Training bits/byte', when(last.bits_per_byte, value => value.toFixed(4))),
      fact('Steps', when(last.step, count)), fact('Tokens', when(last.tokens, short)),
      fact('Time', when(last.seconds, duration)),
      fact('Time left', headline.state === 'live' ? when(last.seconds_left, value => duration(value - headline.age)) : null),
      fact('Speed', when(last.tokens_per_second, value => `${count(value)} tokens/s`)),
      fact('Compute', when(headline.flops, value => scaled(value, 'FLOP'))),
      fact('Matmul peak used', when(last.peak_share, percent)),
      fact('Memory', when(last.memory_bytes, value => scaled(value, 'B'))),
      fact('Energy', when(last.joules, value => `${scaled(value, 'J')} (${scaled(value / 3600, 'Wh')})`)),
      fact('Cost', when(last.dollars, value => `$${value.toFixed(value < 0.1 ? 4 : 2)}`)),
      fact('Device', headline.device)));
}

function showSamples() {
  const { samples } = ticked.get(main);
  const box = find('#samples');
  box.hidden = !samples.length;
  if (box.hidden) return;
  const steps = [...new Set(samples.map(sample => sample.step))];
  const at = steps.includes(sampleAt) ? steps.indexOf(sampleAt) : steps.length - 1;
  const field = element('input', { type: 'range', min: 0, max: steps.length - 1, step: 1, id: 'sample-step', oninput: () => {
    sampleAt = Number(field.value) === steps.length - 1 ? null : steps[Number(field.value)];
    fill();
  } });
  field.value = at;
  const shown = element('output', { for: 'sample-step', class: 'number' });
  const list = element('div', {});
  const fill = () => {
    const step = steps[Number(field.value)];
    shown.value = `Step ${count(step)}`;
    list.replaceChildren(...samples.filter(sample => sample.step === step).map(sample => element('div', { class: 'sample' },
      element('p', { class: 'prose', dir: 'auto' }, element('span', { class: 'prompt' }, sample.prompt), sample.text))));
  };
  box.replaceChildren(element('div', { class: 'row apart' }, element('h2', { id: 'samples-title' }, 'What it wrote as it learned'), shown),
    steps.length > 1 ? element('label', { for: 'sample-step', class: 'visually-hidden' }, 'Step of the samples') : null,
    steps.length > 1 ? field : null, list);
  fill();
}

function showEvents() {
  const { events } = ticked.get(main);
  const box = find('#events');
  box.hidden = !events.length;
  box.replaceChildren(element('h2', { id: 'events-title' }, 'Events'), element('table', {}, element('tbody', {}, events.map(event =>
    element('tr', {}, element('th', { scope: 'row', class: 'number' }, `step ${count(event.step ?? 0)}`), element('td', {}, event.message))))));
}

function showRun() {
  for (const id of ['#facts', '#samples', '#events']) find(id).hidden = true;
  if (!main) {
    find('#chart').replaceChildren(element('p', { class: 'empty' }, runs.length ? 'Tick a run to see its curves.' : 'No run yet. Start one with `lilliput train`, and it shows up here.'));
    return;
  }
  showChart();
  showFacts();
  showSamples();
  showEvents();
}

// Choices

function showControls() {
  const measure = element('select', { id: 'measure', onchange: () => { view.measure = measure.value; view.logY = MEASURES[view.measure][1]; logY.checked = view.logY; redraw(); } },
    Object.entries(MEASURES).map(([value, [words]]) => element('option', { value }, words)));
  const logX = element('input', { type: 'checkbox', onchange: () => { view.logX = logX.checked; redraw(); } });
  const logY = element('input', { type: 'checkbox', checked: view.logY, onchange: () => { view.logY = logY.checked; redraw(); } });
  const redraw = () => main && showChart();
  find('#controls').append(
    element('label', { for: 'measure', class: 'visually-hidden' }, 'Measure'), measure,
    segments('axis', 'Axis across', { seconds: 'Time', tokens: 'Tokens', flops: 'FLOP', step: 'Steps' }, view.axis, value => { view.axis = value; redraw(); }),
    element('label', { class: 'check' }, logX, 'log →'), element('label', { class: 'check' }, logY, 'log ↑'));
}

// The page

async function list() {
  const told = await ask('/studio/data/runs');
  find('#folder').textContent = `Runs below ${told.folder}, finished and going on. Tick several to lay their curves over one another.`;
  runs = told.runs;
  showRuns();
}

async function follow() {
  try {
    const live = runs.filter(run => run.state === 'live' && ticked.has(run.name));
    for (const run of live) {
      if (await read(run.name) && main) {
        showChart();
        if (run.name === main) {
          showSamples();
          showEvents();
        }
      }
      if (run.name === main) showFacts();
    }
  } catch { /* the server may be away for a moment: the next round asks again */ }
  setTimeout(follow, EVERY);
}

safely(async () => {
  if ((await about()).runs === null) {
    for (const section of document.querySelectorAll('.with-side')) section.hidden = true;
    throw new Told('No folder of runs is shown. Start with `lilliput serve MODEL --runs runs/`.');
  }
  showControls();
  await list();
  if (runs.length) {
    main = runs[0].name;
    await read(main);
  }
  showRuns();
  showRun();
  setTimeout(follow, EVERY);
  setInterval(() => { if (!document.activeElement?.closest('#runs')) list().catch(() => {}); }, EVERY_LIST);
})();
