// --- One host: what is known of it, and its history ----------------------------------------------------------------------

const MEASURES = {
  served: 'the time that its server serves, which may be right while its system clock is not',
  system: 'its system clock',
  unknown: 'not said in the inventory: its system clock, or the time that its server serves',
};

function makeHost(view, served) {
  const [section, title, body, close] = [$('host'), $('h-host'), $('host-body'), $('close')];
  const [past, pastBody, span] = [$('past'), $('past-body'), $('past-span')];
  let asked = 0;
  let timer = 0;

  function draw() {
    const { fleet, chosen } = view;
    const host = fleet?.hosts[chosen];
    section.classList.toggle('open', Boolean(host));
    close.hidden = !host;
    if (!host) {
      write(title, 'Host');
      body.replaceChildren(make('p.caption', {}, 'Choose a host in the list, or in a picture.'));
      past.hidden = true;
      return;
    }
    const i = chosen;
    const kind = KINDS[fleet.kind[i]];
    const limits = thresholds(fleet, i);
    const [lo, hi, middle, half] = [fleet.lo[i], fleet.hi[i], fleet.middle[i], fleet.half[i]];
    const known = !Number.isNaN(middle);
    write(title, visible(fleet.names[i], 2000));
    const plot = makePlot();
    setPlot(plot, view.scale, limits, lo, hi, kind.tone);
    const axis = make('div', { class: 'axis', 'aria-hidden': 'true' });
    const at = SCALES[view.scale].at;
    for (const [ns, sign] of [[-limits.critical, '−'], [-limits.warning, '−'], [0, ''], [limits.warning, '+'], [limits.critical, '+']]) {
      if (Number.isNaN(ns)) continue;
      const mark = make('span', {}, ns === 0 ? '0' : sign + length(Math.abs(ns)));
      mark.style.left = percent(at(ns, limits));
      axis.append(mark);
    }
    const { sign, middle: size, half: bound } = known ? bounded(middle, half) : {};
    const facts = [
      ['Surely off by', known ? (fleet.least[i] > 0 ? `at least ${length(fleet.least[i])}` : 'nothing: it may be exact') : null],
      ['At most off by', known ? length(fleet.most[i]) : null],
      ['Thresholds', Number.isNaN(limits.warning) ? null : `warning ${length(limits.warning)}, critical ${length(limits.critical)}`],
      ['Address', host.address],
      ['Group', host.group],
      ['Delay', Number.isNaN(fleet.delay[i]) ? null : length(Math.abs(fleet.delay[i]))],
      ['Stratum', host.stratum],
      ['Follows', host.reference_id],
      ['Flags', list(host.flags).join(', ')],
      ['What was read', MEASURES[host.measures]],
      ['Samples', host.samples],
      ...Object.entries({ ...fleet.groups[fleet.group[i]]?.labels, ...host.labels }),
    ].filter(([, value]) => value !== null && value !== undefined && value !== '');
    body.replaceChildren(
      make('p', {}, badge(kind), make('span.says', {}, ` ${kind.says}`)),
      ...(known ? [make('p.figure', {}, sign + size, make('span', {}, ` ± ${bound}`))] : []),
      ...(known && longer(middle) ? [make('p.caption', {}, `${longer(middle)} ${middle < 0 ? 'behind' : 'ahead'}`)] : []),
      ...(known ? [make('div.big-plot', {}, plot.svg, axis)] : []),
      ...(host.reason ? [make('p', {}, sentenceOf(visible(host.reason, 2000)))] : []),
      ...(kind.todo ? [make('p.todo', {}, kind.todo)] : []),
      make('dl.facts', {}, ...facts.flatMap(([name, value]) => [make('dt', {}, visible(name, 80)), make('dd', {}, visible(value, 400))])),
    );
    if (served) later();
  }

  const sentenceOf = (text) => `${text.slice(0, 1).toUpperCase()}${text.slice(1)}${/[.?!]$/.test(text) ? '' : '.'}`;

  // --- History: asked for when the choice rests

  function later() {
    clearTimeout(timer);
    timer = setTimeout(ask, 150);
  }

  async function ask() {
    const name = view.fleet?.names[view.chosen];
    if (name === undefined) return;
    asked += 1;
    const mine = asked;
    let found = null;
    try {
      const query = new URLSearchParams({ host: name, from: `-${span.value}`, points: '400' });
      found = (await get(`api/history.json?${query}`)).document;
    } catch {
      found = null;
    }
    if (mine !== asked) return;
    past.hidden = false;
    drawPast(found);
  }

  function drawPast(found) {
    const points = list(found?.points);
    if (points.length === 0) {
      pastBody.replaceChildren(make('p.caption', {}, found ? 'Nothing is known of it from this time.' : 'The server has no history of it.'));
      return;
    }
    const { fleet, chosen } = view;
    const limits = thresholds(fleet, chosen);
    const [from, to] = [found.from, Math.max(found.to, found.from + 1)];
    const x = (s) => (100 * (s - from)) / (to - from);
    const known = points.filter((point) => typeof point.earliest_ns === 'number');
    const largest = known.reduce((most, point) => Math.max(most, Math.abs(point.earliest_ns), Math.abs(point.latest_ns)), 1);
    // Against the thresholds where it comes near them, else as far as it goes.
    const range = 1.1 * (largest > limits.warning / 4 ? Math.max(largest, limits.warning) : largest);
    const y = (ns) => 50 - (50 * ns) / range;
    const svg = make('svg', { class: 'past', role: 'img', viewBox: '0 0 100 100', preserveAspectRatio: 'none', 'aria-labelledby': 'past-text' });
    for (const [ns, name] of [[0, 'zero'], [limits.warning, 'mark warning'], [-limits.warning, 'mark warning'], [limits.critical, 'mark critical'], [-limits.critical, 'mark critical']]) {
      if (Math.abs(ns) < range) svg.append(make('line', { class: name, x1: 0, x2: 100, y1: y(ns), y2: y(ns) }));
    }
    for (const point of known) {
      const kind = KINDS[kindOf(point.state)];
      const left = x(point.at);
      const wide = Math.max((100 * (point.span_s || 0)) / (to - from), 0.35);
      const [top, bottom] = [y(point.latest_ns), y(point.earliest_ns)];
      svg.append(make('rect', { class: `fill ${kind.tone} bound`, x: left, y: top, width: wide, height: Math.max(bottom - top, 0.8) }));
      if (typeof point.skew_ns === 'number') svg.append(make('rect', { class: `fill ${kind.tone}`, x: left, y: y(point.skew_ns) - 0.7, width: wide, height: 1.4 }));
    }
    const missed = points.filter((point) => typeof point.earliest_ns !== 'number');
    for (const point of missed) svg.append(make('rect', { class: 'fill doubt', x: x(point.at), y: 94, width: Math.max((100 * (point.span_s || 0)) / (to - from), 0.35), height: 6 }));
    const states = new Map();
    for (const point of points) states.set(point.state, (states.get(point.state) ?? 0) + 1);
    const counted = KINDS.filter((kind) => states.has(kind.name)).map((kind) => `${kind.name} ${Math.round((100 * states.get(kind.name)) / points.length)} %`);
    const words = `From ${moment(from * 1000)} to ${moment(to * 1000)}: ${counted.join(', ')} of ${plural(points.length, 'point')}; never more than ${length(largest)} off where it was measured.`;
    const rows = points.slice(-50).reverse().map((point) => make('tr', {},
      make('th', { scope: 'row' }, moment(point.at * 1000)),
      make('td', {}, badge(KINDS[kindOf(point.state)], point.state)),
      make('td.number', {}, typeof point.skew_ns === 'number' ? shortSkew(point.skew_ns, (point.latest_ns - point.earliest_ns) / 2) : '–'),
      make('td.number', {}, typeof point.earliest_ns === 'number' ? `± ${length((point.latest_ns - point.earliest_ns) / 2)}` : '–')));
    pastBody.replaceChildren(
      make('div.past-box', {}, make('span.top', { 'aria-hidden': 'true' }, `+${length(range)}`), make('span.bottom', { 'aria-hidden': 'true' }, `−${length(range)}`), svg),
      make('div.past-axis', { 'aria-hidden': 'true' }, make('span', {}, moment(from * 1000).slice(0, 16)), make('span', {}, `${moment(to * 1000).slice(0, 16)} UTC`)),
      make('p.caption', { id: 'past-text' }, words),
      make('details', {}, make('summary', {}, 'As a table'), make('table', {}, make('caption', {}, points.length > 50 ? 'The last 50 points' : 'All points'),
        make('thead', {}, make('tr', {}, ...['Time', 'State', 'Skew', 'Bound'].map((title) => make('th', { scope: 'col' }, title)))), make('tbody', {}, ...rows))),
    );
  }

  span.addEventListener('change', ask);
  return { draw, ask, title, section, close };
}
