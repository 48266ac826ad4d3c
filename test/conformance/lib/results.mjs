// Reads what the suite wrote, one level deeper than its own summary: by check id.
import fs from 'node:fs';
import path from 'node:path';

// Of several checks with one id the worst counts. INFO is no verdict: such a check counts as absent.
const RANK = { FAILURE: 4, WARNING: 3, SKIPPED: 2, SUCCESS: 1 };
const STAMP = /-\d{4}-\d\d-\d\dT[\d-]+Z?$/; // the suite names a folder server-SCENARIO-TIME

/** {statuses: {scenario: {check: status}}, counts: {scenario: {status: n}}, errors: {"scenario :: check": text}} */
export function readResults(dir) {
  const results = { statuses: {}, counts: {}, errors: {} };
  for (const file of fs.globSync(path.join(dir, 'results', '**', 'checks.json')).sort()) {
    const scenario = path.basename(path.dirname(file)).replace(STAMP, '').replace(/^server-/, '');
    const statuses = results.statuses[scenario] = {};
    const counts = results.counts[scenario] = {};
    for (const check of JSON.parse(fs.readFileSync(file, 'utf8'))) {
      if (!(check.status in RANK)) continue;
      counts[check.status] = (counts[check.status] ?? 0) + 1;
      if (!(RANK[statuses[check.id]] >= RANK[check.status])) statuses[check.id] = check.status;
      if (check.status === 'FAILURE' || check.status === 'WARNING') {
        results.errors[`${scenario} :: ${check.id}`] = (check.errorMessage ?? check.description ?? '').replace(/\s+/g, ' ').slice(0, 240);
      }
    }
  }
  if (Object.keys(results.statuses).length === 0) throw new Error(`the suite gave no results; see suite.log`);
  return results;
}

/** Puts the results of later, scenario by scenario, in the place of those that are there. */
export function replace(results, later) {
  for (const scenario of Object.keys(later.statuses)) {
    results.statuses[scenario] = later.statuses[scenario];
    results.counts[scenario] = later.counts[scenario];
    for (const key of Object.keys(results.errors)) if (key.startsWith(`${scenario} :: `)) delete results.errors[key];
  }
  Object.assign(results.errors, later.errors);
}

/** How many of the scenarios passed, as the suite sees it: they ran, and no check failed. */
export const passed = ({ counts }, scenarios) => scenarios.filter((name) => counts[name] && !counts[name].FAILURE).length;

/** Every check whose status is not the direct run's. One that is gone counts: a scenario that skips silently would look clean otherwise. */
export function differences(baseline, { statuses, errors }) {
  const out = [];
  for (const scenario of union(baseline, statuses)) {
    const direct = baseline[scenario] ?? {}, now = statuses[scenario] ?? {};
    for (const check of union(direct, now)) {
      if (direct[check] === now[check]) continue;
      const key = `${scenario} :: ${check}`;
      out.push({ key, scenario, direct: direct[check] ?? 'absent', now: now[check] ?? 'absent', error: errors[key] });
    }
  }
  return out;
}

const union = (a, b) => [...new Set([...Object.keys(a), ...Object.keys(b)])];
