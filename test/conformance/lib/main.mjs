// Runs the matrix cell by cell, prints a line for each, and compares the differences with waiting.txt.
import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { fileURLToPath } from 'node:url';
import { eraOf, isTag, matches, matrix, nameOf, quick } from './cells.mjs';
import { startChain, startPeer } from './gateway.mjs';
import { differences, passed, readResults, replace } from './results.mjs';
import { Scenarios, baselineFile } from './scenarios.mjs';
import { Suite } from './suite.mjs';
import { assumed, misfits, propose, readWaiting, summary, unlisted, vanished } from './waiting.mjs';

const HOME = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const WAITING = path.join(HOME, 'waiting.txt');
const REVISIONS = ['2025-06-18', '2025-11-25', '2026-07-28'];

const { values: options, positionals: only } = parseArgs({
  allowPositionals: true,
  options: {
    cache: { type: 'string' }, work: { type: 'string' }, gateway: { type: 'string' },
    quick: { type: 'boolean' }, propose: { type: 'boolean' }, save: { type: 'boolean' },
  },
});
const stray = only.find((word) => !isTag(word));
if (stray !== undefined) throw new Error(`${stray} is neither an option nor a tag of a cell`);

// These scenarios wait 0.2 to 2 s for an answer, too short on a machine that does much else: with
// a difference that is not listed they get more tries, and are named. No other scenario does.
const HURRIED = ['server-stateless', 'server-sse-multiple-streams', 'tools-call-with-logging'];
const MORE_TRIES = 2;

const suite = new Suite(options);
const scenarios = new Scenarios({ home: HOME, cache: options.cache, revisions: REVISIONS });
const say = options.propose ? console.error : console.log;
const WIDTHS = [10, 12, 9, 8, 7, 12, 12, 11, 10, 8, 4];
const row = (...values) => say(values.map((v, i) => (i < 5 ? String(v).padEnd(WIDTHS[i]) : String(v).padStart(WIDTHS[i]))).join('  ').trimEnd());

/** Runs the suite on the cell's scenarios and reads what it gave. */
async function run(cell, url, folder, waiting) {
  const began = Date.now();
  const baseline = scenarios.baseline(cell);
  const results = await once(cell, url, path.join(folder, cell.client), scenarios.of(cell));
  const hurried = () => {
    const news = unlisted(waiting, { cell, differences: differences(baseline, results) });
    return HURRIED.filter((scenario) => news.some((d) => d.scenario === scenario));
  };
  const again = hurried();
  for (let i = 1, late = again; late.length > 0 && i <= MORE_TRIES; i++, late = hurried()) {
    replace(results, await once(cell, url, path.join(folder, `${cell.client}-again-${i}`), late));
  }
  return { cell, results, baseline, differences: differences(baseline, results), again, seconds: Math.round((Date.now() - began) / 1000) };
}

async function once(cell, url, out, list) {
  await suite.run({ url, revision: cell.client, scenarios: list, out });
  return readResults(out);
}

function report(done, waiting) {
  const { cell } = done;
  const count = (names) => `${passed(done.results, names)} of ${names.length}`;
  const more = scenarios.more(cell);
  row(cell.client, cell.server, cell.transport ?? 'direct', cell.names ?? '', cell.company ?? '', count(scenarios.scored(cell)),
    more.length > 0 ? count(more) : '', done.differences.length, unlisted(waiting, done).length, vanished(waiting, done).length, done.seconds);
}

/** Without the gateway: what the other cells are compared with must still be so. */
async function direct(client) {
  const cell = { client, server: `to-${eraOf(client)}` };
  const folder = path.join(options.work, `direct-${client}`);
  fs.mkdirSync(folder, { recursive: true });
  const peer = await startPeer({ cache: options.cache, server: cell.server, folder });
  try {
    if (options.save) {
      await suite.runAll({ url: peer.url, revision: client, out: folder });
      fs.writeFileSync(baselineFile(HOME, client), JSON.stringify(readResults(folder).statuses, null, 1) + '\n');
      return [];
    }
    const done = await run(cell, peer.url, folder, []);
    report(done, []);
    return done.differences.map((d) => `${client} direct is not as in baselines/: ${d.key}  ${d.direct} -> ${d.now}`);
  } finally {
    await peer.stop();
  }
}

/** The cells of one gateway, one after the other. */
async function group(cells, waiting, problems) {
  const { server, transport, names, company } = cells[0];
  const folder = path.join(options.work, [server, transport, names, company].join('-'));
  fs.mkdirSync(folder, { recursive: true });
  const runs = [];
  let chain;
  try {
    chain = await startChain({ ...options, group: cells[0], folder });
  } catch (e) {
    problems.push(`${nameOf(cells[0])}: ${e.message}`);
    return runs;
  }
  for (const cell of cells) {
    try {
      const done = await run(cell, chain.url, folder, waiting);
      runs.push(done);
      report(done, waiting);
    } catch (e) {
      problems.push(`${nameOf(cell)}: ${e.message}`);
    }
  }
  await chain.stop();
  return runs;
}

async function main() {
  const all = matrix();
  const chosen = (cell) => matches(only, cell) && (!options.quick || quick(cell));
  const waiting = readWaiting(WAITING);
  const problems = misfits(waiting, all.flat(), (cell) => scenarios.of(cell)).map((m) => `waiting.txt: ${m}`);
  row('client', 'server', 'transport', 'names', 'company', 'passed', 'beyond', 'differences', 'not listed', 'vanished', 's');
  if (options.save || (!options.quick && only.length === 0)) {
    for (const revision of REVISIONS) problems.push(...(await direct(revision)));
  }
  if (options.save) return 0;
  const runs = [];
  for (const cells of all.map((g) => g.filter(chosen)).filter((g) => g.length > 0)) runs.push(...(await group(cells, waiting, problems)));
  await suite.end();

  const where = (l) => `${[l.key, ...l.tags].join(' ')} in ${l.cells.length} cell(s)`;
  for (const l of summary(runs, (done) => unlisted(waiting, done))) {
    const { direct: was, now, error } = l.difference;
    problems.push(`not in waiting.txt: ${where(l)}  ${was} -> ${now}${error ? `: ${error}` : ''}`);
  }
  for (const l of summary(runs, (done) => vanished(waiting, done))) problems.push(`in waiting.txt, but no difference: ${where(l)}`);
  for (const { cell, again } of runs.filter((done) => done.again.length > 0)) say(`had more tries: ${nameOf(cell)}: ${again.join(', ')}`);
  for (const p of problems) say(p);
  if (options.propose) {
    const rest = all.flat().filter((cell) => !runs.some((done) => nameOf(done.cell) === nameOf(cell)));
    const whole = [...runs, ...rest.map((cell) => assumed(waiting, cell, scenarios.baseline(cell)))];
    process.stdout.write(propose(fs.readFileSync(WAITING, 'utf8'), waiting, whole));
  }
  return problems.length > 0 ? 1 : 0;
}

process.exitCode = await main().finally(() => suite.end());
