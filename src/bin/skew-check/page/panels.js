// --- What is wrong and what to do; states; the worst pair; sources; groups -----------------------------------------------

const ADVICE_REFERENCE = 'Without true time no clock can be called right or wrong. Look at the sources: which of them answer, and which agree?';

// One sentence about all of it, and one about what to do.
function verdict(fleet) {
  const { document, counts, n } = fleet;
  const total = Object.values(document.summary ?? {}).reduce((sum, count) => sum + count, 0) || n;
  if (n === 0 && total === 0) return { kind: 'inconclusive', tone: 'doubt', says: 'Nothing was measured.', todo: visible(document.reason, 600) };
  if (!document.reference) return { kind: 'inconclusive', tone: 'doubt', says: 'True time is not known.', todo: ADVICE_REFERENCE };
  const notes = [];
  if (document.reference.contested) notes.push('The sources of true time contradict each other in two parties: find out which is wrong.');
  else if (document.reference.corroborated === false) notes.push('Only one source says what time it is, and nothing bears it out: name more.');
  const worst = counts.findIndex((count) => count > 0);
  if (worst === IN_SYNC || worst < 0) {
    const bound = fleet.measured > 0 ? `None is more than ${length(farthest(fleet))} off.` : '';
    return { kind: notes.length ? 'reference-unknown' : 'in-sync', tone: notes.length ? 'warn' : 'ok', says: n === 1 ? 'The clock is right.' : `All ${number(n)} clocks are right.`, todo: [bound, ...(notes.length ? notes : ['There is nothing to do.'])].join(' ').trim() };
  }
  const kind = KINDS[worst];
  const count = counts[worst];
  const one = count === 1;
  const says = {
    critical: `${plural(count, 'clock is', 'clocks are')} wrong, beyond what is critical.`,
    skewed: `${plural(count, 'clock is', 'clocks are')} off by more than is allowed.`,
    unreachable: `${plural(count, 'host doesn’t', 'hosts don’t')} answer; nobody knows what time it is there.`,
    rejected: `${plural(count, 'host answers', 'hosts answer')} what can’t be used.`,
    unsynchronised: `Nobody sets the ${one ? 'clock of one host' : `clocks of ${number(count)} hosts`}.`,
    inconclusive: `${plural(count, 'clock', 'clocks')} may be off, or not.`,
    'foreign-reference': `${plural(count, 'host follows', 'hosts follow')} nobody who is approved.`,
    'reference-unknown': `Whom ${plural(count, 'host follows', 'hosts follow')} can’t be told.`,
  }[kind.name];
  let todo = kind.todo;
  if (worst < 2) {
    const i = ordered(fleet, 'worst', 1)[0];
    todo = `Begin with ${visible(fleet.names[i], 60)}, which is ${off(fleet.lo[i], fleet.hi[i], fleet.middle[i], fleet.half[i])}. ${todo}`;
  }
  return { kind: kind.name, tone: kind.tone, says, todo: [todo, ...notes].join(' ') };
}

function drawVerdict(fleet) {
  const { document } = fleet;
  const found = verdict(fleet);
  const sentence = $('sentence');
  // Said once, and again only when it is another: it is a live region.
  if (sentence.textContent !== found.says) sentence.replaceChildren(icon(found.kind), make('span', {}, found.says));
  set(sentence, 'class', `sentence ${found.tone}`);
  write($('advice'), found.todo);
  write($('reason'), visible(document.reason, 4000));
  const heading = { ok: 'OK', warning: 'Warning', unknown: 'Unknown', critical: 'Critical' }[document.status];
  window.document.title = `${heading ? `${heading}: ` : ''}${found.says} – skew-check`;
  const summary = document.summary ?? {};
  const total = Object.values(summary).reduce((sum, count) => sum + count, 0);
  const reference = document.reference;
  const readouts = [
    ['Hosts', number(Math.max(total, fleet.n))],
    ['Measured', fleet.n > 0 ? (fleet.measured === fleet.n ? 'all' : `${number(fleet.measured)} of ${number(fleet.n)}`) : '–'],
    ['None farther off than', fleet.measured > 0 ? length(farthest(fleet)) : '–'],
    ['Sources that agree', reference ? `${reference.agreeing} of ${reference.configured}` : 'none'],
    ['True time is known to', reference ? `± ${length(reference.half_width_ns)}` : '–'],
    ['The sweep took', document.took_ns ? length(document.took_ns) : '–'],
  ];
  $('readouts').replaceChildren(...readouts.map(([name, value]) => make('div', {}, make('dt', {}, name), make('dd', {}, value))));
  const listed = fleet.n < total ? ` Of ${number(total)} hosts, ${number(fleet.n)} are listed here.` : '';
  write($('foot'), `Skew is a host’s time minus true time, with a bound that holds as long as no more sources are wrong than are tolerated${reference ? ` (${reference.tolerated_liars} here)` : ''}. Delay is never called skew.${listed}`);
}

