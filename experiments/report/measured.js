// Predictions held against measurements: of losses, and of latencies in the user's runtime.

/** Kendall's τ-b; the lists are short. */
function kendall(pairs) {
  let score = 0, x = 0, y = 0;
  for (let i = 0; i < pairs.length; ++i) {
    for (let j = 0; j < i; ++j) {
      const a = Math.sign(pairs[i][0] - pairs[j][0]), b = Math.sign(pairs[i][1] - pairs[j][1]);
      score += a * b;
      x += a !== 0;
      y += b !== 0;
    }
  }
  return x && y ? score / Math.sqrt(x * y) : NaN;
}

function drawMeasured(body) {
  const run = model();
  const table = run.tables['candidates.csv'];
  const rows = run.files['results.json'] ? run.files['results.json'].rows : [];
  const points = [];
  // Outputs that are no classes have no KL: there the error of the output was measured.
  const classes = !(table && table.rows.length && 'measured_output_error_percent' in table.rows[0]);
  const measured = row => classes ? row.kl_nats : row.output_error_percent;
  const unit = classes ? 'nats' : '%';
  for (const row of table ? table.rows : []) {
    if (row.budget !== (budget() || {}).name) continue;
    points.push({kind: 'candidate', name: 'measured candidate', keys: row.configuration.split(','),
      x: Number(row.predicted_loss_nats), y: Number(row[classes ? 'measured_kl_nats' : 'measured_output_error_percent'])});
  }
  for (const row of rows) {
    if (row.budget !== (budget() || {}).name || measured(row) === null
      || row.predicted_loss_nats === null) continue;
    points.push({kind: 'line', name: row.line, x: row.predicted_loss_nats, y: measured(row),
      top1: row.top1_percent});
  }
  if (points.length === 0) {
    return absent(body, 'Nothing was measured beside a prediction: search.measured_candidates is 0, '
      + 'or the measurement is not finished.');
  }
  if (withoutPlots(body)) return;
  const box = h('div', {class: 'plot-box'});
  body.replaceChildren(box);
  const chart = frame(box, {height: 380, left: 58, label: 'Measured against predicted loss'});
  const all = points.flatMap(p => [p.x, p.y]).filter(v => v > 0);
  const domain = [d3.min(all) * 0.8, d3.max(all) * 1.25];
  const x = Object.assign(d3.scaleLog().domain(domain).range([0, chart.width]).clamp(true),
    {logarithmic: true});
  const y = Object.assign(d3.scaleLog().domain(domain).range([chart.height, 0]).clamp(true),
    {logarithmic: true});
  axes(chart, x, y, {xTitle: 'predicted loss, nats', yTitle: classes ? 'measured KL to float, nats' : 'measured output error, %'});
  chart.plot.append('path').attr('class', 'diagonal').attr('d',
    `M0 ${chart.height}L${chart.width} 0`);
  chart.plot.selectAll('circle').data(points).enter().append('circle')
    .attr('class', p => p.kind === 'candidate' ? 'candidate' : `against ${p.name === 'ours'
      ? 'ours' : ''}`)
    .attr('cx', p => x(p.x)).attr('cy', p => y(p.y)).attr('r', p => p.kind === 'candidate' ? 4 : 6)
    .on('pointerenter', p => tip(d3.event, [p.name, `predicted ${nats(p.x)} nats`,
      `measured ${nats(p.y)} ${unit}`, p.kind === 'candidate' ? 'on the search records'
        : p.top1 === null ? 'on the report records'
          : `${percent(p.top1)} % top-1, on the report records`]))
    .on('pointerleave', hideTip)
    .on('click', p => { if (p.keys) select(p.name, p.keys); });
  const lines = points.filter(p => p.kind === 'line');
  labelMarks(chart, lines.map(p => ({...p, line: p.name})), x, y);
  const candidates = points.filter(p => p.kind === 'candidate');
  const tau = kendall(candidates.map(p => [p.x, p.y]));
  body.append(h('p', {class: 'dim'}, `${candidates.length} candidates were measured on the search `
    + 'records (small dots); larger dots are the lines of the table, on the report records.'
    + (classes ? ' On the diagonal the additive prediction is exact.' : '')
    + (candidates.length > 2 && Number.isFinite(tau)
      ? ` Kendall’s τ of the candidates: ${significant(tau, 2)}.` : '')));
}

