// --- Hosts over time: the worst state of each in each column -----------------------------------------------------------------

// Tall where it is bad: told apart without colours, too.
const HEIGHTS = { ok: 0.3, doubt: 0.55, warn: 0.8, bad: 1 };
const ROOM = { left: 132, bottom: 18 };

function makeHeat(view, choose) {
  const [section, canvas, span] = [$('heat'), $('map'), $('heat-span')];
  let data = null;
  let rows = new Map();
  let size = { width: 1, height: 1 };
  let hosts = new Uint32Array(0);
  let [row, column] = [-1, -1];

  // A host's states as kinds, one a column; `NONE` where nothing is known.
  const NONE = 255;
  function parse(document) {
    const kinds = list(document.states).map(kindOf);
    rows = new Map();
    for (const { host, row } of list(document.hosts)) {
      const cells = new Uint8Array(document.columns).fill(NONE);
      for (let at = 0; at < Math.min(row.length, cells.length); at += 1) {
        const index = parseInt(row[at], 36);
        if (!Number.isNaN(index)) cells[at] = kinds[index] ?? NONE;
      }
      rows.set(host, cells);
    }
  }

  async function ask() {
    let found = null;
    try {
      found = (await get(`api/history.json?${new URLSearchParams({ from: `-${span.value}`, columns: '120' })}`)).document;
    } catch {
      found = null;
    }
    // Without a history there is no map; one that was there stays.
    if (!found || !(found.columns > 0)) return;
    data = found;
    parse(found);
    section.hidden = false;
    refresh();
  }

  const lines = () => Math.min(hosts.length, Math.floor((size.height - ROOM.bottom) / 2));
  const left = () => (size.width < 560 ? 0 : ROOM.left);

  function draw() {
    if (!data || section.hidden) return;
    const most = window.innerWidth < 700 ? 280 : 420;
    const wanted = Math.max(60, Math.min(most, hosts.length * 18)) + ROOM.bottom;
    const { context, width, height } = prepared(canvas, wanted);
    size = { width, height };
    const count = lines();
    const tall = (height - ROOM.bottom) / Math.max(count, 1);
    const wide = (width - left()) / data.columns;
    context.textBaseline = 'middle';
    for (let line = 0; line < count; line += 1) {
      const [first, end] = range(line, count);
      const top = line * tall;
      for (let at = 0; at < data.columns; at += 1) {
        let worst = NONE;
        for (let each = first; each < end; each += 1) worst = Math.min(worst, rows.get(view.fleet.names[hosts[each]])?.[at] ?? NONE);
        if (worst === NONE) continue;
        const { tone } = KINDS[worst];
        const part = tall < 4 ? 1 : HEIGHTS[tone];
        const room = tall < 4 ? 0 : 1;
        context.fillStyle = colours[tone];
        context.globalAlpha = tone === 'ok' ? 0.45 : 1;
        const high = Math.max((tall - room) * part, 1);
        context.fillRect(left() + at * wide, top + (tall - room - high), Math.max(wide - (wide > 4 ? 1 : 0), 0.5), high);
      }
      context.globalAlpha = 1;
      if (left() > 0 && tall >= 11) {
        context.fillStyle = hosts[first] === view.chosen ? colours.accent : colours.soft;
        context.textAlign = 'left';
        let name = visible(view.fleet.names[hosts[first]], 40);
        while (name.length > 4 && context.measureText(name).width > left() - 10) name = `${name.slice(0, -2)}…`;
        context.fillText(name, 0, top + tall / 2);
      }
    }
    context.fillStyle = colours.soft;
    const label = height - ROOM.bottom / 2 + 2;
    context.textAlign = 'left';
    context.fillText(moment(data.from * 1000).slice(0, 16), left(), label);
    context.textAlign = 'right';
    context.fillText(`${moment(data.to * 1000).slice(0, 16)} UTC`, width, label);
    if (row >= 0 && column >= 0) {
      context.strokeStyle = colours.accent;
      context.lineWidth = 2;
      context.strokeRect(left() + column * wide - 1, row * tall - 1, wide + 2, tall + 2);
      context.lineWidth = 1;
    }
  }
  const soon = oncePerFrame(draw);

  // Which hosts of the list share a line.
  const range = (line, count) => [Math.floor((line * hosts.length) / count), Math.max(Math.floor(((line + 1) * hosts.length) / count), Math.floor((line * hosts.length) / count) + 1)];

  // The worst state in the chosen cell, the host that it is of, and how many hosts share the cell.
  function here() {
    const [first, end] = range(row, lines());
    let [worst, of] = [NONE, hosts[first]];
    for (let each = first; each < end; each += 1) {
      const kind = rows.get(view.fleet.names[hosts[each]])?.[column] ?? NONE;
      if (kind < worst) [worst, of] = [kind, hosts[each]];
    }
    return { worst, of, among: end - first };
  }

  function say() {
    if (row < 0) return write($('map-here'), '');
    const { worst, of, among } = here();
    const at = moment((data.from + column * data.step_s) * 1000);
    const more = among > 1 ? `, the worst of ${among} hosts` : '';
    return write($('map-here'), `${visible(view.fleet.names[of], 60)}, ${at}: ${worst === NONE ? 'nothing is known' : KINDS[worst].name}${more}`);
  }

  function table() {
    const troubled = [];
    let [never, unknown] = [0, 0];
    for (const i of hosts) {
      const cells = rows.get(view.fleet.names[i]);
      if (!cells) {
        unknown += 1;
        continue;
      }
      let [known, bad, worst] = [0, 0, IN_SYNC];
      for (const kind of cells) {
        if (kind === NONE) continue;
        known += 1;
        if (kind !== IN_SYNC) bad += 1;
        worst = Math.min(worst, kind);
      }
      if (known === 0) unknown += 1;
      else if (bad > 0) troubled.push([i, bad / known, worst]);
      else never += 1;
    }
    troubled.sort((a, b) => b[1] - a[1] || a[2] - b[2]);
    const shown = troubled.slice(0, 25);
    $('map-table').tBodies[0].replaceChildren(...shown.map(([i, part, worst]) => make('tr', {},
      make('th', { scope: 'row' }, make('button.link', { type: 'button', click: () => choose(i) }, visible(view.fleet.names[i], 80))),
      make('td.number', {}, `${Math.max(1, Math.round(100 * part))} %`), make('td', {}, badge(KINDS[worst])), make('td', {}, badge(KINDS[view.fleet.kind[i]])))));
    $('map-table-box').hidden = troubled.length === 0;
    const most = troubled[0];
    const words = [`${plural(never, 'host was', 'hosts were')} in sync all the time${troubled.length ? `, ${number(troubled.length)} ${troubled.length === 1 ? 'was' : 'were'} not` : ''}.`];
    if (never + troubled.length === 0) words.length = 0;
    if (unknown > 0) words.push(`Of ${plural(unknown, 'host')} nothing is known from this time.`);
    if (most) words.push(`The longest: ${visible(view.fleet.names[most[0]], 60)}, ${Math.max(1, Math.round(100 * most[1]))} % of the time.`);
    const perLine = Math.ceil(hosts.length / Math.max(1, lines()));
    if (perLine > 1) words.push(`Each line is ${perLine} hosts, the worst of them counts.`);
    write($('map-text'), words.join(' '));
  }

  function refresh() {
    if (!data || !view.fleet) return;
    hosts = view.shown;
    [row, column] = [-1, -1];
    draw();
    say();
    table();
  }

  function place(event) {
    const count = lines();
    row = Math.max(0, Math.min(count - 1, Math.floor((event.offsetY / (size.height - ROOM.bottom)) * count)));
    column = Math.max(0, Math.min(data.columns - 1, Math.floor(((event.offsetX - left()) / (size.width - left())) * data.columns)));
  }
  canvas.addEventListener('pointermove', (event) => {
    if (lines() === 0) return;
    place(event);
    say();
    soon();
  });
  canvas.addEventListener('click', (event) => {
    if (lines() === 0) return;
    place(event);
    choose(here().of);
  });
  canvas.addEventListener('keydown', (event) => {
    const count = lines();
    if (count === 0) return;
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], Home: [0, -data.columns], End: [0, data.columns] }[event.key];
    if (step) {
      if (row < 0) [row, column] = [0, data.columns - 1];
      else {
        row = Math.max(0, Math.min(count - 1, row + step[0]));
        column = Math.max(0, Math.min(data.columns - 1, column + step[1]));
      }
      say();
      soon();
    } else if (event.key === 'Enter' && row >= 0) choose(here().of, true);
    else return;
    event.preventDefault();
  });
  $('map-legend').replaceChildren(...KINDS.slice(1).map((kind) => make('li', {}, badge(kind))));
  span.addEventListener('change', ask);
  onWidth(canvas.parentElement, soon, () => size.width);
  // Whether it is about the hosts that there are.
  const knows = (fleet) => data === null || fleet.names.every((name) => rows.has(name));
  return { ask, knows, refresh, soon };
}
