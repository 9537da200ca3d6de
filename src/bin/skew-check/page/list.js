// --- The list of hosts: a grid of which only the rows in sight exist ---------------------------------------------------

const COLUMNS = [
  { key: 'state', title: 'State' },
  { key: 'host', title: 'Host', order: 'name' },
  { key: 'skew', title: 'Skew', order: 'skew', number: true },
  { key: 'bound', title: '± Bound', order: 'bound', number: true },
  { key: 'plot', title: '−critical · −warning · 0 · +warning · +critical' },
  { key: 'delay', title: 'Delay', order: 'delay', number: true },
  { key: 'stratum', title: 'Stratum', number: true },
  { key: 'reference', title: 'Follows' },
  { key: 'group', title: 'Group', order: 'group' },
];
COLUMNS[0].order = 'state';

function makeList(view, choose, reorder) {
  const [grid, rows, head] = [$('grid'), $('rows'), $('grid-head')];
  const pool = [];
  let height = 0;
  let active = -1;
  let version = 0;

  // --- The head: buttons, as order is chosen there

  const heads = COLUMNS.map((column, index) => {
    const title = column.key === 'plot'
      ? make('span.marks', { 'aria-label': 'Interval against the thresholds' })
      : column.order ? make('button', { type: 'button', click: () => reorder(column.order) }, column.title) : column.title;
    const cell = make('div', { class: `cell c-${column.key}`, role: 'columnheader', 'aria-colindex': index + 1 }, title);
    head.append(cell);
    return cell;
  });
  grid.setAttribute('aria-colcount', COLUMNS.length);

  function drawHead() {
    COLUMNS.forEach((column, index) => {
      const sorted = column.order && column.order === view.order;
      set(heads[index], 'aria-sort', sorted ? (view.way > 0 ? 'ascending' : 'descending') : column.order ? 'none' : 'other');
      if (!column.order) heads[index].removeAttribute('aria-sort');
    });
    const marks = heads[4].firstChild;
    const at = SCALES[view.scale].at;
    const one = view.fleet.groups.length === 1 ? view.fleet.groups[0] : null;
    const ticks = view.scale === 'log'
      ? [-1e11, -1e7, 0, 1e7, 1e11].map((ns) => [at(ns), ns === 0 ? '0' : (ns < 0 ? '−' : '+') + length(Math.abs(ns))])
      : [[-AT_CRITICAL, one ? `−${length(one.critical)}` : '−crit'], [-AT_WARNING, one ? `−${length(one.warning)}` : '−warn'], [0, '0'],
        [AT_WARNING, one ? `+${length(one.warning)}` : '+warn'], [AT_CRITICAL, one ? `+${length(one.critical)}` : '+crit']];
    marks.replaceChildren(...ticks.map(([x, text]) => {
      const mark = make('span', { 'aria-hidden': 'true' }, text);
      mark.style.left = percent(x);
      return mark;
    }));
  }

  // --- Rows: as many as are in sight, each used for one host after another

  function makeRow(place) {
    const cells = Object.fromEntries(COLUMNS.map((column, index) => [
      column.key,
      make('div', { class: `cell c-${column.key}`, role: 'gridcell', 'aria-colindex': index + 1 }),
    ]));
    const use = make('use');
    const glyph = make('svg.icon', { viewBox: '0 0 16 16', 'aria-hidden': 'true', focusable: 'false' }, use);
    const word = make('span');
    const state = make('span', {}, glyph, word);
    cells.state.append(state);
    const plot = makePlot();
    const plotText = make('span.unseen');
    cells.plot.append(plot.svg, plotText);
    const row = make('div.row', { role: 'row', id: `row-${place}` }, ...Object.values(cells));
    rows.append(row);
    return { row, cells, use, word, state, plot, plotText, i: -1, at: -1, version: -1 };
  }

  function fill(slot, at) {
    const { fleet } = view;
    const i = view.shown[at];
    if (slot.version === version && slot.at === at) {
      set(slot.row, 'aria-selected', String(i === view.chosen));
      return;
    }
    Object.assign(slot, { i, at, version });
    const host = fleet.hosts[i];
    const kind = KINDS[fleet.kind[i]];
    slot.row.style.transform = `translateY(${at * height}px)`;
    set(slot.row, 'aria-rowindex', String(at + 2));
    set(slot.row, 'aria-selected', String(i === view.chosen));
    set(slot.state, 'class', `badge ${kind.tone}`);
    set(slot.use, 'href', `#i-${kind.name}`);
    write(slot.word, kind.name);
    const { cells } = slot;
    write(cells.host, visible(fleet.names[i], 120));
    const [middle, half] = [fleet.middle[i], fleet.half[i]];
    const known = !Number.isNaN(middle);
    write(cells.skew, known ? shortSkew(middle, half) : '–');
    write(cells.bound, known ? `± ${bounded(middle, half).half}` : '–');
    setPlot(slot.plot, view.scale, thresholds(fleet, i), fleet.lo[i], fleet.hi[i], kind.tone);
    write(slot.plotText, known ? off(fleet.lo[i], fleet.hi[i], middle, half) : 'not measured');
    write(cells.delay, Number.isNaN(fleet.delay[i]) ? '–' : length(Math.abs(fleet.delay[i])));
    write(cells.stratum, host.stratum === null || host.stratum === undefined ? '–' : String(host.stratum));
    write(cells.reference, host.reference_id ? visible(host.reference_id, 60) : '–');
    write(cells.group, host.group ? visible(host.group, 60) : '–');
  }

  function draw() {
    const count = view.shown.length;
    const size = Math.min(count, Math.ceil(grid.clientHeight / height) + 8);
    while (pool.length < size) pool.push(makeRow(pool.length));
    const first = Math.max(0, Math.min(Math.floor(grid.scrollTop / height) - 3, count - size));
    for (let at = first; at < first + size; at += 1) fill(pool[at % pool.length], at);
    for (const slot of pool) slot.row.hidden = slot.at < first || slot.at >= first + size || slot.version !== version;
    const slot = active >= 0 && pool.find((slot) => slot.at === active && !slot.row.hidden);
    for (const each of pool) each.row.classList.toggle('active', each === slot);
    if (slot) set(grid, 'aria-activedescendant', slot.row.id);
    else grid.removeAttribute('aria-activedescendant');
  }
  const soon = oncePerFrame(draw);

  function measure() {
    height = parseFloat(getComputedStyle(grid).getPropertyValue('--row')) || 32;
  }

  // All anew: other hosts, another order, another scale.
  function refresh(keepPlace) {
    if (!view.fleet) return;
    measure();
    version += 1;
    const count = view.shown.length;
    rows.style.height = `${count * height}px`;
    grid.setAttribute('aria-rowcount', count + 1);
    grid.hidden = count === 0;
    active = view.chosen >= 0 ? view.shown.indexOf(view.chosen) : -1;
    if (!keepPlace) grid.scrollTop = 0;
    drawHead();
    draw();
  }

  // --- By hand

  function activate(at, far) {
    if (view.shown.length === 0) return;
    active = Math.max(0, Math.min(at, view.shown.length - 1));
    const [top, visible] = [active * height, grid.clientHeight - head.offsetHeight];
    if (top < grid.scrollTop) grid.scrollTop = far ? top - visible / 2 : top;
    else if (top + height > grid.scrollTop + visible) grid.scrollTop = far ? top - visible / 2 : top + height - visible;
    choose(view.shown[active]);
    draw();
  }

  grid.addEventListener('scroll', soon, { passive: true });
  grid.addEventListener('keydown', (event) => {
    if (event.target !== grid || event.altKey || event.ctrlKey || event.metaKey) return;
    const page = Math.max(1, Math.floor((grid.clientHeight - head.offsetHeight) / height) - 1);
    const to = {
      ArrowDown: active + 1, ArrowUp: active < 0 ? 0 : active - 1, PageDown: active + page, PageUp: active - page, Home: 0, End: view.shown.length - 1,
    }[event.key];
    if (to !== undefined) activate(to);
    else if (event.key === 'Enter' && active >= 0) choose(view.shown[active], true);
    else return;
    event.preventDefault();
  });
  rows.addEventListener('click', (event) => {
    const row = event.target.closest('.row');
    const slot = pool.find((slot) => slot.row === row);
    if (!slot) return;
    active = slot.at;
    choose(slot.i, true);
    draw();
  });
  new ResizeObserver(() => {
    const before = height;
    measure();
    if (before !== height) refresh(true);
    else soon();
  }).observe(grid);

  return {
    refresh,
    soon,
    // Brings a host into sight.
    show(i) {
      const at = view.shown.indexOf(i);
      if (at >= 0) activate(at, true);
      else {
        active = -1;
        choose(i);
        draw();
      }
    },
  };
}
