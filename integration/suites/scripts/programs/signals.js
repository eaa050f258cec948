'use strict';
const { spawn, spawnSync, execFileSync, fork } = require('child_process');
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');

const check = (name, right) => console.log(`${right ? 'ok' : 'not ok'} ${name}`);
const ended = child => new Promise(done => child.on('exit', (code, signal) => done(signal ?? code)));

async function main() {
  const codes = await Promise.all(
    Array.from({ length: 60 }, (_, i) => ended(spawn('/bin/sh', ['-c', `exit ${i}`]))));
  check('60 children', codes.every((code, i) => code === i));
  check('spawnSync', [0, 7, 255].every(n => spawnSync('/bin/sh', ['-c', `exit ${n}`]).status === n));
  check('execFileSync', execFileSync('/bin/echo', ['text']).toString() === 'text\n');
  const killed = spawn('/bin/sleep', ['100']);
  killed.kill('SIGTERM');
  check('a child is killed', await ended(killed) === 'SIGTERM');

  let caught = 0;
  process.on('SIGUSR2', () => caught++);
  for (let i = 0; i < 50; i++) {
    process.kill(process.pid, 'SIGUSR2');
    await new Promise(done => setTimeout(done, 1));
  }
  check('signals', caught > 0);

  const sums = await Promise.all(Array.from({ length: 8 }, (_, i) => new Promise((done, fail) => {
    const worker = new Worker(__filename, { workerData: i });
    worker.on('message', done);
    worker.on('error', fail);
  })));
  check('workers', sums.every((sum, i) => sum === 1000 * i));

  let depth = 0;
  const recurse = () => { depth++; recurse(); };
  let overflow = false;
  try { recurse(); } catch (error) { overflow = error instanceof RangeError; }
  check('stack overflow', overflow && depth > 1000);

  const memory = new WebAssembly.Memory({ initial: 1 });
  // (func (export "load") (param i32) (result i32) local.get 0 i32.load): out of bounds is a trap.
  const code = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 6, 1, 96, 1, 127, 1, 127, 2, 8, 1, 1,
    109, 1, 109, 2, 0, 1, 3, 2, 1, 0, 7, 8, 1, 4, 108, 111, 97, 100, 0, 0, 10, 9, 1, 7, 0, 32, 0, 40,
    2, 0, 11]);
  const { load } = new WebAssembly.Instance(new WebAssembly.Module(code), { m: { m: memory } }).exports;
  let traps = 0;
  for (let i = 0; i < 1000; i++) {
    try { load(65536 * 16 + i); } catch (error) { traps += error instanceof WebAssembly.RuntimeError; }
  }
  check('1000 traps of WebAssembly', traps === 1000 && load(0) === 0);
}

if (isMainThread) {
  main().catch(error => { console.log(`not ok ${error}`); process.exit(1); });
} else {
  let sum = 0;
  for (let i = 0; i < 1000; i++) sum += workerData;
  parentPort.postMessage(sum);
}
