// --- The page ------------------------------------------------------------------------------------------------------------------

// Polling a server: so often, and more rarely where it doesn't answer.
const POLL = 10_000;
const POLL_MOST = 60_000;

const view = { fleet: null, shown: new Uint32Array(0), chosen: -1, order: 'worst', way: 1, scale: 'thresholds', kinds: null, group: null, words: [] };
const embedded = $('data').textContent.trim();
const served = embedded === '';

const theList = makeList(view, choose, reorder);
const overview = makeOverview(view, (i) => theList.show(i));
const host = makeHost(view, served);
const heat = makeHeat(view, (i, far) => {
  theList.show(i);
  if (far) host.title.focus();
});

// --- What is listed

function relist(keepPlace) {
  const { fleet } = view;
  view.shown = matching(fleet, ordered(fleet, view.order, view.way), view);
  const filtered = view.words.length > 0 || view.kinds !== null || view.group !== null;
  $('clear').hidden = !filtered;
  write($('count'), filtered ? `${number(view.shown.length)} of ${plural(fleet.n, 'host')}` : plural(fleet.n, 'host'));
  const nothing = $('nothing');
  nothing.hidden = view.shown.length > 0;
  write(nothing, fleet.n === 0 ? 'No hosts are in this result.' : 'No host matches. Fewer words find more; “Clear” shows all of them.');
  theList.refresh(keepPlace);
  overview.refresh();
  heat.refresh();
}

function choose(i, far) {
  const focus = far && i === view.chosen;
  view.chosen = i;
  host.draw();
  overview.soon();
  heat.soon();
  theList.soon();
  if (far && (focus || window.matchMedia('(max-width: 1179px)').matches)) host.title.focus();
}

function reorder(order) {
  if (view.order === order) view.way = -view.way;
  else [view.order, view.way] = [order, 1];
  $('sort').value = view.order;
  relist();
}

function toggle(kind) {
  const kinds = view.kinds ?? new Uint8Array(KINDS.length);
  kinds[kind] = kinds[kind] ? 0 : 1;
  view.kinds = kinds.some(Boolean) ? kinds : null;
  drawStates(view, toggle);
  relist();
}

function clear() {
  [view.kinds, view.group, view.words] = [null, null, []];
  $('search').value = '';
  $('group').value = '';
  drawStates(view, toggle);
  relist();
  $('search').focus();
}

$('search').addEventListener('input', () => {
  view.words = $('search').value.toLowerCase().split(/\s+/).filter(Boolean);
  relist();
});
$('group').addEventListener('change', () => {
  view.group = $('group').value === '' ? null : Number($('group').value);
  relist();
});
$('sort').addEventListener('change', () => {
  [view.order, view.way] = [$('sort').value, 1];
  relist();
});
$('filter').addEventListener('submit', (event) => event.preventDefault());
$('clear').addEventListener('click', clear);
$('sort').append(...Object.entries(ORDERS).map(([key, { says }]) => make('option', { value: key }, says)));
for (const radio of document.querySelectorAll('#scale input')) {
  radio.addEventListener('change', () => {
    view.scale = radio.value;
    theList.refresh(true);
    overview.soon();
    host.draw();
  });
}
host.close.addEventListener('click', leave);
host.section.addEventListener('keydown', (event) => {
  if (event.key === 'Escape') leave();
});
function leave() {
  host.section.classList.remove('open');
  $('grid').focus();
}

// --- A document, drawn

function draw(document) {
  const before = view.fleet?.names[view.chosen];
  const first = view.fleet === null;
  const group = view.group === null ? undefined : view.fleet?.groups[view.group]?.name;
  view.fleet = fleetOf(document);
  const { fleet } = view;
  view.chosen = before === undefined ? -1 : fleet.byName.get(before) ?? -1;
  const again = fleet.groups.findIndex((each) => each.name === group);
  view.group = view.group === null || again < 0 ? null : again;
  $('states-section').hidden = fleet.n === 0;
  // Where nothing was measured there is nothing but to say so.
  $('work').hidden = fleet.n === 0 && fleet.groups.length === 0;
  const named = fleet.groups.length > 1;
  for (const part of window.document.querySelectorAll('.of-groups')) part.hidden = !named;
  $('group').replaceChildren(make('option', { value: '' }, 'All'), ...fleet.groups.map((each, index) => make('option', { value: index }, each.name === null ? 'no group' : visible(each.name, 60))));
  $('group').value = view.group ?? '';
  window.document.documentElement.classList.toggle('grouped', fleet.groups.some((each) => each.name !== null));
  drawVerdict(fleet);
  drawStates(view, toggle);
  relist(!first);
  drawPair(view, (i) => theList.show(i));
  drawSources(fleet);
  drawGroups(view, (index) => {
    view.group = index;
    $('group').value = String(index);
    relist();
  });
  host.draw();
  tick();
  setTimeout(() => textOf(fleet), 200);
}

