// Where a cost comes from: a waterfall along the depth, requantization between layers included.

const costState = {resource: null};

function drawWaterfall(body) {
  const run = model();
  if (!budget()) return absent(body, 'Nothing is chosen yet.');
  const resources = run.resources.filter(r => r !== 'parameter_bits');
  if (resources.length === 0) return absent(body, 'The run has no cost tables yet.');
  if (withoutPlots(body)) return;
  const resource = resources.includes(costState.resource) ? costState.resource : resources[0];
  const keys = state.selected ? state.selected.keys : budget().keys;
  body.replaceChildren(...[
    run.resources.includes('latency_us') ? null : h('p', {class: 'absent'}, 'No latency: the '
      + 'experiment has no costs.latency.table (bitsearch latency measure makes one). Other costs '
      + 'are shown instead.'),
    resources.length > 1 ? choice(resources.map(r => [r, resourceName(r)]), resource,
      r => { costState.resource = r; update({}); }, 'Cost') : null].filter(p => p !== null));
  depthOverview(body);
  const box = h('div', {class: 'plot-box'});
  body.append(box);
  const steps = waterfallSteps(resource, keys);
  drawWaterfallPlot(box, resource, keys, steps);
  const total = steps.length ? steps[steps.length - 1].end : 0;
  const edges = steps.flatMap(s => s.edges).reduce((sum, e) => sum + e.latency_us, 0);
  const heavy = [...steps].sort((a, b) => b.own - a.own).slice(0, 3);
  body.append(bitLegend([keys]), h('p', {class: 'waterfall-note'},
    `${state.selected ? state.selected.name : 'The choice'} costs `,
    h('b', {id: 'waterfall-total'}, amount(resource, total)), '; most in ',
    heavy.map(s => `${run.layers[s.l]} (${amount(resource, s.own)})`).join(', '),
    resource !== 'latency_us' ? '.' : edges > 0
      ? `; requantization between layers takes ${amount(resource, edges)}, `
        + `${percent(100 * edges / total, 1)} % (red).`
      : '; no requantization between layers.',
    run.fixedLatency && resource === 'latency_us'
      ? ` Fixed time: ${amount(resource, run.fixedLatency)}.` : '',
    run.lookups && resource === 'latency_us'
      ? ` Entries of the table that the candidates use: ${run.lookups}.` : ''));
}

/** Every layer's step: edges first, then its own cost, from where the one before ended. */
function waterfallSteps(resource, keys) {
  const run = model();
  let sum = resource === 'latency_us' ? run.fixedLatency : 0;
  return keys.map((key, l) => {
    const edges = resource === 'latency_us' ? run.edgesInto(l, keys) : [];
    const start = sum;
    for (const edge of edges) sum += edge.latency_us;
    const own = run.cost(resource, l, key) || 0;
    const middle = sum;
    sum += own;
    return {l, key, edges, start, middle, own, end: sum};
  });
}

function drawWaterfallPlot(parent, resource, keys, steps) {
  const run = model();
  const chart = frame(parent, {height: 360, bottom: kDepthBottom, left: 66,
    label: `${resourceName(resource)} layer by layer`});
  const depth = depthScale(chart.width);
  const visible = steps.slice(depth.first, depth.last);
  const limit = budget().fact.limits.find(l => l.resource === resource);
  const whole = state.window === null;
  const low = whole ? 0 : visible[0].start;
  const top = Math.max(visible[visible.length - 1].end, whole && limit ? limit.limit : 0);
  const bits = resource.endsWith('_bits') ? 8 : 1;  // round in bytes
  const shown = d3.scaleLinear().domain([low / bits, top / bits]).nice();
  const y = d3.scaleLinear().domain(shown.domain().map(v => v * bits)).range([chart.height, 0]);
  axes(chart, d3.scaleLinear().range([0, chart.width]), y, {xTicks: 0,
    yFormat: v => amount(resource, v), yTitle: `${resourceName(resource)} so far`});
  if (limit && whole) {
    const line = chart.plot.append('g').attr('class', 'limit');
    line.append('path').attr('d', `M0 ${y(limit.limit)}H${chart.width}`);
    line.append('text').attr('x', chart.width).attr('text-anchor', 'end')
      .attr('y', y(limit.limit) - 5).text(`budget ${amount(resource, limit.limit)}`);
  }
  const gap = depth.band > 6 ? 1.5 : 0;
  const least = depth.band > 3 ? 0.6 : 0.25;  // a cheap layer is a line, not nothing
  const bar = (s, from, to) => rectangle(depth.x(s.l) + gap / 2, y(to), depth.band - gap,
    Math.max(least, y(from) - y(to)));
  chart.plot.append('path').attr('class', 'edge').attr('d', visible.filter(s => s.edges.length)
    .map(s => bar(s, s.start, s.middle)).join(''));
  for (const [bits, group] of groupBy(visible, s => weightOf(s.key))) {
    chart.plot.append('path').attr('fill', bitColor(bits))
      .attr('d', group.map(s => bar(s, s.middle, s.end)).join(''));
  }
  if (gap) {
    chart.plot.append('path').attr('class', 'connector').attr('d', visible.slice(0, -1).map(s =>
      `M${depth.x(s.l) + depth.band - gap / 2} ${y(s.end)}h${gap}`).join(''));
  }
  depthAxis(chart, depth);
  depthHover(chart, depth, l => {
    const s = steps[l];
    const all = [...run.costs[l]].filter(([key]) => key !== s.key)
      .map(([key, c]) => `${bitsText(key)} would cost ${amount(resource, c[resource])}`);
    return [run.layers[l], `${bitsText(s.key)}: ${amount(resource, s.own)}`,
      ...s.edges.map(e => `after ${run.layers[e.producer]}: ${e.from} → ${e.to} bits, `
        + amount(resource, e.latency_us)), `so far: ${amount(resource, s.end)}`,
      ...all.slice(0, 6)];
  });
}
