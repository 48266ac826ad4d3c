// The official suite, run with a list of scenarios of ours. Its command line knows one scenario or
// the list of requirements/REVISION.yaml beside it, so it runs from a copy where that file is ours.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { end, start } from './processes.mjs';

const CELL_GUARD = 240_000; // ms; a cell takes a few seconds
const SCENARIO_GUARD = 20_000;
const WORKER = path.join(path.dirname(fileURLToPath(import.meta.url)), 'suite-worker.mjs');

export class Suite {
  #home;
  #work;
  #worker;

  constructor({ cache, work }) {
    this.#work = work;
    this.#home = path.join(work, 'suite');
    const original = packageFolder(cache);
    fs.mkdirSync(path.join(this.#home, 'requirements'), { recursive: true });
    fs.cpSync(path.join(original, 'dist'), path.join(this.#home, 'dist'), { recursive: true });
    fs.copyFileSync(path.join(original, 'package.json'), path.join(this.#home, 'package.json'));
    fs.symlinkSync(path.join(cache, 'node_modules'), path.join(this.#home, 'node_modules'));
  }

  /** Runs the scenarios at url as a client of the revision; the results are under out/results. */
  async run({ url, revision, scenarios, out }) {
    fs.writeFileSync(path.join(this.#home, 'requirements', `${revision}.yaml`), ['server:', ...scenarios.map((s) => `  - ${s}`), ''].join('\n'));
    await this.#send(['--url', url, '--requirements', revision, '--timeout', String(SCENARIO_GUARD), '-o', path.join(out, 'results')]);
  }

  /** Runs every scenario that the suite has for the revision, by its own choice. */
  async runAll({ url, revision, out }) {
    await this.#send(['--url', url, '--suite', 'all', '--spec-version', revision, '-o', path.join(out, 'results')]);
  }

  async end() {
    if (this.#worker) await end(this.#worker);
    this.#worker = undefined;
  }

  /** One process for many runs: to start the suite takes as long as to run it. */
  async #send(args) {
    this.#worker ??= start({ folder: this.#work, name: 'suite', command: process.execPath, args: [WORKER], ipc: true });
    const worker = this.#worker;
    let guard;
    const outcome = await Promise.race([
      new Promise((resolve) => worker.once('message', () => resolve('done'))),
      worker.ended.then(() => `ended: ${worker.failure ?? worker.exitCode ?? worker.signalCode}`),
      new Promise((resolve) => (guard = setTimeout(() => resolve(`ran longer than ${CELL_GUARD / 1000} s`), CELL_GUARD))),
      new Promise((_, reject) => worker.send({ script: path.join(this.#home, 'dist', 'index.js'), args: ['server', ...args] }, (e) => e && reject(e))),
    ]).finally(() => clearTimeout(guard));
    if (outcome === 'done') return;
    await this.end();
    throw new Error(`the suite ${outcome}; see ${worker.what}`);
  }
}

const packageFolder = (cache) => path.join(cache, 'node_modules', '@modelcontextprotocol', 'conformance');

/** The scenarios of requirements/REVISION.yaml that are scored, or null where the suite has no such list. */
export function scoredList(cache, revision) {
  const file = path.join(packageFolder(cache), 'requirements', `${revision}.yaml`);
  if (!fs.existsSync(file)) return null;
  const section = fs.readFileSync(file, 'utf8').match(/^server:\n((?:[ \t]+.*\n|\s*\n|#.*\n)+)/m);
  const names = [...(section?.[1] ?? '').matchAll(/^\s+- (\S+)\s*$/gm)].map((m) => m[1]);
  if (names.length === 0) throw new Error(`${file} has no list of scenarios for servers`);
  return names;
}