function tick() {
  const at = Date.parse(view.fleet?.document.measured_at);
  if (Number.isNaN(at)) return;
  const age = $('age');
  const text = moment(at);
  if (age.dataset.of !== text) {
    age.dataset.of = text;
    age.replaceChildren('Measured ', make('time', { datetime: new Date(at).toISOString() }, text), make('span', {}));
  }
  write(age.lastChild, served ? `, ${ago(Date.now() - at)}` : '');
}

// --- From a server: again and again

// A document and its tag; null where it is still the one of the tag that is told. All that is sent is read, to the end.
async function get(place, tag) {
  const answer = await fetch(place, { cache: 'no-store', headers: tag ? { 'if-none-match': tag } : {} });
  if (answer.ok) return { document: await answer.json(), tag: answer.headers.get('etag') };
  await answer.text();
  if (answer.status === 304) return null;
  throw Object.assign(new Error(`it says ${answer.status}`), { status: answer.status });
}

function poll() {
  let [tag, timer, failures, paused] = [null, 0, 0, false];
  let heatAt = 0;
  const trouble = $('trouble');

  async function ask() {
    clearTimeout(timer);
    let fresh = false;
    let delay = POLL;
    try {
      const answer = await get('api/fleet.json', tag);
      // Where it is what is shown, nothing is sent.
      if (answer) {
        const { document } = answer;
        fresh = document.measured_at !== view.fleet?.document.measured_at;
        if (fresh) draw(document);
        tag = answer.tag;
      }
      if (failures > 0 && !fresh && view.fleet) drawVerdict(view.fleet);
      failures = 0;
      trouble.hidden = true;
      if (Date.now() - heatAt > 60_000 || (fresh && !heat.knows(view.fleet))) {
        heatAt = Date.now();
        heat.ask();
      }
    } catch (error) {
      // A server that has just begun.
      const early = view.fleet === null && error.status === 503 && failures < 30;
      failures += 1;
      if (view.fleet === null) write($('sentence'), 'Waiting for the first sweep …');
      trouble.hidden = early;
      // What was right then may be wrong by now: neither the headline nor the tab says otherwise.
      if (view.fleet) doubtVerdict();
      delay = early ? 1000 : Math.min(POLL * 2 ** Math.min(failures, 4), POLL_MOST);
      if (!early) write(trouble, `The server doesn’t answer as it should (${visible(error.message, 100)}). ${view.fleet ? 'What is shown is old' : 'There is nothing to show yet'}; it is asked again.`);
    }
    if (!paused && !document.hidden) timer = setTimeout(ask, delay);
  }

  const button = $('pause');
  button.hidden = false;
  button.addEventListener('click', () => {
    paused = !paused;
    set(button, 'aria-pressed', String(paused));
    if (paused) clearTimeout(timer);
    else ask();
  });
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) clearTimeout(timer);
    else if (!paused) ask();
  });
  setInterval(tick, 1000);
  ask();
}

// --- Light and dark

function theme() {
  const choice = $('theme');
  const apply = () => {
    if (choice.value) document.documentElement.dataset.theme = choice.value;
    else delete document.documentElement.dataset.theme;
    readColours();
    overview.soon();
    heat.soon();
  };
  try {
    const kept = localStorage.getItem('skew-check theme');
    if (kept === 'light' || kept === 'dark') choice.value = kept;
  } catch {
    // A browser that keeps nothing: the choice is for this time.
  }
  choice.addEventListener('change', () => {
    apply();
    try {
      localStorage.setItem('skew-check theme', choice.value);
    } catch {
      // As above.
    }
  });
  window.matchMedia('(prefers-color-scheme: dark)').addEventListener('change', apply);
  apply();
}

theme();
if (served) poll();
else {
  try {
    draw(JSON.parse(embedded));
  } catch (error) {
    write($('sentence'), 'The result in this page can’t be read.');
    write($('advice'), visible(error.message, 300));
    throw error;
  }
}
