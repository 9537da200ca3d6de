// --- Words: texts from elsewhere, lengths of time, moments --------------------------------------------------------

// What isn't seen itself, and may change how what is around it is seen.
const UNSEEN = /[\p{C}\p{Zl}\p{Zp}]/gu;

// A text from elsewhere as it is shown: everything in it to be seen, and no longer than `most`.
function visible(text, most = 300) {
  let shown = String(text ?? '');
  if (shown.length > most) shown = `${shown.slice(0, most)}…`;
  return shown.replace(UNSEEN, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
}

const UNITS = [[1e9, 's'], [1e6, 'ms'], [1e3, 'µs'], [1, 'ns']];

// The power of ten that leaves so many digits of a number of nanoseconds.
function resolution(ns, digits) {
  const length = ns < 1 ? 1 : Math.floor(Math.log10(ns) + 1e-12) + 1;
  return 10 ** Math.max(0, length - digits);
}

// A multiple of a resolution in the largest unit that leaves a digit before the point.
function decimal(ns, resolution) {
  const size = Math.max(ns, resolution);
  const [unit, name] = UNITS.find(([unit]) => size >= unit) ?? UNITS[3];
  const places = Math.round(Math.log10(Math.max(unit / resolution, 1)));
  return `${(ns / unit).toFixed(places)} ${name}`;
}

// Rounded up to three digits that count: what is given as a bound stays one.
function length(ns) {
  const step = resolution(ns, 3);
  const shown = decimal(Math.ceil(ns / step) * step, step);
  return shown.replace(/(\.\d*?)0+ /, '$1 ').replace('. ', ' ');
}

// An offset with its bound, both at one resolution: what is shown contains what is known.
function bounded(middle, half) {
  // Numbers beyond 2^53 come rounded.
  const known = half + Math.abs(middle) * 2 ** -52;
  const step = resolution(known, 2);
  const rounded = Math.round(middle / step) * step;
  const wide = Math.ceil((known + Math.abs(rounded - middle)) / step) * step;
  const sign = rounded < 0 ? '−' : '+';
  return { sign, middle: decimal(Math.abs(rounded), step), half: decimal(wide, step) };
}

// Seconds that nobody reads as seconds.
function longer(ns) {
  const seconds = Math.abs(ns) / 1e9;
  for (const [unit, name] of [[31556952, 'years'], [86400, 'days'], [3600, 'hours'], [60, 'minutes']]) {
    if (seconds >= 2 * unit) return `about ${(seconds / unit).toFixed(seconds >= 20 * unit ? 0 : 1)} ${name}`;
  }
  return null;
}

const shortSkew = (middle, half) => {
  const { sign, middle: size } = bounded(middle, half);
  const long = Math.abs(middle) >= 3.6e12 ? longer(middle) : null;
  return sign + (long ? long.replace('about ', '') : size);
};

// How far off a clock is, in words.
function off(lo, hi, middle, half) {
  if (Number.isNaN(lo)) return 'its skew is not known';
  if (lo <= 0 && hi >= 0) return `right, give or take ${length(Math.max(-lo, hi))}`;
  const { middle: size, half: bound } = bounded(middle, half);
  const long = longer(middle);
  return `${size}${long ? ` (${long})` : ''} ${middle < 0 ? 'behind' : 'ahead'}, give or take ${bound}`;
}

const plural = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;
const NUMBER = new Intl.NumberFormat('en');
const number = (value) => NUMBER.format(value);

// 2026-11-22 20:32:12 UTC
const moment = (ms) => `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')} UTC`;

function ago(ms) {
  const seconds = Math.round(ms / 1000);
  if (seconds < 0) return 'from the future, by this device’s clock';
  for (const [unit, name] of [[86400, 'day'], [3600, 'hour'], [60, 'minute']]) {
    if (seconds >= unit) return `${plural(Math.floor(seconds / unit), name)} ago`;
  }
  return `${seconds} s ago`;
}
