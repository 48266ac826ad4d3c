import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describe, matches, matrix, nameOf, quick, tagsOf } from './cells.mjs';
import { differences, passed, replace } from './results.mjs';
import { assumed, misfits, parseWaiting, propose, summary, unlisted, vanished } from './waiting.mjs';

const CELLS = matrix().flat();
const BASELINE = { a: { 'a-1': 'SUCCESS', 'a-2': 'SUCCESS' }, b: { 'b-1': 'SUCCESS' } };
const with_ = (...tags) => CELLS.filter((cell) => matches(tags, cell));

/** Runs of the cells, in which the keys differ where the tags say. */
function runs(where, cells = CELLS) {
  return cells.map((cell) => ({
    cell, baseline: BASELINE,
    differences: Object.entries(where).filter(([, tags]) => matches(tags, cell))
      .map(([key]) => ({ key, scenario: key.split(' :: ')[0], direct: 'SUCCESS', now: 'FAILURE', error: 'why' })),
  }));
}

test('the matrix has every cell once, and the quick ones touch every tag', () => {
  assert.equal(new Set(CELLS.map(nameOf)).size, 48);
  assert.equal(with_('@same').length, 24);
  assert.equal(with_('@crossed').length, 24);
  assert.deepEqual(new Set(CELLS.filter(quick).flatMap(tagsOf)), new Set(CELLS.flatMap(tagsOf)));
});

test('cells are said by the fewest tags', () => {
  const said = (cells, all = CELLS) => describe(cells, all).map((d) => d.tags.join(' '));
  assert.deepEqual(said(CELLS), ['']);
  assert.deepEqual(said(with_('@stdio')), ['@stdio']);
  assert.deepEqual(said(with_('@crossed', '@http')), ['@http @crossed']);
  assert.deepEqual(said(with_('@2026-07-28'), with_('@2026-07-28')), ['']);
  const either = [...new Set([...with_('@stdio'), ...with_('@crossed')])];
  assert.deepEqual(new Set(said(either)), new Set(['@stdio', '@crossed']));
});

test('a line is about the cells of its tags', () => {
  const list = parseWaiting('# c\n\na :: a-1 @stdio @crossed  r s\n', 'f');
  assert.deepEqual(list.map(({ key, tags, reason }) => ({ key, tags, reason })), [{ key: 'a :: a-1', tags: ['@stdio', '@crossed'], reason: 'r s' }]);
  const seen = runs({ 'a :: a-1': ['@stdio'] });
  const news = seen.filter((run) => unlisted(list, run).length > 0).map((run) => run.cell);
  assert.deepEqual(news, with_('@stdio', '@same'));
  assert.ok(seen.every((run) => vanished(list, run).length === 0));
  const gone = runs({}).filter((run) => vanished(list, run).length > 0).map((run) => run.cell);
  assert.deepEqual(gone, with_('@stdio', '@crossed'));
});

test('a line that cannot be is refused', () => {
  for (const text of ['a :: a-1 reason', 'a a-1  reason', 'a :: a-1', 'a :: a-1 @nowhere  reason']) {
    assert.throws(() => parseWaiting(text, 'f'), /^Error: f:1: /, text);
  }
  const wrong = (text) => misfits(parseWaiting(text, 'f'), CELLS, () => ['a', 'b']);
  assert.deepEqual(wrong('a :: a-1 @stdio  r\na :: a-1 @http  r\n'), []);
  assert.match(wrong('a :: a-1  r\na :: a-1  s\n').join(), /line 2 says what line 1 says/);
  assert.match(wrong('gone :: a-1  r\n').join(), /line 1 is about no cell/);
  assert.match(wrong('a :: a-1 @2026-07-28 @to-stateful @same  r\n').join(), /line 1 is about no cell/);
  assert.match(wrong('a :: a-1  ? SUCCESS -> FAILURE\n').join(), /line 1 has no reason/);
});

const LIST = '# About it.\n\n# One.\na :: a-1  first\na :: a-2 @stdio  second\n\n# Two.\nb :: b-1  third\n';

test('a proposal for what is listed is the list', () => {
  const seen = runs({ 'a :: a-1': [], 'a :: a-2': ['@stdio'], 'b :: b-1': [] });
  assert.equal(propose(LIST, parseWaiting(LIST, 'f'), seen), LIST);
});

test('a proposal drops what is gone, with its heading, and keeps reasons', () => {
  const seen = runs({ 'a :: a-1': ['@crossed'], 'a :: a-2': ['@stdio'] });
  assert.equal(propose(LIST, parseWaiting(LIST, 'f'), seen), '# About it.\n\n# One.\na :: a-1 @crossed  first\na :: a-2 @stdio  second\n');
});

test('a proposal has what is new, which is refused until it has a reason', () => {
  const seen = runs({ 'a :: a-1': [], 'a :: a-2': ['@stdio'], 'b :: b-1': [], 'b :: b-2': ['@beside'] });
  const text = propose(LIST, parseWaiting(LIST, 'f'), seen);
  assert.match(text, /\nb :: b-2 @beside  \? SUCCESS -> FAILURE: why\n$/);
  assert.match(misfits(parseWaiting(text, 'f'), CELLS, () => ['a', 'b']).join(), /has no reason/);
});

test('a proposal leaves the cells that did not run as they are listed', () => {
  const list = parseWaiting(LIST, 'f');
  const rest = with_('@http').map((cell) => assumed(list, cell, BASELINE));
  const seen = runs({ 'a :: a-1': [] }, with_('@stdio'));
  assert.equal(propose(LIST, list, [...seen, ...rest]), '# About it.\n\n# One.\na :: a-1  first\n\n# Two.\nb :: b-1 @http  third\n');
});

test('a check that is gone is a difference, and so is a new one', () => {
  const now = { statuses: { a: { 'a-1': 'FAILURE', 'a-3': 'SUCCESS' }, b: { 'b-1': 'SUCCESS' } }, errors: {} };
  assert.deepEqual(differences(BASELINE, now).map((d) => `${d.key} ${d.direct} ${d.now}`),
    ['a :: a-1 SUCCESS FAILURE', 'a :: a-2 SUCCESS absent', 'a :: a-3 absent SUCCESS']);
  assert.deepEqual(summary([{ cell: CELLS[0], baseline: BASELINE, ...now, differences: differences(BASELINE, now) }], (run) => run.differences).length, 3);
});

test('a scenario that gave nothing has not passed', () => {
  assert.equal(passed({ counts: { a: { SUCCESS: 2 }, b: { SUCCESS: 1, FAILURE: 1 } } }, ['a', 'b', 'c']), 1);
});

test('a later try takes the place of its scenario only', () => {
  const results = { statuses: { a: { x: 'FAILURE' }, b: { y: 'FAILURE' } }, counts: { a: { FAILURE: 1 }, b: { FAILURE: 1 } }, errors: { 'a :: x': '1', 'b :: y': '2' } };
  replace(results, { statuses: { a: { x: 'SUCCESS' } }, counts: { a: { SUCCESS: 1 } }, errors: {} });
  assert.deepEqual(results, { statuses: { a: { x: 'SUCCESS' }, b: { y: 'FAILURE' } }, counts: { a: { SUCCESS: 1 }, b: { FAILURE: 1 } }, errors: { 'b :: y': '2' } });
});
