// waiting.txt: the differences that are known, one a line: "scenario :: check @tag @tag  reason".
// A line with tags is about the cells that have all of them, one without about every cell.
import fs from 'node:fs';
import { describe, isTag, matches } from './cells.mjs';

const LINE = /^(\S+) :: (\S+)((?: @\S+)*)\s{2,}(\S.*)$/;
const NEW = '?'; // what a proposed line has for a reason until someone writes one

export function parseWaiting(text, file) {
  const out = [];
  for (const [i, line] of text.split('\n').entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const bad = (why) => new Error(`${file}:${i + 1}: ${why}`);
    const m = line.match(LINE);
    if (!m) throw bad('want "scenario :: check @tag  reason"');
    const [, scenario, check, words, reason] = m;
    const tags = words.split(' ').filter(Boolean);
    const unknown = tags.find((tag) => !isTag(tag));
    if (unknown) throw bad(`${unknown} is no tag`);
    out.push({ line: i + 1, key: `${scenario} :: ${check}`, scenario, tags, reason, text: line });
  }
  return out;
}

/** What is wrong with waiting.txt by itself, for all cells there are: [text]. */
export function misfits(waiting, cells, scenarios) {
  const seen = new Map();
  const out = [];
  for (const w of waiting) {
    const same = `${w.key} ${w.tags.join(' ')}`;
    if (w.reason.startsWith(NEW)) out.push(`line ${w.line} has no reason: ${w.text}`);
    if (seen.has(same)) out.push(`line ${w.line} says what line ${seen.get(same)} says: ${w.text}`);
    if (!cells.some((cell) => matches(w.tags, cell) && scenarios(cell).includes(w.scenario))) out.push(`line ${w.line} is about no cell: ${w.text}`);
    seen.set(same, w.line);
  }
  return out;
}

const listed = (waiting, cell, key) => waiting.some((w) => w.key === key && matches(w.tags, cell));
const about = (w, run) => matches(w.tags, run.cell) && w.scenario in run.baseline;

export const unlisted = (waiting, run) => run.differences.filter((d) => !listed(waiting, run.cell, d.key));

/** A listed difference must show in every cell that its line is about. */
export const vanished = (waiting, run) =>
  waiting.filter((w) => about(w, run) && !run.differences.some((d) => d.key === w.key));

/** One line for each difference, with the tags that say where it was: [{key, tags, cells, difference}]. */
export function summary(runs, differencesOf) {
  const byKey = new Map();
  for (const run of runs) {
    for (const d of differencesOf(run)) byKey.set(d.key, [...(byKey.get(d.key) ?? []), { cell: run.cell, d }]);
  }
  return [...byKey].flatMap(([key, where]) => {
    const scenario = where[0].d.scenario;
    const ran = runs.filter((run) => scenario in run.baseline).map((run) => run.cell);
    return describe(where.map((w) => w.cell), ran).map(({ tags, cells }) =>
      ({ key, tags, cells, difference: where.find((w) => w.cell === cells[0]).d }));
  });
}

/** A cell that did not run, with the differences that are listed for it: what is not known stays as it is. */
export function assumed(waiting, cell, baseline) {
  const keys = new Set(waiting.filter((w) => about(w, { cell, baseline })).map((w) => w.key));
  return { cell, baseline, differences: [...keys].map((key) => ({ key, scenario: key.split(' :: ')[0] })) };
}

/** The text that waiting.txt should hold for these runs: its comments, order and reasons stay. */
export function propose(text, waiting, runs) {
  const lines = summary(runs, (run) => run.differences);
  const done = new Set();
  const render = (key) => {
    if (done.has(key)) return [];
    done.add(key);
    return lines.filter((l) => l.key === key).map((l) => {
      const { direct, now, error } = l.difference;
      return `${[key, ...l.tags].join(' ')}  ${reason(waiting, l) ?? `${NEW} ${direct} -> ${now}${error ? `: ${error}` : ''}`}`;
    });
  };
  const blocks = text.trimEnd().split(/\n\n+/).map((block) => {
    const old = block.split('\n');
    const comments = old.filter((l) => l.startsWith('#'));
    const kept = old.flatMap((l) => render(l.match(LINE) ? l.match(LINE).slice(1, 3).join(' :: ') : ''));
    return kept.length > 0 || comments.length === old.length ? [...comments, ...kept].join('\n') : '';
  });
  const fresh = lines.flatMap((l) => render(l.key));
  if (fresh.length > 0) blocks.push(['# New: each needs a reason in place of the question mark.', ...fresh].join('\n'));
  return blocks.filter(Boolean).join('\n\n') + '\n';
}

/** Of the lines there are for a difference, the reason of the one that was about most of these cells. */
function reason(waiting, { key, cells }) {
  const fit = (w) => cells.filter((cell) => matches(w.tags, cell)).length;
  return waiting.filter((w) => w.key === key).sort((a, b) => fit(b) - fit(a))[0]?.reason;
}

export const readWaiting = (file) => parseWaiting(fs.readFileSync(file, 'utf8'), file);
