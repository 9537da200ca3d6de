// --- Drawing: elements, scales, canvases -----------------------------------------------------------------------------

const SVG = 'http://www.w3.org/2000/svg';
const $ = (id) => document.getElementById(id);

// An element with attributes and children. Texts are texts: nothing that comes from a host is ever markup.
function make(tag, attributes = {}, ...children) {
  const [name, kind] = tag.split('.');
  const svg = ['svg', 'use', 'line', 'rect', 'path', 'circle', 'g', 'text'].includes(name);
  const element = svg ? document.createElementNS(SVG, name) : document.createElement(name);
  if (kind) element.setAttribute('class', kind);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(key, value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(key, value === true ? '' : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const icon = (kind) => make('svg.icon', { viewBox: '0 0 16 16', 'aria-hidden': 'true', focusable: 'false' }, make('use', { href: `#i-${kind}` }));

// The glyph of a kind and its word: never a colour alone.
const badge = (kind, word = kind.name) => make('span', { class: `badge ${kind.tone}` }, icon(kind.name), word);

// Attributes that are set again and again, and mostly to what they are.
function set(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// --- Where an offset lies between -1 and 1 -----------------------------------------------------------------------------

const AT_WARNING = 0.5;
const AT_CRITICAL = 0.9;
const BEYOND = 0.96;

// Evenly up to the warning, evenly from there to what is critical, and beyond that at the end: every host against its own
// thresholds. What is beyond one is never drawn within it.
function byThresholds(ns, { warning, critical }) {
  const size = Math.abs(ns);
  let at;
  if (!(size <= critical)) at = BEYOND;
  else if (size > warning) at = AT_WARNING + 0.01 + ((AT_CRITICAL - AT_WARNING - 0.01) * (size - warning)) / (critical - warning);
  else at = warning > 0 ? (AT_WARNING * size) / warning : 0;
  return ns < 0 ? -at : at;
}

// From a microsecond to a thousand seconds, both ways: to see what is far within the thresholds, too.
const byLogarithm = (ns) => {
  const at = Math.min(Math.log10(1 + Math.abs(ns) / 1e3) / 9, 1) * BEYOND;
  return ns < 0 ? -at : at;
};

const SCALES = {
  thresholds: { at: byThresholds, ticks: () => [] },
  log: { at: byLogarithm, ticks: () => [1e5, 1e7, 1e9, 1e11].flatMap((ns) => [[-ns, `−${length(ns)}`], [ns, `+${length(ns)}`]]) },
};

const percent = (at) => `${(50 + 50 * at).toFixed(2)}%`;

// An interval against thresholds, as SVG whose parts can be moved: it is made once and used for one host after another.
function makePlot() {
  const marks = [-2, -1, 0, 1, 2].map((mark) => make('line', { class: mark === 0 ? 'zero' : Math.abs(mark) === 1 ? 'mark warning' : 'mark critical', y1: '0', y2: '100%' }));
  const bar = make('rect.bar', { y: '30%', height: '40%', rx: '1' });
  const middle = make('rect.middle', { y: '15%', height: '70%', width: '2' });
  const arrow = (points) => make('svg', { overflow: 'visible', y: '50%' }, make('path.bar', { d: points }));
  const [left, right] = [arrow('M1-5-5 0 1 5z'), arrow('M-1-5 5 0-1 5z')];
  const svg = make('svg.plot', { 'aria-hidden': 'true', focusable: 'false' }, ...marks, bar, middle, left, right);
  return { svg, marks, bar, middle, left, right };
}

function setPlot(plot, scale, limits, lo, hi, tone) {
  const at = SCALES[scale].at;
  const known = !Number.isNaN(lo);
  [-limits.critical, -limits.warning, 0, limits.warning, limits.critical].forEach((ns, index) => {
    const x = percent(scale === 'thresholds' ? [-AT_CRITICAL, -AT_WARNING, 0, AT_WARNING, AT_CRITICAL][index] : at(ns, limits));
    set(plot.marks[index], 'x1', x);
    set(plot.marks[index], 'x2', x);
  });
  const shown = (element, yes) => set(element, 'visibility', yes ? 'visible' : 'hidden');
  for (const part of [plot.bar, plot.middle]) shown(part, known);
  set(plot.svg, 'class', `plot ${tone}`);
  const end = (x) => Math.abs(x) >= BEYOND - 1e-9;
  const [left, right, middle] = known ? [at(lo, limits), at(hi, limits), at((lo + hi) / 2, limits)] : [0, 0, 0];
  shown(plot.left, known && left < 0 && end(left));
  shown(plot.right, known && right > 0 && end(right));
  if (!known) return;
  set(plot.bar, 'x', percent(left));
  set(plot.bar, 'width', `${Math.max(50 * (right - left), 0.2).toFixed(2)}%`);
  set(plot.middle, 'x', percent(middle));
  set(plot.left, 'x', percent(left));
  set(plot.right, 'x', percent(right));
}

// --- Canvases ----------------------------------------------------------------------------------------------------------

let colours = {};

// A canvas knows no style sheet: it is told what the theme's colours are.
function readColours() {
  const probe = make('i', { hidden: true });
  document.body.append(probe);
  for (const name of ['paper', 'panel', 'ink', 'soft', 'line', 'strong', 'accent', 'ok', 'warn', 'doubt', 'bad']) {
    probe.className = `c-${name}`;
    colours[name] = getComputedStyle(probe).color;
  }
  probe.remove();
}

// A canvas as large as it is shown, in device pixels, ready to be drawn on in those of CSS.
function prepared(canvas, height) {
  const width = canvas.parentElement.clientWidth;
  const ratio = Math.min(window.devicePixelRatio || 1, 3);
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.max(1, Math.round(height * ratio));
  canvas.style.height = `${height}px`;
  const context = canvas.getContext('2d');
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  context.font = `11px ${getComputedStyle(document.body).fontFamily}`;
  return { context, width, height };
}

// Drawn anew where it has become wider or narrower than it was drawn.
function onWidth(box, soon, drawn) {
  new ResizeObserver(() => {
    if (box.clientWidth !== drawn()) soon();
  }).observe(box);
}

// One drawing a frame, however often it is asked for.
function oncePerFrame(draw) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      draw();
    });
  };
}
