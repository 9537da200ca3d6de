// --- Every clock in one picture: the hosts of the list from the one farthest behind to the one farthest ahead -------------

function makeOverview(view, choose) {
  const canvas = $('sky');
  const here = $('sky-here');
  let order = new Uint32Array(0);
  let size = { width: 1, height: 1 };
  const PAD = { left: 64, right: 4, top: 10, bottom: 10 };

  const inner = () => ({ width: Math.max(1, size.width - PAD.left - PAD.right), height: size.height - PAD.top - PAD.bottom });

  function draw() {
    const { fleet } = view;
    if (!fleet) return;
    const { context, width, height } = prepared(canvas, window.innerWidth < 700 ? 130 : 168);
    size = { width, height };
    const { width: wide, height: tall } = inner();
    const y = (at) => PAD.top + tall / 2 - (at * tall) / 2;
    const at = SCALES[view.scale].at;
    const alike = fleet.groups.every((group) => group.warning === fleet.groups[0].warning && group.critical === fleet.groups[0].critical);
    const limits = alike ? fleet.groups[0] : null;
    const lines = [[0, '0', []]];
    if (view.scale === 'thresholds') {
      for (const sign of [-1, 1]) {
        const text = (ns, word) => (sign < 0 ? '−' : '+') + (limits ? length(ns) : word);
        lines.push([sign * AT_WARNING, text(limits?.warning, 'warning'), [3, 3]], [sign * AT_CRITICAL, text(limits?.critical, 'critical'), []]);
      }
    } else {
      for (const [ns, text] of SCALES.log.ticks()) lines.push([at(ns), text, [1, 4]]);
      if (limits) for (const sign of [-1, 1]) lines.push([at(sign * limits.warning, limits), '', [3, 3]], [at(sign * limits.critical, limits), '', []]);
    }
    context.textBaseline = 'middle';
    context.textAlign = 'right';
    for (const [place, text, dash] of lines) {
      const line = Math.round(y(place)) + 0.5;
      context.strokeStyle = place === 0 ? colours.strong : colours.line;
      context.setLineDash(dash);
      context.beginPath();
      context.moveTo(PAD.left, line);
      context.lineTo(width - PAD.right, line);
      context.stroke();
      context.fillStyle = colours.soft;
      context.fillText(text, PAD.left - 8, line);
    }
    context.setLineDash([]);

    // A column for each host, or for as many as share a pixel: then what all their intervals cover together.
    const n = order.length;
    const columns = Math.min(n, Math.floor(wide));
    const step = columns > 0 ? wide / columns : wide;
    const gap = step > 6 ? Math.min(step * 0.3, 12) : 0;
    for (let column = 0; column < columns; column += 1) {
      const [from, to] = [Math.floor((column * n) / columns), Math.floor(((column + 1) * n) / columns)];
      let [lo, hi, low, high, kind] = [Infinity, -Infinity, Infinity, -Infinity, IN_SYNC];
      for (let each = from; each < to; each += 1) {
        const i = order[each];
        const own = thresholds(fleet, i);
        const [bottom, top, middle] = [at(fleet.lo[i], own), at(fleet.hi[i], own), at(fleet.middle[i], own)];
        lo = Math.min(lo, bottom);
        hi = Math.max(hi, top);
        low = Math.min(low, middle);
        high = Math.max(high, middle);
        kind = Math.min(kind, fleet.kind[i]);
      }
      const x = PAD.left + column * step + gap / 2;
      const bar = Math.max(step - gap, 1);
      context.fillStyle = colours[KINDS[kind].tone];
      context.globalAlpha = 0.38;
      const [above, below] = [y(hi), y(lo)];
      context.fillRect(x, above, bar, Math.max(below - above, 1));
      context.globalAlpha = 1;
      const [first, last] = [y(high), y(low)];
      context.fillRect(x, (first + last) / 2 - Math.max((last - first) / 2, 1), bar, Math.max(last - first, 2));
      if (order[from] === view.chosen || (from < to && order.subarray(from, to).includes(view.chosen))) {
        context.strokeStyle = colours.accent;
        context.lineWidth = 2;
        context.strokeRect(x - 1, Math.min(above, first) - 3, bar + 2, Math.max(below - above, 2) + 6);
        context.lineWidth = 1;
      }
    }
    if (n === 0) {
      context.textAlign = 'center';
      context.fillStyle = colours.soft;
      context.fillText('no host here was compared with true time', PAD.left + wide / 2, y(AT_WARNING / 2));
    }
  }
  const soon = oncePerFrame(draw);

  // What the picture says, in words.
  function say() {
    const { fleet } = view;
    const sizes = Float64Array.from(order, (i) => Math.abs(fleet.middle[i])).sort();
    const quantile = (part) => length(sizes[Math.min(sizes.length - 1, Math.ceil(part * sizes.length) - 1)] ?? 0);
    const unknown = view.shown.length - order.length;
    const parts = [];
    if (sizes.length > 0) {
      const most = order.reduce((most, i) => Math.max(most, fleet.most[i]), 0);
      parts.push(`Of ${plural(order.length, 'clock')}, half are within ${quantile(0.5)} of true time, 99 of 100 within ${quantile(0.99)}; with their bounds, none is more than ${length(most)} off.`);
    }
    if (view.shown.length === 0) parts.push('No host is in the picture.');
    if (unknown > 0) parts.push(`${plural(unknown, 'host')} of the list ${unknown === 1 ? 'is' : 'are'} not in the picture: not measured.`);
    write($('sky-text'), parts.join(' '));
  }

  function refresh() {
    const { fleet } = view;
    // All of them were sorted once.
    const listed = new Uint8Array(fleet.n);
    for (const i of view.shown) listed[i] = 1;
    order = ordered(fleet, 'skew', 1).filter((i) => listed[i] === 1 && !Number.isNaN(fleet.middle[i]));
    $('overview').hidden = fleet.measured === 0;
    say();
    soon();
  }

  const under = (event) => {
    const { width } = inner();
    const at = Math.floor(((event.offsetX - PAD.left) / width) * order.length);
    return order[at];
  };
  canvas.addEventListener('pointermove', (event) => {
    const i = under(event);
    here.hidden = i === undefined;
    if (i === undefined) return;
    const { fleet } = view;
    write(here, `${visible(fleet.names[i], 60)}: ${KINDS[fleet.kind[i]].name}, ${off(fleet.lo[i], fleet.hi[i], fleet.middle[i], fleet.half[i])}`);
    here.style.left = `${Math.max(0, Math.min(event.offsetX, size.width - here.offsetWidth - 8))}px`;
  });
  canvas.addEventListener('pointerleave', () => { here.hidden = true; });
  canvas.addEventListener('click', (event) => {
    const i = under(event);
    if (i !== undefined) choose(i);
  });
  onWidth(canvas.parentElement, soon, () => size.width);
  return { refresh, soon };
}
