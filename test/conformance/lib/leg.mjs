// One leg: starts the peer, a gateway and a shim as the leg needs them, runs the suite, ends them.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { startShim } from './shim.mjs';

const SERVER = 'everything'; // its name in the gateway's config
const SUITE_GUARD = 180_000; // ms; a leg takes a few seconds

export async function runLeg({ revision, era, way, out, cache, gateway }) {
  const started = [];
  let shim;
  try {
    const port = await freePort();
    start(started, out, 'peer', path.join(cache, 'bin', 'everything-server'), [`-http=127.0.0.1:${port}`, `-stateless=${era === 'stateless'}`]);
    await answers(started, `http://127.0.0.1:${port}/`);
    let url = `http://127.0.0.1:${port}/`;
    if (way !== 'direct') url = await startGateway(started, out, gateway, url, way);
    if (way === 'prefixed') {
      shim = await startShim({ target: url, prefix: `${SERVER}.` });
      url = shim.url;
    }
    await runSuite({ cache, url, revision, out });
  } finally {
    shim?.close();
    await Promise.all(started.map(end));
  }
}

async function startGateway(started, out, gateway, url, way) {
  const server = { type: 'http', url };
  if (way === 'bare') server.prefix = '';
  const config = path.join(out, 'servers.json');
  fs.writeFileSync(config, JSON.stringify({ mcpServers: { [SERVER]: server } }, null, 1));
  const port = await freePort();
  start(started, out, 'gateway', gateway, ['--config', config, '--transport', 'streamable-http', '--port', String(port), '--state', path.join(out, 'state')]);
  await answers(started, `http://127.0.0.1:${port}/ready`, (status) => status === 200);
  return `http://127.0.0.1:${port}/mcp`;
}

async function runSuite({ cache, url, revision, out }) {
  const suite = path.join(cache, 'node_modules', '@modelcontextprotocol', 'conformance');
  // A revision that the suite has a list of requirements for is run by it, scored and unscored scenarios alike.
  const scope = fs.existsSync(path.join(suite, 'requirements', `${revision}.yaml`))
    ? ['--requirements', revision] : ['--suite', 'all', '--spec-version', revision];
  const started = [];
  const child = start(started, out, 'suite', process.execPath, [path.join(suite, 'dist', 'index.js'), 'server', '--url', url, ...scope, '-o', path.join(out, 'results')]);
  const guard = setTimeout(() => child.kill('SIGKILL'), SUITE_GUARD);
  await child.ended; // its exit code says only that some scenario failed; the results say which
  clearTimeout(guard);
  if (child.signalCode !== null) throw new Error(`the suite was ended by ${child.signalCode} after ${SUITE_GUARD / 1000} s; see ${out}`);
}

function start(started, out, name, command, args) {
  const log = fs.openSync(path.join(out, `${name}.log`), 'w');
  const child = spawn(command, args, { stdio: ['ignore', log, log], env: { ...process.env, NO_COLOR: '1' } });
  fs.closeSync(log);
  child.ended = new Promise((resolve) => {
    child.on('exit', resolve);
    child.on('error', (e) => { child.failure = e; resolve(); });
  });
  child.what = `${name} (${path.join(out, `${name}.log`)})`;
  started.push(child);
  return child;
}

async function end(child) {
  if (child.exitCode !== null || child.signalCode !== null || child.failure) return;
  child.kill('SIGTERM');
  const guard = setTimeout(() => child.kill('SIGKILL'), 15_000);
  await child.ended;
  clearTimeout(guard);
}

/** Waits until a GET of url is answered with a status that is good. */
async function answers(started, url, good = () => true) {
  const deadline = Date.now() + 30_000;
  for (;;) {
    for (const c of started) {
      if (c.failure || c.exitCode !== null || c.signalCode !== null) throw new Error(`${c.what} ended: ${c.failure ?? c.exitCode ?? c.signalCode}`);
    }
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(5_000) });
      await response.body?.cancel();
      if (good(response.status)) return;
    } catch (e) {
      if (Date.now() > deadline) throw new Error(`${url} never answered: ${e}`);
    }
    if (Date.now() > deadline) throw new Error(`${url} was never ready`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function freePort() {
  return new Promise((resolve, reject) => {
    const s = net.createServer().on('error', reject).listen(0, '127.0.0.1', () => {
      const { port } = s.address();
      s.close(() => resolve(port));
    });
  });
}