// Nobody knows whether it still holds.
function doubtVerdict() {
  set($('sentence'), 'class', 'sentence unknown');
  if (!window.document.title.startsWith('Old: ')) window.document.title = `Old: ${window.document.title}`;
}

// States as switches: what a host can be, how many are, and what to do then.
function drawStates(view, toggle) {
  const { fleet } = view;
  const box = $('states');
  const focused = document.activeElement?.dataset?.kind;
  const kinds = KINDS.map((kind, index) => ({ ...kind, index, count: fleet.counts[index] })).filter(({ count, index }) => count > 0 || index === IN_SYNC);
  box.replaceChildren(...kinds.map((kind) => {
    const pressed = Boolean(view.kinds?.[kind.index]);
    const button = make('button', { type: 'button', class: `state ${kind.tone}`, 'aria-pressed': String(pressed), 'data-kind': kind.name, click: () => toggle(kind.index) },
      make('span.amount', {}, number(kind.count)), badge(kind), make('span.says', {}, kind.says));
    return make('li', {}, button);
  }));
  if (focused) box.querySelector(`[data-kind="${focused}"]`)?.focus();
  const share = $('share');
  let x = 0;
  share.replaceChildren(...kinds.filter(({ count }) => count > 0).map((kind) => {
    // The few among many are still to be seen.
    const width = (100 * kind.count) / Math.max(1, fleet.n);
    const part = make('rect', { class: `fill ${kind.tone}`, x: `${x.toFixed(3)}%`, width: `${Math.max(width, 0.4).toFixed(3)}%`, height: '100%' });
    x += width;
    return part;
  }).reverse());
}

function drawPair(view, choose) {
  const { fleet } = view;
  const pair = fleet.document.worst_pair;
  const box = $('pair-body');
  if (!pair) {
    box.replaceChildren(make('p.caption', {}, 'Fewer than two hosts were measured.'));
    return;
  }
  const { middle, half } = bounded(pair.skew_ns, pair.half_width_ns);
  const sure = pair.skew_ns - pair.half_width_ns > 0;
  const host = (name) => {
    const i = fleet.byName.get(name);
    const text = visible(name, 80);
    return i === undefined ? make('strong', {}, text) : make('button.link', { type: 'button', click: () => choose(i) }, text);
  };
  box.replaceChildren(
    make('p', {}, host(pair.a), sure ? ' is ahead of ' : ' may be ahead of ', host(pair.b), sure ? ' by' : ', or not: by'),
    make('p.figure', {}, middle, make('span', {}, ` ± ${half}`)),
    make('p.caption', {}, sure ? 'Of all pairs these two are surely the farthest apart. The reference’s error has no part in it.' : 'No two hosts are surely apart.'),
  );
}

const VERDICTS = {
  truechimer: ['in-sync', 'ok'], falseticker: ['critical', 'bad'], inconsistent: ['critical', 'bad'], rejected: ['rejected', 'doubt'],
  unsynchronised: ['unsynchronised', 'warn'], unreachable: ['unreachable', 'doubt'], kiss: ['rejected', 'doubt'],
};

