// Starting and ending the processes of a run, and waiting until they answer.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';

const START_GUARD = 60_000; // ms; a machine that does much else starts processes slowly
const alive = new Set();
process.on('exit', () => alive.forEach((child) => child.kill('SIGKILL')));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

/** Starts a process whose output goes to folder/name.log. `ended` resolves when it has ended or could not start. */
export function start({ folder, name, command, args, ipc = false }) {
  const file = path.join(folder, `${name}.log`);
  const log = fs.openSync(file, 'a');
  const child = spawn(command, args, { stdio: ['ignore', log, log, ...(ipc ? ['ipc'] : [])], env: { ...process.env, NO_COLOR: '1' } });
  fs.closeSync(log);
  alive.add(child);
  child.ended = new Promise((resolve) => {
    const gone = () => {
      alive.delete(child);
      resolve();
    };
    child.on('exit', gone);
    child.on('error', (e) => {
      child.failure = e;
      gone();
    });
  });
  child.what = `${name} (${file})`;
  return child;
}

export async function end(child) {
  if (!alive.has(child)) return;
  child.kill('SIGTERM');
  const guard = setTimeout(() => child.kill('SIGKILL'), 15_000);
  await child.ended;
  clearTimeout(guard);
}

/** Waits until a GET of url is answered with a status that is good, while child lives. */
export async function answers(child, url, good = () => true) {
  const deadline = Date.now() + START_GUARD;
  let last = 'nothing';
  while (Date.now() < deadline) {
    if (!alive.has(child)) throw new Error(`${child.what} ended: ${child.failure ?? child.exitCode ?? child.signalCode}`);
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(5_000) });
      await response.body?.cancel();
      if (good(response.status)) return;
      last = response.status;
    } catch (e) {
      last = e;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${url} was never ready, last: ${last}`);
}

export function freePort() {
  return new Promise((resolve, reject) => {
    const s = net.createServer().on('error', reject).listen(0, '127.0.0.1', () => {
      const { port } = s.address();
      s.close(() => resolve(port));
    });
  });
}
