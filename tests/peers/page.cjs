// An operator who looks at the page of a fleet in a headless Chromium. Run by tests/page.rs.
//
//   node page.cjs PEERS CHROMIUM PICTURES PROFILE SCENARIO DIR
//
// DIR has the documents; what is served is served from here, by a server that behaves as `skew-check watch` does. It prints what
// there was to see, a line of JSON a step; what is right is for the test to say. PICTURES may be empty.
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { pathToFileURL } = require('node:url');
const { createRequire } = require('node:module');

const [peers, chromium, pictures, profile, scenario, dir] = process.argv.slice(2);
const puppeteer = createRequire(path.join(path.resolve(peers), 'x.js'))('puppeteer-core');
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const say = (value) => console.log(JSON.stringify(value));

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
    await SCENARIOS[scenario](browser);
    say({ step: 'end' });
  } finally {
    await browser.close();
  }
}

// A page on which everything that is wrong is heard.
async function open(browser) {
  const page = await browser.newPage();
  await page.setViewport({ width: 1440, height: 900 });
  const complaints = [];
  const requested = [];
  page.on('console', (message) => complaints.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('requestfailed', (request) => complaints.push(`${request.url()}: ${request.failure().errorText}`));
  page.on('request', (request) => requested.push(request.url()));
  page.on('dialog', (dialog) => { complaints.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  await page.evaluateOnNewDocument(() => {
    document.addEventListener('securitypolicyviolation', (event) => console.error(`violation: ${event.violatedDirective} ${event.sample}`));
    window.alert = (text) => console.error(`alert: ${text}`);
    // When data had arrived, and what was drawn of it was painted.
    const arrived = (what) => { window.arrivedAt ??= performance.now(); return what; };
    Response.prototype.json = async function json() { return JSON.parse(arrived(await this.text())); };
    new MutationObserver((_, observer) => {
      if (!document.querySelector('#count')?.textContent) return;
      observer.disconnect();
      requestAnimationFrame(() => setTimeout(() => { window.drawnAt = performance.now(); }));
    }).observe(document, { subtree: true, childList: true, characterData: true });
    // From what a user types to the frame that shows what came of it.
    window.reactions = [];
    window.addEventListener('input', (event) => {
      const from = event.timeStamp;
      requestAnimationFrame(() => setTimeout(() => window.reactions.push(performance.now() - from)));
    }, { capture: true });
  });
  return { page, complaints, requested };
}

// What can be seen of a page, in both themes.
async function see(step, { page, complaints, requested }, more = {}) {
  const seen = await page.evaluate(() => {
    const text = (selector) => document.querySelector(selector)?.innerText.trim() ?? null;
    const shown = (element) => element.checkVisibility();
    const rows = [...document.querySelectorAll('#rows .row')].filter(shown);
    return {
      title: document.title,
      language: document.documentElement.lang,
      sentence: text('#sentence'),
      advice: text('#advice'),
      trouble: shown(document.querySelector('#trouble')) ? text('#trouble') : null,
      count: text('#count'),
      nothing: shown(document.querySelector('#nothing')) ? text('#nothing') : null,
      states: [...document.querySelectorAll('#states button')].map((button) => button.innerText.split('\n').map((part) => part.trim()).filter(Boolean)),
      pressed: [...document.querySelectorAll('#states [aria-pressed="true"]')].map((button) => button.dataset.kind),
      rows: rows.map((row) => ({ at: Number(row.getAttribute('aria-rowindex')), cells: [...row.children].map((cell) => cell.textContent) })).sort((a, b) => a.at - b.at),
      rowCount: document.querySelector('#grid').getAttribute('aria-rowcount'),
      rowElements: document.querySelectorAll('#rows .row').length,
      headings: [...document.querySelectorAll('h1,h2,h3')].filter(shown).map((heading) => `${heading.tagName} ${heading.textContent.trim()}`),
      host: text('#host'),
      sources: [...document.querySelectorAll('#sources tbody tr')].map((row) => row.innerText.replace(/\s+/g, ' ').trim()),
      groups: [...document.querySelectorAll('#groups tbody tr')].map((row) => row.innerText.replace(/\s+/g, ' ').trim()),
      pair: text('#pair-body'),
      sky: text('#sky-text'),
      heat: shown(document.querySelector('#heat')) ? text('#map-text') : null,
      past: shown(document.querySelector('#past')) ? text('#past-body') : null,
      elements: document.querySelectorAll('*').length,
      strange: document.querySelectorAll('main img, main script, main iframe, main object, [style*="url"]').length,
      unnamed: [...document.querySelectorAll('canvas, button, input, select, svg[role=img]')].filter(shown)
        .filter((element) => !(element.getAttribute('aria-label') || element.textContent.trim() || element.labels?.length
          || (element.getAttribute('aria-labelledby') ?? '').split(' ').some((id) => document.getElementById(id)?.textContent.trim()))).map((element) => element.outerHTML.slice(0, 120)),
      wide: document.documentElement.scrollWidth > document.documentElement.clientWidth,
      executed: window.executed ?? null,
    };
  });
  const contrast = {};
  for (const scheme of ['light', 'dark']) {
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
    // Colours that are on their way to others are neither.
    await page.evaluate(async () => {
      for (let frame = 0; frame < 2; frame += 1) await new Promise((done) => requestAnimationFrame(done));
      await Promise.allSettled(document.getAnimations().map((animation) => animation.finished));
    });
    contrast[scheme] = await page.evaluate(leastContrast);
    if (pictures) await page.screenshot({ path: path.join(pictures, `${step}-${scheme}.png`), fullPage: true });
  }
  say({ step, ...seen, contrast, ...more, requested: [...requested], complaints: complaints.splice(0) });
  return seen;
}

// The least contrast of any text with what is behind it (WCAG 2.2, 1.4.3), and whose that is.
function leastContrast() {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgb = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4)).reduce((sum, c, at) => sum + c * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = rgb(getComputedStyle(each).backgroundColor);
      if (colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  let least = { ratio: 99, of: null };
  let texts = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || !element.checkVisibility() || element.closest('.unseen, .skip, script, style, noscript, option')) continue;
    texts += 1;
    const [a, b] = [light(rgb(getComputedStyle(element).color)), light(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < least.ratio) least = { ratio, of: `${node.data.trim().slice(0, 40)} in ${element.className || element.tagName}` };
  }
  return { ...least, texts };
}

// What a screen reader is told: roles and names, in order.
async function tree(page) {
  const flat = [];
  const walk = (node, depth) => {
    flat.push([node.role, node.name ?? '', node.level ?? null, depth]);
    for (const child of node.children ?? []) walk(child, depth + 1);
  };
  walk(await page.accessibility.snapshot({ interestingOnly: false }), 0);
  return flat.filter(([role]) => !['generic', 'none', 'StaticText', 'InlineTextBox', 'LineBreak'].includes(role));
}

const file = (name) => pathToFileURL(path.join(dir, name)).href;
const active = (page) => page.evaluate(() => {
  const id = document.querySelector('#grid').getAttribute('aria-activedescendant');
  const row = id && document.getElementById(id);
  const rect = row?.getBoundingClientRect();
  const box = document.querySelector('#grid').getBoundingClientRect();
  return {
    focused: document.activeElement.id,
    row: row ? Number(row.getAttribute('aria-rowindex')) : null,
    selected: row?.getAttribute('aria-selected') ?? null,
    host: row?.querySelector('.c-host').textContent ?? null,
    inSight: Boolean(rect && rect.top >= box.top && rect.bottom <= box.bottom + 1),
    title: document.querySelector('#h-host').textContent,
  };
});

const SCENARIOS = {
  // Ten thousand hosts in a file, then from a server.
  async many(browser) {
    const at = await open(browser);
    const { page } = at;
    await page.goto(file('many.html'));
    await page.waitForFunction('window.drawnAt');
    const timing = await page.evaluate(() => ({
      arrived: performance.getEntriesByType('navigation')[0].responseEnd, drawn: window.drawnAt, bytes: document.documentElement.outerHTML.length,
    }));
    await see('many', at, { timing });

    const server = http.createServer((request, response) => {
      if (request.url === '/') {
        response.setHeader('content-type', 'text/html; charset=utf-8');
        response.setHeader('content-security-policy', fs.readFileSync(path.join(dir, 'policy.txt'), 'utf8'));
        response.end(fs.readFileSync(path.join(dir, 'served.html')));
      } else response.end(request.url === '/api/fleet.json' ? fs.readFileSync(path.join(dir, 'many.json')) : '{}');
    });
    await new Promise((done) => server.listen(0, '127.0.0.1', done));
    const own = `http://127.0.0.1:${server.address().port}/`;
    const drawn = [];
    const other = await open(browser);
    for (let round = 0; round < 5; round += 1) {
      await other.page.goto(own);
      await other.page.waitForFunction('window.drawnAt');
      drawn.push(await other.page.evaluate(() => window.drawnAt - window.arrivedAt));
    }
    await see('from-a-server', other, { own, drawn });
    await other.page.close();
    server.closeAllConnections();
    server.close();
    await page.bringToFront();

    // Every letter that is typed, and every one that is taken back.
    await page.focus('#search');
    for (const letter of '127.1.3.9') await page.keyboard.type(letter, { delay: 60 });
    await wait(200);
    await see('filtered', at);
    for (let left = 9; left > 0; left -= 1) { await page.keyboard.press('Backspace'); await wait(60); }
    await page.keyboard.type('no such host', { delay: 60 });
    await wait(200);
    const reactions = await page.evaluate(() => window.reactions);
    await see('nothing', at, { reactions });
    await page.click('#clear');
    const order = await page.evaluate(async () => {
      const times = [];
      for (const value of ['name', 'skew', 'bound', 'delay', 'worst']) {
        const select = document.querySelector('#sort');
        const from = performance.now();
        select.value = value;
        select.dispatchEvent(new Event('change'));
        await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
        times.push(performance.now() - from);
      }
      return times;
    });
    const scrolls = await page.evaluate(async () => {
      const grid = document.querySelector('#grid');
      const times = [];
      for (let top = 0; top < grid.scrollHeight; top += 4001) {
        const from = performance.now();
        grid.scrollTop = top;
        await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
        times.push(performance.now() - from);
      }
      grid.scrollTop = grid.scrollHeight;
      return times;
    });
    // In the next frame, or a later one where the machine is busy.
    await page.waitForFunction("document.querySelector('#grid [aria-rowindex=\"10001\"]')");
    await see('scrolled', at, { order, scrolls });

    // By keyboard alone, from the start.
    await page.goto(file('many.html'));
    await page.waitForFunction('window.drawnAt');
    const stops = [];
    for (let stop = 0; stop < 40; stop += 1) {
      await page.keyboard.press('Tab');
      const name = await page.evaluate(() => {
        const element = document.activeElement;
        const style = getComputedStyle(element.matches('#scale input') ? element.nextElementSibling : element);
        return `${element.id || element.value || element.innerText.trim().split('\n')[0] || element.tagName}${style.outlineStyle === 'none' || style.outlineWidth === '0px' ? ' (focus unseen)' : ''}`;
      });
      stops.push(name);
      if (name.startsWith('Host')) break;
    }
    await page.focus('#grid');
    const moves = {};
    for (const key of ['ArrowDown', 'ArrowDown', 'ArrowUp', 'PageDown', 'End', 'Home', 'Enter', 'Escape']) {
      await page.keyboard.press(key);
      await wait(120);
      moves[key] = await active(page);
    }
    await see('keyboard', at, { stops, moves, tree: (await tree(page)).slice(0, 400) });
  },

  // What is wrong, what to do, and what hosts call themselves.
  async trouble(browser) {
    const at = await open(browser);
    const { page } = at;
    const draw = async (name) => {
      await page.goto(file(`${name}.html`));
      await page.waitForFunction('window.drawnAt');
    };
    await draw('healthy');
    await see('healthy', at);
    await draw('trouble');
    await page.focus('#grid');
    await page.keyboard.press('ArrowDown');
    await wait(200);
    await see('trouble', at, { tree: await tree(page) });
    await page.click('#states [data-kind="unreachable"]');
    await wait(100);
    await see('only-unreachable', at);
    await page.click('#states [data-kind="unreachable"]');
    await page.evaluate(() => { document.querySelectorAll('#scale input')[1].click(); });
    await wait(200);
    await see('logarithmic', at);
    await page.select('#group', await page.$eval('#group option:nth-child(2)', (option) => option.value));
    await wait(100);
    await see('of-a-group', at);
    await draw('no-reference');
    await see('no-reference', at);
    await draw('empty');
    await see('empty', at);
    await draw('hostile');
    const names = [];
    for (let row = 0; row < 8; row += 1) {
      await page.focus('#grid');
      await page.keyboard.press(row === 0 ? 'Home' : 'ArrowDown');
      await wait(60);
      names.push(await page.evaluate(() => ({ title: document.querySelector('#h-host').textContent, host: document.querySelector('#host').innerText, length: document.querySelector('#h-host').textContent.length })));
    }
    await see('hostile', at, { names });

    // A phone.
    await page.setViewport({ width: 360, height: 740, isMobile: true, hasTouch: true });
    await draw('trouble');
    await see('phone', at);
    await page.tap('#rows .row');
    await wait(200);
    await see('phone-host', at, { sheet: await page.evaluate(() => { const box = document.querySelector('#host').getBoundingClientRect(); return { top: box.top, bottom: box.bottom, height: window.innerHeight }; }) });
    await page.tap('#close');
    await wait(100);
    const closed = await page.evaluate(() => !document.querySelector('#host').checkVisibility());
    await page.setViewport({ width: 1440, height: 900 });

    // The switch says more than the system, and is remembered.
    const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const themes = {};
    await draw('healthy');
    for (const system of ['light', 'dark']) {
      await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: system }]);
      for (const choice of ['', 'light', 'dark']) {
        await page.select('#theme', choice);
        themes[`${system} ${choice}`] = await background();
      }
    }
    await draw('healthy');
    themes.kept = [await page.$eval('#theme', (select) => select.value), await background()];
    const moving = async (value) => {
      await page.emulateMediaFeatures([{ name: 'prefers-reduced-motion', value }]);
      return page.$eval('#rows .row', (row) => getComputedStyle(row).transitionDuration);
    };
    const motion = [await moving('reduce'), await moving('no-preference')];
    await see('themes', at, { closed, themes, motion });
  },

  // A server that knows more and more, fails, and is well again.
  async served(browser) {
    const documents = ['healthy', 'trouble'].map((name) => fs.readFileSync(path.join(dir, `${name}.json`), 'utf8'));
    let [version, failing, history] = [0, false, true];
    const asked = {};
    const states = ['unreachable', 'rejected', 'skewed', 'unsynchronised', 'inconclusive', 'foreign-reference', 'reference-unknown', 'in-sync'];
    const server = http.createServer((request, response) => {
      const url = new URL(request.url, 'http://server');
      const told = request.headers['if-none-match'];
      asked[url.pathname] = (asked[url.pathname] ?? 0) + 1;
      const json = (value) => { response.setHeader('content-type', 'application/json'); response.end(value); };
      if (url.pathname === '/') {
        response.setHeader('content-type', 'text/html; charset=utf-8');
        response.setHeader('content-security-policy', fs.readFileSync(path.join(dir, 'policy.txt'), 'utf8'));
        response.end(fs.readFileSync(path.join(dir, 'served.html')));
      } else if (failing) {
        response.statusCode = 503;
        response.end();
      } else if (url.pathname === '/api/fleet.json') {
        const tag = `"${version}"`;
        response.setHeader('etag', tag);
        response.setHeader('cache-control', 'no-cache');
        if (told === tag) { asked.unchanged = (asked.unchanged ?? 0) + 1; response.statusCode = 304; response.end(); } else json(documents[version]);
      } else if (url.pathname === '/api/history.json' && history) {
        const now = Math.floor(Date.now() / 1000);
        const from = now + Number(url.searchParams.get('from'));
        const host = url.searchParams.get('host');
        if (host === null) {
          const columns = Number(url.searchParams.get('columns'));
          const hosts = JSON.parse(documents[version]).hosts.map(({ host: name }, index) => ({ host: name, row: Array.from({ length: columns }, (_, at) => (index === 1 && at > 30 ? '2' : at < 10 ? '.' : '7')).join('') }));
          json(JSON.stringify({ schema: 'skew-check/history/1', from, to: now, step_s: (now - from) / columns, columns, states, hosts }));
        } else {
          const points = Array.from({ length: 96 }, (_, at) => ({ at: from + at * 900, span_s: 900, sweeps: 15, missed: at === 40 ? 15 : 0, state: at === 40 ? 'unreachable' : at > 70 ? 'skewed' : 'in-sync',
            earliest_ns: at === 40 ? null : -2e6 + at * 3e6, latest_ns: at === 40 ? null : 4e6 + at * 3.2e6, skew_ns: at === 40 ? null : 1e6 + at * 3.1e6, delay_ns: at === 40 ? null : 9e5 }));
          json(JSON.stringify({ schema: 'skew-check/history/1', host, from, to: now, points }));
        }
      } else {
        response.statusCode = 404;
        response.end();
      }
    });
    await new Promise((done) => server.listen(0, '127.0.0.1', done));
    const own = `http://127.0.0.1:${server.address().port}/`;
    try {
      const at = await open(browser);
      const { page } = at;
      // What is slow is waited for in no test: ten seconds pass in a tenth of one.
      await page.evaluateOnNewDocument(() => {
        const later = window.setTimeout;
        window.setTimeout = (run, ms, ...more) => later(run, ms >= 5000 ? ms / 100 : ms, ...more);
      });
      await page.goto(own);
      await page.waitForFunction('window.drawnAt');
      await page.focus('#grid');
      await page.keyboard.press('ArrowDown');
      const chosen = await active(page);
      await page.waitForFunction('document.querySelector("#past").checkVisibility() && document.querySelector("#heat").checkVisibility()', { timeout: 10000 });
      await page.focus('#map');
      for (const key of ['ArrowDown', 'ArrowDown', 'ArrowLeft']) await page.keyboard.press(key);
      const here = await page.$eval('#map-here', (element) => element.textContent);
      await wait(500);
      await see('watched', at, { own, chosen, here, asked: { ...asked } });

      version = 1;
      await page.waitForFunction('document.querySelector("#sentence").textContent.includes("critical")', { timeout: 10000 });
      await wait(300);
      await see('worse', at, { own, chosen: await page.$eval('#h-host', (element) => element.textContent), focused: await page.evaluate(() => document.activeElement.id) });
      failing = true;
      await page.waitForFunction('document.querySelector("#trouble").checkVisibility()', { timeout: 10000 });
      await see('failing', at, { own });
      failing = false;
      await page.waitForFunction('!document.querySelector("#trouble").checkVisibility()', { timeout: 10000 });
      await page.click('#pause');
      await wait(300);
      const before = asked['/api/fleet.json'];
      await wait(500);
      await see('paused', at, { own, before, after: asked['/api/fleet.json'], pressed: await page.$eval('#pause', (button) => button.getAttribute('aria-pressed')) });
      history = false;
      await page.goto(own);
      await page.waitForFunction('window.drawnAt');
      await wait(500);
      at.complaints.splice(0, at.complaints.length, ...at.complaints.filter((complaint) => !complaint.includes('status of 404')));
      await see('no-history', at, { own });
    } finally {
      server.closeAllConnections();
      server.close();
    }
  },
};

main().then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
