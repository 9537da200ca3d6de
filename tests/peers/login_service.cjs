// A user of examples/login_service in a headless Chromium, and the phone of that user. Run by tests/login_service.rs.
//
//   node login_service.cjs PEERS CHROMIUM PICTURES PROFILE URL
//
// It does what a user does and prints what there was to see, a line of JSON a step; what is right is for the test to say. Where
// it has to wait for the test it prints {"step":"waiting"}, and goes on at a line on standard input. PICTURES may be empty.
const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const readline = require('node:readline');
const { createRequire } = require('node:module');

const [peers, chromium, pictures, profile, url] = process.argv.slice(2);
const puppeteer = createRequire(path.join(path.resolve(peers), 'x.js'))('puppeteer-core');
const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();

const PASSWORD = 'correct horse battery';

// RFC 6238 with OpenSSL: nothing of ours.
function code(secret, step) {
  const bits = [...secret].map((c) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0')).join('');
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const mac = crypto.createHmac('sha1', key).update(counter).digest();
  const number = mac.readUInt32BE(mac[19] & 15) & 0x7fffffff;
  return String(number % 1e6).padStart(6, '0');
}
const now = () => Math.floor(Date.now() / 30_000);

// A code that is none of those around now, nor next to them.
function wrong(secret, seed) {
  const near = new Set();
  for (let step = now() - 60; step < now() + 60; step += 1) near.add(code(secret, step));
  for (let number = seed * 7919; ; number += 1) {
    const text = String(number % 1e6).padStart(6, '0');
    if (!near.has(text)) return text;
  }
}

async function main() {
  const browser = await puppeteer.launch({
    executablePath: chromium,
    headless: true,
    // It ends when this process does, however that ends.
    pipe: true,
    userDataDir: profile,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync'],
  });
  try {
    await use(browser);
  } finally {
    await browser.close();
  }
}

async function use(browser) {
  const page = await browser.newPage();
  await page.setViewport({ width: 1000, height: 900 });
  const complaints = [];
  page.on('console', (message) => complaints.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('requestfailed', (request) => complaints.push(`${request.url()}: ${request.failure().errorText}`));
  const requested = [];
  page.on('request', (request) => requested.push(request.url()));
  page.on('dialog', (dialog) => { complaints.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  // Chromium tells the console of violated policies, and the page, too.
  await page.evaluateOnNewDocument(() => {
    document.addEventListener('securitypolicyviolation', (event) => console.error(`violation: ${event.violatedDirective}`));
  });

  let status;
  async function see(step, more = {}) {
    // A field that asks for the focus gets it before the next frame.
    await page.evaluate(() => new Promise(requestAnimationFrame));
    const seen = await page.evaluate(() => {
      const text = (selector) => document.querySelector(selector)?.innerText.trim() ?? null;
      const fields = [...document.querySelectorAll('input:not([type=hidden])')];
      const message = document.querySelector('#message');
      const main = document.querySelector('main').cloneNode(true);
      main.querySelectorAll('[name=token]').forEach((field) => field.remove());
      main.querySelector('#name')?.removeAttribute('value');
      return {
        path: location.pathname + location.search,
        title: document.title,
        heading: text('h1'),
        message: message.innerText.trim(),
        role: message.getAttribute('role'),
        live: message.getAttribute('aria-live'),
        footer: text('footer'),
        user: text('#user'),
        main: main.innerHTML,
        fields: fields.map((field) => field.name),
        name: document.querySelector('#name')?.value ?? null,
        unlabelled: fields.filter((field) => field.labels.length !== 1 || !field.labels[0].innerText.trim()).length,
        headings: document.querySelectorAll('h1').length,
        language: document.documentElement.lang,
        above: Math.max(0, Math.round(-message.getBoundingClientRect().top)),
        focused: document.activeElement?.id ?? null,
        images: [...document.images].map((image) => image.getAttribute('src')),
        scripts: document.scripts.length,
        wide: document.documentElement.scrollWidth > document.documentElement.clientWidth,
      };
    });
    if (pictures) {
      for (const scheme of ['light', 'dark']) {
        await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
        await page.screenshot({ path: path.join(pictures, `${step}-${scheme}.png`), fullPage: true });
      }
    }
    console.log(JSON.stringify({ step, status, ...seen, ...more, complaints: complaints.splice(0) }));
    return seen;
  }
  const go = async (where) => {
    status = (await page.goto(url + where, { waitUntil: 'load' })).status();
  };
  // Types over what is there, and sends the form.
  async function send(values) {
    for (const [name, value] of Object.entries(values)) {
      await page.$eval(`#${name}`, (field) => { field.value = ''; });
      await page.type(`#${name}`, value);
    }
    const [response] = await Promise.all([
      page.waitForNavigation({ waitUntil: 'load' }),
      page.click('main form button'),
    ]);
    status = response.status();
  }

  // --- An account, with a name that is none at first ---------------------------------------------------------

  await go('/');
  await see('login');
  await go('/enrol');
  await see('enrol');
  const markup = '<img src=x onerror=alert(1)>';
  await send({ name: markup, password: PASSWORD });
  await see('enrol-markup');
  await go('/login');
  await send({ name: '"><script>alert(1)</script>', password: PASSWORD, code1: '123456' });
  await see('login-markup');
  await go('/enrol');
  await send({ name: 'Ada', password: PASSWORD });
  const uri = await page.$eval('.uri', (link) => link.href);
  await (await page.$('.qr')).screenshot({ path: path.join(profile, 'qr.png') });
  await see('device', { uri });
  await page.click('summary');
  const secret = (await page.$eval('#secret', (element) => element.innerText)).replaceAll(' ', '');
  await see('device-secret', { secret });

  // --- The phone's clock is four minutes behind: one code says too little, two say it ------------------------

  const then = now() - 8;
  await page.setViewport({ width: 390, height: 800 });
  await send({ code1: code(secret, then - 12) });
  await see('device-again');
  await page.setViewport({ width: 1000, height: 900 });
  await send({ code1: code(secret, then - 1), code2: code(secret, then) });
  await see('enrolled');

  // --- In, out, and the same code once more -------------------------------------------------------------------

  const before = (await browser.cookies()).find((cookie) => cookie.name === 'session');
  await send({ name: 'ada', password: PASSWORD, code1: code(secret, then + 1) });
  const after = (await browser.cookies()).find((cookie) => cookie.name === 'session');
  await see('account', { before, after });
  await send({});
  const out = (await browser.cookies()).find((cookie) => cookie.name === 'session');
  await see('signed-out', { out });
  await browser.setCookie(after);
  await go('/account');
  await see('old-cookie');
  await send({ name: 'ada', password: PASSWORD, code1: code(secret, then + 1) });
  await see('replay');

  // --- Wrong in several ways, all of which look the same ------------------------------------------------------

  await send({ name: 'bob', password: PASSWORD, code1: wrong(secret, 1) });
  await see('unknown-user');
  await send({ name: 'ada', password: 'wrong', code1: code(secret, now()) });
  await see('wrong-password');
  await send({ name: 'ada', password: PASSWORD, code1: 'twelve' });
  await see('no-code');
  let tries = 0;
  for (; tries < 12 && !page.url().endsWith('/login/codes'); tries += 1) {
    await send({ name: 'ada', password: PASSWORD, code1: wrong(secret, 2 + tries) });
    if (tries === 0) await see('wrong-code');
  }
  await see('two-codes', { tries });
  // A user who doesn't know what came over the page begins again, and is asked for two codes again.
  await go('/login');
  await send({ name: 'ada', password: PASSWORD, code1: code(secret, now()) });
  await see('two-codes-still');
  await send({ code1: wrong(secret, 50), code2: wrong(secret, 51) });
  await see('two-codes-wrong');

  // --- The phone's clock was set right -------------------------------------------------------------------------

  const step = now();
  await send({ code1: code(secret, step - 1), code2: code(secret, step) });
  await see('account-again');
  await send({});
  await go('/resynchronise');
  await see('resynchronise');
  await send({ name: 'ada', password: PASSWORD, code1: code(secret, step + 3), code2: code(secret, step + 4) });
  await see('resynchronise-too-early');
  await send({ name: 'ada', password: 'wrong', code1: code(secret, step + 3), code2: code(secret, step + 4) });
  await see('resynchronise-wrong-password');
  await send({ name: 'bob', password: PASSWORD, code1: wrong(secret, 60), code2: wrong(secret, 61) });
  await see('resynchronise-unknown');
  await page.setViewport({ width: 360, height: 740 });
  await go('/login');
  await see('narrow');
  await page.setViewport({ width: 1000, height: 900 });

  // --- Without a clock -------------------------------------------------------------------------------------------

  console.log(JSON.stringify({ step: 'waiting', step_used: step }));
  await lines.next();
  await go('/login');
  await see('red');
  await send({ name: 'ada', password: PASSWORD, code1: code(secret, now()) });
  await see('red-login');
  await send({ name: 'bob', password: PASSWORD, code1: code(secret, now()) });
  await see('red-unknown-user');
  await go('/resynchronise');
  await send({ name: 'ada', password: PASSWORD, code1: wrong(secret, 70), code2: wrong(secret, 71) });
  await see('red-clock');
  await go('/enrol');
  await send({ name: 'eve', password: PASSWORD });
  await send({ code1: wrong(secret, 72) });
  await see('red-device');
  console.log(JSON.stringify({ step: 'end', requested }));
}

main().then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
