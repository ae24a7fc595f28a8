// Two runs beside each other: A, the first named, and B.

function compareBudgets() {
  const [a, b] = models;
  const pairs = [];
  for (let i = 0; i < Math.min(a.budgets.length, b.budgets.length); ++i) {
    pairs.push({a: a.budgets[i], b: b.budgets[i], i});
  }
  return pairs;
}

/** What changed from A to B, row by row. */
function compareRows(a, b) {
  const rows = [];
  const add = (name, x, y, text, difference) => rows.push({name, x: text(x), y: text(y),
    difference: x !== undefined && y !== undefined ? difference(x, y) : ''});
  const top1 = fact => fact.top1 && fact.top1.percent;
  const relative = (x, y) => x ? `${signed(100 * (y - x) / x, 1)} %` : '';
  add('top-1 %', top1(a.fact), top1(b.fact), v => percent(v), (x, y) => `${signed(y - x, 2)} points`);
  const loss = fact => fact.predicted && fact.predicted.loss_nats;
  add('predicted loss, nats', loss(a.fact), loss(b.fact), nats, relative);
  add('KL to float, nats', a.fact.kl_nats, b.fact.kl_nats, nats, relative);
  const costs = [...new Set([...Object.keys(a.fact.costs || {}), ...Object.keys(b.fact.costs || {})])];
  for (const cost of costs) {
    const value = fact => fact.costs && fact.costs[cost] ? Number(fact.costs[cost]) : undefined;
    add(resourceName(cost), value(a.fact), value(b.fact), v => amount(cost, v), relative);
  }
  add('mean weight bits', a.fact.mean_weight_bits, b.fact.mean_weight_bits,
    v => v === undefined ? '–' : significant(v, 3), (x, y) => signed(y - x, 2));
  return rows;
}

function drawComparison(body) {
  if (models.length < 2) {
    return absent(body, 'One run: bitsearch report RUN RUN2 shows what differs between two.');
  }
  const [first, second] = models;
  body.replaceChildren();
  for (const {a, b, i} of compareBudgets()) {
    const table = h('table', {class: 'compare'}, h('thead', {}, h('tr', {}, h('th', {},
      a.name === b.name ? `budget ${a.name}` : `budgets ${a.name}, ${b.name}`),
    h('th', {class: 'number'}, `A: ${first.title}`), h('th', {class: 'number'},
      `B: ${second.title}`), h('th', {class: 'number'}, 'B − A'))),
    h('tbody', {}, compareRows(a, b).map(row => h('tr', {}, h('td', {}, row.name),
      h('td', {class: 'number'}, row.x), h('td', {class: 'number'}, row.y),
      h('td', {class: 'number'}, row.difference)))));
    const p = page.comparison.budgets[i] ? page.comparison.budgets[i].p_value : null;
    body.append(h('div', {class: 'scroll'}, table), h('p', {class: 'dim', id: `compare-p-${i}`},
      p === null ? 'Not tested against each other: the two runs were not evaluated on the same '
        + 'records.' : `Exact McNemar test on the same records: p = ${significant(p, 2)}; the two are `
        + `${p < 0.01 ? '' : 'not '}distinguishable in accuracy.`));
    compareBits(body, a, b);
  }
  if (!canPlot) return;
  const shared = first.frontiers.filter(f => second.frontiers.some(g => g.resource === f.resource));
  for (const frontier of shared) {
    const box = h('div', {class: 'plot-box'});
    body.append(h('h3', {}, `Frontiers: predicted loss against ${resourceName(frontier.resource)}`),
      box);
    const other = second.frontiers.find(g => g.resource === frontier.resource);
    const series = [['A', frontier], ['B', other]].map(([name, f]) => ({name, points: f.points
      .map(p => ({x: p.resources[f.resource], y: p.objective}))}));
    const chart = frame(box, {height: 300, left: 58, label: 'Frontiers of both runs'});
    const all = series.flatMap(s => s.points);
    const [x, tickOf] = resourceScale(frontier.resource, d3.extent(all, p => p.x), chart.width);
    const y = lossScale(all.map(p => p.y), [chart.height, 0]);
    axes(chart, x, y, {xTitle: resourceName(frontier.resource), yTitle: 'predicted loss, nats',
      yFormat: v => significant(v, 3), xFormat: tickOf,
      xTicks: Math.max(3, chart.width / 110)});
    series.forEach(({name, points}, s) => {
      const at = p => `${x(p.x)} ${y.logarithmic && p.y <= 0 ? chart.height : y(p.y)}`;
      chart.plot.append('path').attr('class', 'curve').attr('stroke', kSeriesColors[s])
        .attr('d', `M${points.map(at).join('L')}`);
      const middle = points[Math.floor(points.length * (0.3 + 0.2 * s))];
      chart.plot.append('text').attr('class', 'mark-label').attr('x', x(middle.x) + 6)
        .attr('y', (y.logarithmic && middle.y <= 0 ? chart.height : y(middle.y)) - 6).text(name);
    });
  }
}

function compareBits(body, a, b) {
  const [first, second] = models;
  const common = first.layers.filter(name => second.index.has(name));
  if (common.length === 0) {
    body.append(h('p', {class: 'absent'}, 'The runs have no layer in common.'));
    return;
  }
  const keysA = common.map(name => a.keys[first.index.get(name)]);
  const keysB = common.map(name => b.keys[second.index.get(name)]);
  const differing = common.filter((name, l) => keysA[l] !== keysB[l]).length;
  body.append(h('div', {class: 'strips'}, h('span', {}, 'A'), bitStrip(keysA, common),
    h('span', {}, 'B'), bitStrip(keysB, common, {other: keysA})), bitLegend([keysA, keysB]),
  h('p', {class: 'dim'}, `${differing} of ${common.length} layers differ (marked below B).`));
}
