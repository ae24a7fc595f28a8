// Sections along the depth of the network: bits, sensitivity, and why each layer has its bits.

function drawBits(body) {
  if (!budget()) return absent(body, 'Nothing is chosen yet.');
  if (withoutPlots(body)) return;
  body.replaceChildren();
  depthOverview(body);
  const box = h('div', {class: 'plot-box'});
  body.append(box);
  const chosen = budget().keys;
  const picked = state.selected ? state.selected.keys : null;
  const narrow = chosen.every(key => activationOf(key) === 'fp32');
  const chart = frame(box, {height: narrow ? 260 : 340, bottom: kDepthBottom, left: 46,
    label: 'Bits along the depth'});
  const depth = depthScale(chart.width);
  const middle = narrow ? chart.height : chart.height * 0.62;
  const widths = [chosen, picked || []].flat().flatMap(key => narrow ? [widthOf(weightOf(key))]
    : [widthOf(weightOf(key)), widthOf(activationOf(key))]);
  const most = [4, 8, 16, 32].find(tick => tick >= Math.max(...widths)) || 32;
  const up = d3.scaleLog().base(2).domain([0.8, most]).range([middle, 0]).clamp(true);
  const down = d3.scaleLog().base(2).domain([0.8, most]).range([middle, chart.height]).clamp(true);
  const ticks = [2, 4, 8, 16, 32].filter(tick => tick <= most);
  const axis = chart.plot.append('g').attr('class', 'axis');
  for (const [scale, show] of [[up, true], [down, !narrow]]) {
    for (const tick of show ? ticks : []) {
      axis.append('path').attr('class', 'gridline').attr('d', `M0 ${scale(tick)}H${chart.width}`);
      axis.append('text').attr('x', -6).attr('y', scale(tick)).attr('dy', '.35em')
        .attr('text-anchor', 'end').text(tick === 32 ? 'fp32' : tick);
    }
  }
  chart.plot.append('text').attr('class', 'title').attr('x', -42).attr('y', -11).text(narrow
    ? 'weight bits; inputs stay float' : 'weight bits above, input bits below');
  const gap = depth.band > 6 ? 1.5 : 0;
  const bars = (of, scale) => {
    const visible = [];
    for (let l = depth.first; l < depth.last; ++l) visible.push(l);
    for (const [bits, ls] of groupBy(visible, l => of(chosen[l]))) {
      chart.plot.append('path').attr('fill', bitColor(bits)).attr('d', ls.map(l => {
        const y = scale(Math.max(0.9, widthOf(bits)));
        return rectangle(depth.x(l) + gap / 2, Math.min(y, middle), depth.band - gap,
          Math.abs(middle - y));
      }).join(''));
    }
  };
  bars(weightOf, up);
  if (!narrow) bars(activationOf, down);
  if (picked) {
    const outline = (of, scale) => {
      let path = '';
      for (let l = depth.first; l < depth.last; ++l) {
        const y = scale(Math.max(0.9, widthOf(of(picked[l]))));
        path += `${l === depth.first ? 'M' : 'L'}${depth.x(l)} ${y}H${depth.x(l) + depth.band}`;
      }
      chart.plot.append('path').attr('class', 'outline').attr('d', path);
    };
    outline(weightOf, up);
    if (!narrow) outline(activationOf, down);
  }
  chart.plot.append('path').attr('class', 'baseline').attr('d', `M0 ${middle}H${chart.width}`);
  depthAxis(chart, depth);
  depthHover(chart, depth, l => [model().layers[l], `chosen ${bitsText(chosen[l])}`,
    picked ? `${state.selected.name}: ${bitsText(picked[l])}` : null]);
  body.append(bitLegend(narrow ? [chosen] : [chosen, chosen.map(key => `${activationOf(key)}/`)]));
  if (picked) body.append(h('p', {class: 'dim'}, `Outline: ${state.selected.name}.`));
}

