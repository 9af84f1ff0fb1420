// Timers, worker threads, files and HTTP, all at once. Each keeps its own count,
// none may miss or double a step.
//
// Usage: load.js unix tcp (over which sockets)
'use strict';
const { Worker, isMainThread, workerData, parentPort } = require('worker_threads');
const crypto = require('crypto');
const fs = require('fs');
const http = require('http');
const zlib = require('zlib');

const faults = [];
const fault = (text) => { if (faults.length < 5) faults.push(text); };
const digest = (data) => crypto.createHash('sha256').update(data).digest('hex');

if (!isMainThread) {
  // A worker answers each question with a digest and adds to shared memory.
  const shared = new Int32Array(workerData);
  parentPort.on('message', (n) => {
    Atomics.add(shared, 0, 1);
    parentPort.postMessage([n, digest('worker' + n)]);
  });
} else {
  main();
}

async function main() {
  const counts = { ticks: 0, timeouts: 0, answers: 0, files: 0, requests: 0 };
  let stopping = false;
  const running = [];

  // Timers: an interval, and a chain of timeouts that each check their clock.
  const interval = setInterval(() => counts.ticks++, 3);
  running.push((async () => {
    while (!stopping) {
      const begin = process.hrtime.bigint();
      await new Promise((go) => setTimeout(go, 5));
      if (process.hrtime.bigint() - begin < 3_900_000n) fault('a timeout came too early');
      counts.timeouts++;
    }
  })());

  // Workers.
  const shared = new SharedArrayBuffer(4);
  let asked = 0;
  for (let i = 0; i < 2; i++) {
    running.push(new Promise((done) => {
      const worker = new Worker(__filename, { workerData: shared });
      let n = i * 1_000_000_000;
      worker.on('error', (e) => fault('worker: ' + e));
      worker.on('exit', done);
      worker.on('message', ([m, answer]) => {
        if (m !== n || answer !== digest('worker' + n)) fault(`worker ${i} answers ${m} instead of ${n}`);
        counts.answers++;
        n++;
        if (stopping) return worker.terminate();
        asked++;
        worker.postMessage(n);
      });
      asked++;
      worker.postMessage(n);
    }));
  }

  // Files, by the threads of libuv's pool, which compress, too.
  running.push((async () => {
    for (let n = 0; !stopping; n++) {
      const data = Buffer.alloc(50_000, String(n));
      const packed = await new Promise((go, no) => zlib.deflate(data, (e, b) => (e ? no(e) : go(b))));
      await fs.promises.writeFile('file', packed);
      const back = zlib.inflateSync(await fs.promises.readFile('file'));
      if (!back.equals(data)) fault(`file ${n} is another`);
      counts.files++;
    }
  })().catch((e) => fault('files: ' + e)));

  // A server and its clients, which keep their connections.
  const server = http.createServer((request, response) => {
    const chunks = [];
    request.on('data', (c) => chunks.push(c));
    request.on('end', () => response.end(digest(Buffer.concat(chunks))));
  });
  const second = http.createServer(server.listeners('request')[0]);
  // Time goes on while all of it stands in a file: no connection may be given up for that.
  for (const s of [server, second]) s.keepAliveTimeout = s.requestTimeout = s.headersTimeout = 0;
  const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
  const places = { unix: { socketPath: 'http.sock' }, tcp: { host: '127.0.0.1', port: 8000 } };
  await new Promise((go) => server.listen(places.unix.socketPath, go));
  await new Promise((go) => second.listen(places.tcp.port, places.tcp.host, go));
  const sockets = process.argv.slice(2);
  const post = (place, data) => new Promise((go, no) => {
    const request = http.request({ ...place, method: 'POST', agent }, (response) => {
      let text = '';
      response.on('data', (c) => (text += c));
      response.on('end', () => go(text));
      response.on('error', no);
    });
    request.on('error', no);
    request.end(data);
  });
  for (let i = 0; i < 4; i++) {
    running.push((async () => {
      const place = places[sockets[i % sockets.length]];
      for (let n = 0; !stopping; n++) {
        const data = Buffer.alloc(100 + (n * 977) % 60_000, `${i} ${n}`);
        if ((await post(place, data)) !== digest(data)) fault(`request ${n} of client ${i} has another's answer`);
        counts.requests++;
      }
    })().catch((e) => fault('http: ' + e)));
  }

  while (!fs.existsSync('stop')) {
    await new Promise((go) => setTimeout(go, 20));
    fs.writeFileSync('progress.new', JSON.stringify(counts));
    fs.renameSync('progress.new', 'progress');
  }
  stopping = true;
  await Promise.all(running);
  clearInterval(interval);
  agent.destroy();
  server.close();
  second.close();
  if (counts.answers !== asked || Atomics.load(new Int32Array(shared), 0) !== asked) fault(`${asked} questions, ${counts.answers} answers`);
  for (const [what, n] of Object.entries(counts)) if (n < 10) fault(`${n} ${what}`);
  fs.writeFileSync('result.new', faults.length ? 'fail: ' + faults.join('; ') : 'pass');
  fs.renameSync('result.new', 'result');
}
