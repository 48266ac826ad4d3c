// Runs every leg, prints one table, and compares the differences with waiting.txt.
// A leg is a revision and a way: directly to the peer, or through the gateway, with the tools' names
// as the gateway gives them (the shim adds and strips the prefix) or with the prefix off in the config.
import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { fileURLToPath } from 'node:url';
import { runLeg } from './leg.mjs';
import { differences, readResults, totals } from './results.mjs';
import { readWaiting, unlisted, vanished } from './waiting.mjs';

const HERE = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const REVISIONS = [
  { revision: '2025-06-18', era: 'stateful' },
  { revision: '2025-11-25', era: 'stateful' },
  { revision: '2026-07-28', era: 'stateless' },
];
const WAYS = ['direct', 'prefixed', 'bare'];

const { values: options } = parseArgs({
  options: { cache: { type: 'string' }, work: { type: 'string' }, gateway: { type: 'string' }, save: { type: 'boolean' } },
});

const baselineFile = (leg) => path.join(HERE, 'baselines', `go-${leg.era}-${leg.revision}.json`);

async function one(leg) {
  const out = path.join(options.work, `${leg.revision}-${leg.way}`);
  fs.mkdirSync(out, { recursive: true });
  await runLeg({ ...leg, out, cache: options.cache, gateway: options.gateway });
  const results = readResults(out);
  if (options.save && leg.way === 'direct') {
    fs.writeFileSync(baselineFile(leg), JSON.stringify(results.statuses, null, 1) + '\n');
  }
  const baseline = JSON.parse(fs.readFileSync(baselineFile(leg), 'utf8'));
  return { leg, totals: totals(results), baseline, differences: differences(baseline, results) };
}

function table(rows) {
  const widths = rows[0].map((_, i) => Math.max(...rows.map((r) => String(r[i]).length)));
  return rows.map((r) => r.map((v, i) => (i === 0 ? String(v).padEnd(widths[i]) : String(v).padStart(widths[i]))).join('  ')).join('\n');
}

const waiting = readWaiting(path.join(HERE, 'waiting.txt'));
const done = [];
for (const { revision, era } of REVISIONS) {
  for (const way of WAYS) done.push(await one({ revision, era, way }));
}

const rows = [['leg', 'scenarios', 'clean', 'passed', 'failed', 'warnings', 'differences', 'unlisted', 'vanished']];
const wrong = [];
for (const d of done) {
  const listed = d.leg.way === 'direct' ? [] : waiting;
  const news = unlisted(listed, d), gone = vanished(listed, d);
  const t = d.totals;
  rows.push([`${d.leg.revision} ${d.leg.way}`, t.scenarios, t.clean, t.passed, t.failed, t.warnings, d.differences.length, news.length, gone.length]);
  for (const n of news) {
    wrong.push(`${d.leg.revision} ${d.leg.way}: not in waiting.txt: ${n.key}  ${n.direct} -> ${n.now}${n.error ? `  (${n.error})` : ''}`);
  }
  for (const g of gone) wrong.push(`${d.leg.revision} ${d.leg.way}: in waiting.txt, but there is no difference: ${g.key}`);
}
for (const w of waiting) {
  if (!done.some((d) => w.scenario in d.baseline)) wrong.push(`waiting.txt has ${w.key}, but the suite has no such scenario`);
}
console.log(table(rows));
for (const w of wrong) console.log(w);
process.exitCode = wrong.length > 0 ? 1 : 0;