function drawSensitivity(body) {
  const run = model();
  if (!run.tables['sensitivity.csv']) return absent(body, 'The sensitivities are not measured yet.');
  if (withoutPlots(body)) return;
  body.replaceChildren();
  depthOverview(body);
  const box = h('div', {class: 'plot-box'});
  body.append(box);
  const chart = frame(box, {height: 380, bottom: kDepthBottom, label: 'Sensitivity of each layer'});
  const depth = depthScale(chart.width);
  const marks = [];
  for (let l = depth.first; l < depth.last; ++l) {
    for (const [key, value] of run.choices[l]) {
      if (weightOf(key) !== 'fp32' || activationOf(key) !== 'fp32') marks.push({l, key, ...value});
    }
  }
  const y = lossScale(marks.map(m => m.loss), [chart.height, 0]);
  const yOf = value => y.logarithmic && value <= 0 ? chart.height : Math.min(chart.height, y(value));
  axes(chart, d3.scaleLinear().range([0, chart.width]), y, {yTitle: 'loss increase, nats'
    + (y.logarithmic ? ' (log)' : ''), yFormat: v => significant(v, 3), xTicks: 0});
  const groups = groupBy(marks, m => weightOf(m.key));
  const order = [...groups.keys()].sort((a, b) => widthOf(a) - widthOf(b));
  const middle = l => depth.x(l) + depth.band / 2;
  const size = Math.max(1.6, Math.min(5.5, depth.band * 0.4));
  const cap = depth.band > 8 ? 3 : 0;
  for (const bits of order) {
    const group = groups.get(bits);
    chart.plot.append('path').attr('class', 'error').attr('stroke', bitColor(bits)).attr('d',
      group.filter(m => m.error > 0).map(m =>
        `M${middle(m.l)} ${yOf(m.loss - m.error)}V${yOf(m.loss + m.error)}m${-cap} 0h${2 * cap}`
        + `M${middle(m.l) - cap} ${yOf(m.loss - m.error)}h${2 * cap}`).join(''));
    chart.plot.append('path').attr('class', 'dots').attr('stroke', bitColor(bits))
      .attr('stroke-width', size).attr('d', group.map(m => `M${middle(m.l)} ${yOf(m.loss)}h0`)
        .join(''));
  }
  if (budget()) {
    const chosen = marks.filter(m => budget().keys[m.l] === m.key);
    const r = size * 1.5;
    // Where layers are closer than rings are wide, a dark dot says the same.
    const ring = depth.band > 5 ? m => `M${middle(m.l) - r} ${yOf(m.loss)}a${r} ${r} 0 1 0 ${2 * r} 0`
      + `a${r} ${r} 0 1 0 ${-2 * r} 0` : m => `M${middle(m.l)} ${yOf(m.loss)}h0`;
    chart.plot.append('path').attr('class', depth.band > 5 ? 'ring' : 'ring dots')
      .attr('stroke-width', size).attr('d', chosen.map(ring).join(''));
  }
  depthAxis(chart, depth);
  depthHover(chart, depth, l => [run.layers[l], ...[...run.choices[l]].map(([key, v]) =>
    `${budget() && budget().keys[l] === key ? '● ' : ''}${bitsText(key)}: `
    + natsPair(v.loss, v.error))]);
  const comments = run.tables['sensitivity.csv'].comments;
  body.append(bitLegend([marks.map(m => m.key)]), h('p', {class: 'dim'},
    `${comments.meaning || comments.method || ''}${comments.samples ? `; ${comments.samples} records`
      : ''}. Bars: one standard error. ${depth.band > 5
      ? 'Rings' : 'Dark'}: what was chosen.`
    + (marks.some(m => m.error === null) ? ' Where there is no bar, the file has no error.' : '')));
}

/** Rows of the table that says why: what each layer loses, costs, and what would come next. */
function whyRows(current) {
  const run = model();
  const explanation = current.explanation;
  const runner = new Map((explanation ? explanation.runner_ups : []).map(r => [r.name, r]));
  const resource = current.fact.limits.length ? current.fact.limits[0].resource : run.resources[0];
  const whole = run.loss(current.keys).loss;
  return current.keys.map((key, l) => {
    const name = run.layers[l];
    const entry = run.choices[l].get(key) || {loss: 0, error: null};
    const optimum = current.solution ? keyOf(current.solution.layers[l]) : null;
    const votes = explanation && explanation.redraws ? explanation.votes[l] : null;
    const kept = votes ? votes.filter(v => `${v[0]}/${v[1]}` === key).map(v => v[2])[0] || 0 : null;
    return {l, name, key, loss: entry.loss, error: entry.error, share: whole > 0 ? entry.loss / whole
      : 0, resource, cost: run.cost(resource, l, key), optimum, runner: runner.get(name),
    kept, redraws: explanation ? explanation.redraws : 0, votes};
  });
}

