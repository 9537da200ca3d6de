// --- The fleet: what a document says, in arrays that are quick to sort and to search ------------------------------

// What a host is listed as: its state, and those that are critical apart. The worst comes first.
const KINDS = [
  { name: 'critical', tone: 'bad', says: 'surely off by more than is critical', todo: 'Look at its time daemon (chronyc tracking), set its clock, and find out what keeps it from its sources.' },
  { name: 'skewed', tone: 'warn', says: 'surely off by more than the warning', todo: 'Look at its time daemon (chronyc tracking): is it running, does it reach its sources, are these right?' },
  { name: 'unreachable', tone: 'doubt', says: 'no answer', todo: 'Is it up, does its NTP server run and allow this host, does a firewall drop UDP?' },
  { name: 'rejected', tone: 'doubt', says: 'an answer that can’t be right, or a refusal', todo: 'The host’s details say what was wrong with its answer.' },
  { name: 'unsynchronised', tone: 'warn', says: 'it says that nobody sets its clock', todo: 'It is right by luck at best: start its time daemon, or name sources for it that it can reach.' },
  { name: 'inconclusive', tone: 'doubt', says: 'it may be off, or not', todo: 'The bound is wider than the threshold: ask from nearer, take more samples, or use better reference sources.' },
  { name: 'foreign-reference', tone: 'warn', says: 'right, but follows nobody who is approved', todo: 'Point it to the approved upstreams, or approve the one that it follows.' },
  { name: 'reference-unknown', tone: 'doubt', says: 'right; whom it follows can’t be told', todo: 'Its reference identifier doesn’t tell: look at its configuration, or approve what hides it.' },
  { name: 'in-sync', tone: 'ok', says: 'all is as it should be', todo: '' },
];
const IN_SYNC = KINDS.length - 1;
const kindOf = (name) => {
  const index = KINDS.findIndex((kind) => kind.name === name);
  return index < 0 ? 5 : index;
};
const TONE = { ok: 'ok', warning: 'warn', unknown: 'doubt', critical: 'bad' };

const finite = (value) => (typeof value === 'number' && Number.isFinite(value) ? value : NaN);
const list = (value) => (Array.isArray(value) ? value : []);

// A fleet of schema skew-check/fleet/1. Nothing of the document is trusted to be there.
function fleetOf(document) {
  const hosts = list(document.hosts);
  const n = hosts.length;
  const groups = list(document.groups).map((group) => ({
    name: group.group ?? null,
    warning: finite(group.warning_ns),
    critical: finite(group.critical_ns),
    summary: group.summary ?? {},
    margin: finite(group.margin_ns),
    unmeasured: group.unmeasured ?? 0,
    labels: group.labels ?? {},
  }));
  const places = new Map(groups.map((group, index) => [group.name, index]));
  const fleet = {
    document, hosts, n, groups,
    names: new Array(n),
    // What is searched in, made when there is time for it.
    text: null,
    group: new Int32Array(n),
    kind: new Uint8Array(n),
    lo: new Float64Array(n),
    hi: new Float64Array(n),
    middle: new Float64Array(n),
    half: new Float64Array(n),
    // How far off at the least and at the most, either way.
    least: new Float64Array(n),
    most: new Float64Array(n),
    delay: new Float64Array(n),
    counts: new Uint32Array(KINDS.length),
    measured: 0,
    byName: new Map(),
    orders: new Map(),
  };
  hosts.forEach((host, i) => {
    const name = String(host.host ?? '');
    fleet.names[i] = name;
    fleet.byName.set(name, i);
    fleet.group[i] = places.get(host.group ?? null) ?? -1;
    const critical = list(host.flags).includes('critical') && host.state === 'skewed';
    fleet.kind[i] = critical ? 0 : kindOf(host.state);
    const [middle, half] = [finite(host.skew_ns), finite(host.half_width_ns)];
    const [lo, hi] = [middle - half, middle + half];
    fleet.lo[i] = lo;
    fleet.hi[i] = hi;
    fleet.middle[i] = middle;
    fleet.half[i] = half;
    fleet.least[i] = lo <= 0 && hi >= 0 ? 0 : Math.min(Math.abs(lo), Math.abs(hi));
    fleet.most[i] = Math.max(Math.abs(lo), Math.abs(hi));
    fleet.delay[i] = finite(host.delay_ns);
    fleet.counts[fleet.kind[i]] += 1;
    if (!Number.isNaN(middle)) fleet.measured += 1;
  });
  return fleet;
}

