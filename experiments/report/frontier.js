// The frontier: least predicted loss for every amount of a resource, the lines beside it, and the
// configuration of whichever point the reader picks.

const frontierState = {resource: 0};

function select(name, keys, extra = {}) { update({selected: {name, keys, ...extra}}); }

/** What is picked: a point, a line, or what the run chose. */
function selection() {
  return state.selected || {name: 'chosen configuration', keys: budget().keys};
}

function drawFrontier(body) {
  const frontiers = model().frontiers;
  if (frontiers.length === 0) {
    absent(body, budget() ? 'The run wrote no frontier: search.frontier is empty, and a goal alone '
      + 'writes none.' : 'The search is not finished.');
    return;
  }
  const frontier = frontiers[Math.min(frontierState.resource, frontiers.length - 1)];
  const plot = h('div', {class: 'plot-box'});
  const panel = h('div', {id: 'selection', 'aria-live': 'polite'});
  body.replaceChildren(
    frontiers.length > 1 ? choice(frontiers.map((f, i) => [i, resourceName(f.resource)]),
      frontierState.resource, i => { frontierState.resource = i; update({}); }, 'Resource') : '',
    h('div', {class: 'with-panel'}, h('div', {}, plot, frontierSlider(frontier),
      frontierNote(frontier)), panel));
  drawSelection(panel, frontier);
  if (!withoutPlotsHere(plot)) drawFrontierPlot(plot, frontier);
}

function withoutPlotsHere(plot) {
  if (canPlot) return false;
  plot.append(h('p', {class: 'absent'}, 'No plot: this bitsearch was built without D3 (Debian’s '
    + 'node-d3). The slider walks along the frontier all the same.'));
  return true;
}

function frontierNote(frontier) {
  const file = frontier.file;
  const computed = file.computed_points ?? file.points.length;
  return h('p', {class: 'dim'}, `${file.points.length} of ${computed} points, `
    + (file.exact ? 'exact: no configuration is below the line.'
      : `within ${significant(file.epsilon, 2)} of the range of the losses.`)
    + ' Click a point or a mark, or move the slider.');
}

function frontierSlider(frontier) {
  let at = state.selected ? state.selected.point : undefined;
  if (at === undefined && budget()) {
    const used = model().total(frontier.resource, selection().keys);
    at = frontier.points.filter(p => p.resources[frontier.resource] <= used).length - 1;
  }
  return h('label', {class: 'slider'}, 'along the frontier',
    h('input', {type: 'range', id: 'frontier-slider', min: 0, max: frontier.points.length - 1,
      value: Math.max(0, at ?? 0), onchange: event => pickPoint(frontier, Number(event.target.value)),
      oninput: event => pickPoint(frontier, Number(event.target.value))}));
}

function pickPoint(frontier, i) {
  const point = frontier.points[i];
  select(`frontier point ${i + 1} of ${frontier.points.length}`,
    model().keysOfPoint(frontier, point), {point: i, objective: point.objective,
      resources: point.resources});
}

/** Marks of the lines beside the frontier: where each lies, by its own costs and predicted loss. */
function frontierMarks(frontier) {
  const marks = [];
  for (const line of budget() ? budget().lines : []) {
    const x = model().total(frontier.resource, line.keys);
    if (x !== undefined) marks.push({...line, x, y: model().loss(line.keys).loss});
  }
  return marks;
}

const kMarkShapes = {ours: 'symbolStar', additive: 'symbolDiamond', uniform: 'symbolSquare',
  random: 'symbolCross', reversed: 'symbolTriangle', dnas: 'symbolWye'};