function drawWhy(body) {
  const current = budget();
  if (!current) return absent(body, 'Nothing is chosen yet.');
  const rows = whyRows(current);
  const explanation = current.explanation;
  const parts = [];
  if (explanation) {
    for (const price of explanation.shadow_prices) {
      const unit = price.limit.endsWith('_bits') ? ['kB', 8000] : price.limit === 'latency_us'
        ? ['µs', 1] : price.limit === 'bops' ? ['MBOPs', 1e6] : [price.limit, 1];
      parts.push(h('p', {class: 'price'}, 'Shadow price: one ', unit[0], ' more of ',
        resourceName(price.limit), ' is worth ',
        h('b', {}, `${nats(price.loss_per_unit * unit[1])} nats`), price.loss_per_unit === 0
          ? ': this limit does not bind.' : '. A layer takes more bits where that saves more loss '
          + 'than this price.'));
    }
  } else {
    parts.push(h('p', {class: 'absent'}, 'No shadow prices, runner-ups or redraws: the run has no '
      + 'explanation of this choice (bitsearch run … --resume writes it).'));
  }
  const costName = rows.length ? resourceName(rows[0].resource) : 'cost';
  const other = votes => votes.filter(v => v[2] > 0).map(v => `${bitsText(`${v[0]}/${v[1]}`)}: `
    + `${v[2]}`).join(', ');
  const columns = [
    {title: 'layer', value: r => r.l, cell: r => h('span', {class: 'name'}, r.name)},
    {title: 'bits', value: r => widthOf(weightOf(r.key)), cell: r => h('span', {class: 'chip', style:
      `background:${bitColor(weightOf(r.key))};color:${bitInk(weightOf(r.key))}`},
    bitsText(r.key))},
    {title: 'loses, nats', number: true, value: r => r.loss, text: r => natsPair(r.loss,
      r.error)},
    {title: 'share', number: true, value: r => r.share, cell: r => h('span', {class: 'share'},
      h('span', {class: 'bar', style: `width:${Math.max(0, r.share * 60)}px`}),
      `${percent(r.share * 100, 0)} %`)},
    {title: costName, number: true, value: r => r.cost, text: r => amount(r.resource, r.cost)},
  ];
  if (explanation) {
    columns.push({title: 'runner-up', value: r => r.runner ? keyOf(r.runner) : '', text: r => r.runner
      ? bitsText(keyOf(r.runner)) : 'none'},
    {title: 'it would add, nats', number: true, value: r => r.runner ? r.runner.loss_increase
      : undefined, text: r => r.runner ? (r.runner.exact ? '' : '≥ ')
        + nats(r.runner.loss_increase) : ''});
  }
  if (rows.some(r => r.kept !== null)) {
    columns.push({title: 'kept in redraws', number: true, value: r => r.kept, cell: r => h('span',
      {title: other(r.votes), class: r.optimum !== null && r.optimum !== r.key ? 'dim'
        : r.kept < 0.95 * r.redraws ? 'unsteady' : ''},
      `${r.kept} of ${r.redraws}`)});
  }
  if (rows.some(r => r.optimum !== null && r.optimum !== r.key)) {
    columns.push({title: 'predicted optimum', value: r => r.optimum || '', text: r => r.optimum
      && r.optimum !== r.key ? bitsText(r.optimum) : 'the same'});
  }
  const table = sortableTable(rows, columns, {shown: 40, sort: 2});
  table.id = 'why-table';
  body.replaceChildren(...parts, table, h('p', {class: 'dim'}, 'Runner-up: the best other choice for '
    + 'the layer with all other layers free to follow, against the optimum of the predicted losses; '
    + '≥: a lower bound. Kept: how many of the optima of redrawn sensitivities have the same bits '
    + 'here; red below 95 %, dim where measuring chose otherwise than the predicted losses.'));
}