// Every source's interval around the time that they agree on.
function drawSources(fleet) {
  const { sources, reference, warnings } = { ...fleet.document, sources: list(fleet.document.sources), warnings: list(fleet.document.warnings) };
  const box = $('sources-body');
  if (sources.length === 0) {
    box.replaceChildren(make('p.caption', {}, 'No source was asked.'));
    return;
  }
  const zero = reference?.best_offset_ns ?? 0;
  const known = sources.filter((source) => typeof source.offset_ns === 'number');
  const believed = known.filter((source) => source.verdict === 'truechimer' || !reference);
  const reach = (source) => Math.abs(source.offset_ns - zero) + source.root_distance_ns;
  let range = Math.max(1, ...(believed.length ? believed : known).map(reach));
  range *= 1.15;
  const x = (ns) => Math.max(-1, Math.min(1, ns / range));
  const rows = sources.map((source) => {
    const [glyph, tone] = VERDICTS[source.verdict] ?? ['inconclusive', 'doubt'];
    const plot = make('svg', { class: `plot ${tone}`, 'aria-hidden': 'true', focusable: 'false' });
    if (reference) {
      const [lo, hi] = [reference.offset_ns - reference.half_width_ns - zero, reference.offset_ns + reference.half_width_ns - zero];
      plot.append(make('rect.band', { x: percent(x(lo)), width: `${(50 * (x(hi) - x(lo))).toFixed(2)}%`, height: '100%' }));
    }
    plot.append(make('line.zero', { x1: '50%', x2: '50%', y1: '0', y2: '100%' }));
    let skew = ['–'];
    if (typeof source.offset_ns === 'number') {
      const own = source.offset_ns - zero;
      const [lo, hi] = [own - source.root_distance_ns, own + source.root_distance_ns];
      const { sign, middle, half } = bounded(own, source.root_distance_ns);
      skew = [`${sign}${middle}`, make('span.sub', {}, `± ${half}`)];
      if (hi >= -range && lo <= range) plot.append(make('rect.bar', { x: percent(x(lo)), width: `${Math.max(50 * (x(hi) - x(lo)), 0.8).toFixed(2)}%`, y: '30%', height: '40%', rx: '1' }));
      if (lo < -range) plot.append(make('svg', { x: '0', y: '50%', overflow: 'visible' }, make('path.bar', { d: 'M7-5 1 0 7 5z' })));
      if (hi > range) plot.append(make('svg', { x: '100%', y: '50%', overflow: 'visible' }, make('path.bar', { d: 'M-7-5-1 0-7 5z' })));
    }
    const more = [source.stratum !== null && source.stratum !== undefined ? `stratum ${source.stratum}` : null, source.reference_id ? `follows ${visible(source.reference_id, 40)}` : null,
      typeof source.delay_ns === 'number' ? `delay ${length(source.delay_ns)}` : null, source.leap && source.leap !== 'none' ? `leap ${source.leap}` : null].filter(Boolean).join(', ');
    return make('tr', {},
      make('th', { scope: 'row' }, make('span.name', {}, visible(source.source, 80)), badge({ name: glyph, tone }, source.verdict ?? 'undecided'),
        more ? make('span.sub', {}, more) : null, source.reason ? make('span.sub', {}, visible(source.reason, 300)) : null),
      make('td.of-plot', {}, plot),
      make('td.number', {}, ...skew));
  });
  const agree = reference ? `${reference.agreeing} of ${reference.configured} agree; what they say together holds even if ${reference.tolerated_liars} of them ${reference.tolerated_liars === 1 ? 'is' : 'are'} wrong. The band is that interval.` : known.length > 1 ? 'They don’t agree on a time.' : 'Too few of them say what time it is.';
  const head = make('tr', {}, make('th', { scope: 'col' }, 'Source'), make('th', { scope: 'col', class: 'middle' }, known.length ? `± ${length(range)}` : ''), make('th', { scope: 'col', class: 'number' }, 'From agreed'));
  box.replaceChildren(
    make('table.sources', {}, make('caption.unseen', {}, 'Sources, their verdicts and intervals'), make('thead', {}, head), make('tbody', {}, ...rows)),
    make('p.caption', {}, agree),
    ...warnings.map((warning) => make('p.caption', {}, `Warning: ${visible(warning, 400)}`)),
  );
}

function drawGroups(view, choose) {
  const { fleet } = view;
  $('groups').hidden = fleet.groups.length === 0;
  const rows = fleet.groups.map((group, index) => {
    const hosts = Object.values(group.summary).reduce((sum, count) => sum + count, 0);
    const name = group.name === null ? 'no group' : visible(group.name, 80);
    const trouble = KINDS.filter((kind) => kind.name !== 'in-sync' && group.summary[kind.name] > 0);
    const states = trouble.length
      ? trouble.map((kind) => make('span', { class: `badge ${kind.tone}` }, icon(kind.name), `${number(group.summary[kind.name])} ${kind.name}`))
      : [badge(KINDS[IN_SYNC])];
    return make('tr', {},
      make('th', { scope: 'row' }, fleet.groups.length > 1 ? make('button.link', { type: 'button', click: () => choose(index) }, name) : name, make('span.sub', {}, ...states)),
      make('td.number', {}, number(hosts)),
      make('td.number', {}, length(group.warning)), make('td.number', {}, length(group.critical)),
      make('td.number', {}, Number.isNaN(group.margin) ? '–' : length(group.margin)));
  });
  const head = make('tr', {}, ...['Group', 'Hosts', 'Warning', 'Critical', 'Farthest'].map((title, index) => make('th', { scope: 'col', class: index > 0 ? 'number' : null }, title)));
  $('groups-body').replaceChildren(make('table.groups', {}, make('caption.unseen', {}, 'Groups, their states and thresholds'), make('thead', {}, head), make('tbody', {}, ...rows)));
}