function drawDeployment(body) {
  const file = model().files['deployment.json'];
  if (!file) {
    return absent(body, 'Not deployed yet: bitsearch deploy RUN --best 5 times and scores the best '
      + 'configurations in the runtime; then bitsearch report RUN.');
  }
  const lines = file.lines;
  body.replaceChildren();
  if (canPlot) {
    const box = h('div', {class: 'plot-box'});
    body.append(box);
    const chart = frame(box, {height: 60 + 34 * lines.length, left: 118, top: 18,
      label: 'Predicted and measured latency'});
    const values = lines.flatMap(l => [l.predicted_latency_us, ...l.interval_us]);
    const x = d3.scaleLinear().domain([0, Math.max(d3.max(values), file.latency_limit_us || 0)])
      .nice().range([0, chart.width]);
    const y = d3.scaleBand().domain(d3.range(lines.length)).range([0, chart.height]).padding(0.3);
    axes(chart, x, y, {grid: false, xFormat: v => amount('latency_us', v),
      xTitle: 'latency of one inference', yFormat: i => lines[i].name.length > 18
        ? `${lines[i].name.slice(0, 17)}…` : lines[i].name});
    if (file.latency_limit_us) {
      const limit = chart.plot.append('g').attr('class', 'limit');
      limit.append('path').attr('d', `M${x(file.latency_limit_us)} 0V${chart.height}`);
      limit.append('text').attr('x', x(file.latency_limit_us) + 4).attr('y', -4)
        .text(`limit ${amount('latency_us', file.latency_limit_us)}`);
    }
    const row = chart.plot.selectAll('g.deployed').data(lines).enter().append('g')
      .attr('class', l => `deployed${l.name === file.chosen ? ' ours' : ''}`)
      .attr('transform', (l, i) => `translate(0,${y(i) + y.bandwidth() / 2})`)
      .on('pointerenter', l => tip(d3.event, [l.name, `predicted ${amount('latency_us',
        l.predicted_latency_us)}`, `measured ${amount('latency_us', l.measured_latency_us)}`,
      `95 % interval ${l.interval_us.map(v => amount('latency_us', v)).join(' to ')}`]))
      .on('pointerleave', hideTip);
    row.append('path').attr('class', 'link').attr('d', l => l.predicted_latency_us === null ? ''
      : `M${x(l.predicted_latency_us)} 0H${x(l.measured_latency_us)}`);
    row.append('path').attr('class', 'interval').attr('d', l =>
      `M${x(l.interval_us[0])} -6v12M${x(l.interval_us[0])} 0H${x(l.interval_us[1])}`
      + `M${x(l.interval_us[1])} -6v12`);
    row.filter(l => l.predicted_latency_us !== null).append('circle').attr('class', 'predicted')
      .attr('r', 5).attr('cx', l => x(l.predicted_latency_us));
    row.append('circle').attr('class', 'measured').attr('r', 5)
      .attr('cx', l => x(l.measured_latency_us));
  }
  const number = (title, value, text) => ({title, value, text, number: true});
  const table = sortableTable(lines, [
    {title: 'line', value: l => l.name, cell: l => h('span', {class: l.name === file.chosen ? 'ours'
      : ''}, l.name)},
    number('predicted', l => l.predicted_latency_us, l => amount('latency_us',
      l.predicted_latency_us)),
    number('measured', l => l.measured_latency_us, l => amount('latency_us', l.measured_latency_us)),
    {title: 'keeps the limit', value: l => String(l.within_limit), text: l => l.within_limit ? 'yes'
      : 'no'},
    number('search records', l => l.correct, l => `${l.correct} of ${l.samples}`),
    number('file', l => l.file_bytes, l => amount('size_bytes', l.file_bytes))]);
  table.querySelector('table').id = 'deployment-table';
  body.append(...[h('p', {class: 'dim'}, `Hollow: predicted by the table; solid: median in `
    + `${file.runtime} on ${file.cpu}, with its 95 % interval. Chosen: ${file.chosen}`
    + (file.report && file.report.samples ? `; on the report records ${file.report.correct} of `
      + `${file.report.samples} correct (${percent(100 * file.report.correct / file.report.samples)} `
      + '%).' : '.')), ...file.notes.map(note => h('p', {class: 'remark'}, note)), table]);
}
