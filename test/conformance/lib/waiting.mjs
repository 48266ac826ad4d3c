// waiting.txt: the differences that are known, one a line: "scenario :: check  reason".
import fs from 'node:fs';

export function readWaiting(file) {
  const out = [];
  for (const [i, line] of fs.readFileSync(file, 'utf8').split('\n').entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const m = line.match(/^(\S+) :: (\S+)\s{2,}(\S.*)$/);
    if (!m) throw new Error(`${file}:${i + 1}: want "scenario :: check  reason"`);
    const key = `${m[1]} :: ${m[2]}`;
    if (out.some((w) => w.key === key)) throw new Error(`${file}:${i + 1}: ${key} is there twice`);
    out.push({ key, scenario: m[1], reason: m[3] });
  }
  return out;
}

export const unlisted = (waiting, leg) => leg.differences.filter((d) => !waiting.some((w) => w.key === d.key));

/** A listed difference must show in every leg whose revision has its scenario. */
export const vanished = (waiting, leg) =>
  waiting.filter((w) => w.scenario in leg.baseline && !leg.differences.some((d) => d.key === w.key));