function textOf(fleet) {
  const lines = (labels) => Object.entries(labels ?? {}).map(([label, value]) => `\n${label}=${value}`).join('');
  const shared = fleet.groups.map((group) => lines(group.labels));
  fleet.text ??= fleet.hosts.map((host, i) => `${fleet.names[i]}\n${host.address ?? ''}\n${host.group ?? ''}\n${host.reference_id ?? ''}\n${host.state}${
    shared[fleet.group[i]] ?? ''}${host.labels ? lines(host.labels) : ''}`.toLowerCase());
  return fleet.text;
}

// How far off any that was measured may be.
const farthest = (fleet) => fleet.most.reduce((most, each) => (each > most ? each : most), 0);

const thresholds = (fleet, i) => {
  const group = fleet.groups[fleet.group[i]];
  return { warning: group?.warning ?? NaN, critical: group?.critical ?? NaN };
};

// --- Order ---------------------------------------------------------------------------------------------------------

// What isn't known comes last, whichever way the list is turned.
const byNumber = (values, way) => (a, b) => {
  const [x, y] = [values[a], values[b]];
  if (x === y) return a - b;
  if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y) || a - b;
  return way * (x - y);
};

const ORDERS = {
  worst: { says: 'Worst first', of: (f) => {
    const [least, most] = [byNumber(f.least, -1), byNumber(f.most, -1)];
    return (a, b) => f.kind[a] - f.kind[b] || (f.least[a] !== f.least[b] ? least(a, b) : most(a, b));
  } },
  given: { says: 'As given', of: () => (a, b) => a - b },
  name: { says: 'Name', column: 'host', of: (f, way) => {
    const collator = new Intl.Collator('en', { numeric: true });
    const places = new Uint32Array(f.n);
    const keys = f.names.map((name) => name.slice(0, 300));
    Array.from(places, (_, i) => i).sort((a, b) => collator.compare(keys[a], keys[b]) || a - b).forEach((i, at) => { places[i] = at; });
    return (a, b) => way * (places[a] - places[b]);
  } },
  state: { says: 'State', column: 'state', of: (f, way) => (a, b) => way * (f.kind[a] - f.kind[b]) || a - b },
  skew: { says: 'Skew, behind to ahead', column: 'skew', of: (f, way) => byNumber(f.middle, way) },
  bound: { says: 'Bound', column: 'bound', of: (f, way) => byNumber(f.half, way) },
  delay: { says: 'Delay', column: 'delay', of: (f, way) => byNumber(f.delay, way) },
  group: { says: 'Group', column: 'group', of: (f, way) => (a, b) => way * (f.group[a] - f.group[b]) || a - b },
};

// All hosts in an order, which is made once.
function ordered(fleet, key, way) {
  const name = `${key} ${way}`;
  let order = fleet.orders.get(name);
  if (!order) {
    order = Uint32Array.from({ length: fleet.n }, (_, i) => i);
    order.sort(ORDERS[key].of(fleet, way));
    fleet.orders.set(name, order);
  }
  return order;
}

// Those of an order in which all words are found, of a group and of kinds; null stands for all of these.
function matching(fleet, order, { words, group, kinds }) {
  const found = new Uint32Array(order.length);
  let count = 0;
  const texts = words.length > 0 ? textOf(fleet) : null;
  for (let at = 0; at < order.length; at += 1) {
    const i = order[at];
    if (kinds && !kinds[fleet.kind[i]]) continue;
    if (group !== null && fleet.group[i] !== group) continue;
    if (texts && !words.every((word) => texts[i].includes(word))) continue;
    found[count] = i;
    count += 1;
  }
  return found.subarray(0, count);
}