function drawFrontierPlot(parent, frontier) {
  const marks = frontierMarks(frontier);
  const points = frontier.points.map(p => ({x: p.resources[frontier.resource], y: p.objective}));
  const limits = budget() ? budget().fact.limits.filter(l => l.resource === frontier.resource) : [];
  const chart = frame(parent, {height: 380, left: 58, label: `Predicted loss against ${
    resourceName(frontier.resource)}`});
  const xs = [...points, ...marks].map(p => p.x);
  const [x, tickOf] = resourceScale(frontier.resource, d3.extent(xs), chart.width);
  const y = lossScale([...points, ...marks].map(p => p.y), [chart.height, 0]);
  const yOf = value => Math.max(0, Math.min(chart.height, y.logarithmic && value <= 0
    ? chart.height : y(value)));
  axes(chart, x, y, {xTitle: resourceName(frontier.resource), yTitle: 'predicted loss, nats'
    + (y.logarithmic ? ' (log)' : ''), yFormat: v => significant(v, 3),
  xTicks: Math.max(3, chart.width / 110), xFormat: tickOf});
  for (const limit of limits) {
    const line = chart.plot.append('g').attr('class', 'limit');
    line.append('path').attr('d', `M${x(limit.limit)} 0V${chart.height}`);
    line.append('text').attr('x', x(limit.limit) + 5).attr('y', 10)
      .text(`budget ${amount(limit.resource, limit.limit)}`);
  }
  const steps = points.map((p, i) => i === 0 ? `M${x(p.x)} ${yOf(p.y)}`
    : `H${x(p.x)}V${yOf(p.y)}`).join('');
  chart.plot.append('path').attr('class', 'frontier-line').attr('d', steps);
  const describe = (name, p, keys) => [name, `${resourceName(frontier.resource)} ${
    amount(frontier.resource, p.x)}`, `predicted loss ${nats(p.y)} nats`,
  keys ? `mean weight bits ${significant(model().meanWeightBits(keys), 3)}` : null];
  chart.plot.append('g').selectAll('circle').data(points).enter().append('circle')
    .attr('class', (p, i) => 'point' + (state.selected && state.selected.point === i
      ? ' selected' : ''))
    .attr('data-index', (p, i) => i).attr('r', (p, i) => state.selected
      && state.selected.point === i ? 7 : points.length > 150 ? 2.6 : 4)
    .attr('cx', p => x(p.x)).attr('cy', p => yOf(p.y))
    .on('pointerenter', (p, i) => tip(d3.event, describe(`point ${i + 1} of ${points.length}`, p,
      model().keysOfPoint(frontier, frontier.points[i]))))
    .on('pointerleave', hideTip)
    .on('click', (p, i) => pickPoint(frontier, i));
  const mark = chart.plot.append('g').selectAll('path').data(marks).enter().append('path')
    .attr('class', m => `mark mark-${m.line.replace(/[^a-z0-9]/gi, '-')}`)
    .attr('d', m => d3.symbol().size(m.line === 'ours' ? 210 : 90)
      .type(d3[kMarkShapes[m.line]] || d3.symbolCircle)())
    .attr('transform', m => `translate(${x(m.x)},${yOf(m.y)})`);
  mark.on('pointerenter', m => tip(d3.event, describe(m.name, m, m.keys)))
    .on('pointerleave', hideTip).on('click', m => select(m.name, m.keys));
  labelMarks(chart, marks, x, yOf);
}

/** Names beside the marks, moved apart where they would cover each other. */
function labelMarks(chart, marks, x, yOf) {
  const first = new Map();
  for (const m of marks) if (!first.has(m.line)) first.set(m.line, m);
  const labels = [...first.values()].map(m => ({m, left: x(m.x), top: yOf(m.y)}))
    .sort((a, b) => a.top - b.top);
  let last = -Infinity;
  for (const label of labels) {
    label.at = Math.max(label.top + 4, last + 13);
    last = label.at;
  }
  for (const {m, left, at} of labels) {
    const end = left > chart.width - 80;
    chart.plot.append('text').attr('class', 'mark-label').attr('x', left + (end ? -11 : 11))
      .attr('y', Math.min(at, chart.height - 3)).attr('text-anchor', end ? 'end' : 'start')
      .text(m.line);
  }
}

/** The picked configuration: costs, loss, bits, and what it does differently from the choice. */
function drawSelection(panel, frontier) {
  const current = budget();
  if (!current && !state.selected) return;
  const picked = selection();
  const run = model();
  const chosen = current ? current.keys : picked.keys;
  const loss = run.loss(picked.keys);
  const facts = [['predicted loss', `${natsPair(picked.objective ?? loss.loss, loss.error)} nats`]];
  for (const resource of run.resources.filter(r => r !== 'parameter_bits')) {
    facts.push([resourceName(resource), amount(resource, (picked.resources || {})[resource]
      ?? run.total(resource, picked.keys))]);
  }
  facts.push(['mean weight bits', significant(run.meanWeightBits(picked.keys), 3)]);
  const differing = picked.keys.map((key, l) => [l, chosen[l], key]).filter(d => d[1] !== d[2]);
  const csv = 'layer,weight_bits,activation_bits\n' + picked.keys.map((key, l) => {
    const name = run.layers[l];
    const cell = /[",\n]/.test(name) ? `"${name.replace(/"/g, '""')}"` : name;
    return `${cell},${weightOf(key)},${activationOf(key)}\n`;
  }).join('');
  const most = 12;
  panel.replaceChildren(...[
    h('h3', {id: 'selection-name'}, picked.name),
    h('dl', {}, facts.map(([name, value]) => [h('dt', {}, name), h('dd', {}, value)]).flat()),
    bitStrip(picked.keys, run.layers, {other: chosen, id: 'selection-bits'}),
    state.selected ? h('p', {class: 'dim'}, differing.length === 0 ? 'The chosen configuration.'
      : `${differing.length} of ${chosen.length} layers differ from the choice:`) : null,
    state.selected && differing.length ? h('ul', {class: 'differences'},
      differing.slice(0, most).map(([l, from, to]) => h('li', {}, run.layers[l], ' ',
        h('span', {class: 'dim'}, `${bitsText(from)} → ${bitsText(to)}`))),
      differing.length > most ? h('li', {class: 'dim'}, `and ${differing.length - most} more`)
        : null) : null,
    state.selected ? h('button', {type: 'button', class: 'more',
      onclick: () => update({selected: null})}, 'back to the choice') : null,
    h('details', {}, h('summary', {}, 'as CSV, for bitsearch export'), h('pre', {}, csv))]
    .filter(part => part !== null));
}
