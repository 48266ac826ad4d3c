// Which scenarios a cell runs, and what the server's direct run gave for them.
import fs from 'node:fs';
import path from 'node:path';
import { eraOf, revisionOf } from './cells.mjs';
import { scoredList } from './suite.mjs';

export const baselineFile = (home, revision) => path.join(home, 'baselines', `go-${eraOf(revision)}-${revision}.json`);

export class Scenarios {
  #scored = {};
  #baselines = {};

  constructor({ home, cache, revisions }) {
    for (const revision of revisions) {
      this.#baselines[revision] = JSON.parse(fs.readFileSync(baselineFile(home, revision), 'utf8'));
      // Where the suite has no list for a revision, all of its scenarios count.
      this.#scored[revision] = scoredList(cache, revision) ?? Object.keys(this.#baselines[revision]);
    }
  }

  /** Those that count for the cell: the revision's, or those that both eras have. */
  scored({ client, server, eras }) {
    if (eras !== 'crossed') return this.#scored[client];
    const other = this.#scored[revisionOf(server)];
    return this.#scored[client].filter((name) => other.includes(name));
  }

  /** Those that the suite has for the revision beside the scored ones; run in few cells. */
  more({ client, transport, names, company, eras }) {
    if (transport !== undefined && !(transport === 'http' && names === 'prefixed' && company === 'alone' && eras === 'same')) return [];
    return Object.keys(this.#baselines[client]).filter((name) => !this.#scored[client].includes(name));
  }

  of(cell) {
    return [...this.scored(cell), ...this.more(cell)];
  }

  /** {scenario: {check: status}} of the direct run, for the scenarios of the cell. */
  baseline(cell) {
    const all = this.#baselines[cell.client];
    return Object.fromEntries(this.of(cell).map((name) => [name, all[name] ?? {}]));
  }
}
