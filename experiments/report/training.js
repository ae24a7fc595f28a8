// What was learned over time: a differentiable search's losses and distributions, fine-tuning, and
// the predictor's transfer from cheap to expensive measurements.

const trainingState = {group: 0};

/** Lines over epochs: series [{name, values: [[x, y]], color}]. */
function drawCurves(parent, series, {xTitle, yTitle, height = 230, log = false, right = 96,
  level}) {
  const filled = series.filter(s => s.values.length > 0);
  if (filled.length === 0) return;
  const chart = frame(parent, {height, label: yTitle, right});
  const all = filled.flatMap(s => s.values);
  const x = (log ? d3.scaleLog() : d3.scaleLinear()).domain(d3.extent(all, v => v[0]))
    .range([0, chart.width]);
  const span = d3.extent([...all.flatMap(v => [v[1] - (v[2] || 0), v[1] + (v[2] || 0)]),
    ...(level ? [level[1]] : [])]);
  const y = d3.scaleLinear().domain(span[0] === span[1] ? [span[0] - 1, span[1] + 1] : span).nice()
    .range([chart.height, 0]);
  const whole = new Set(all.map(v => v[0]));
  axes(chart, x, y, {xTitle, yTitle, xTicks: log ? 4 : Math.min(10, whole.size),
    xFormat: v => significant(v, 4), xValues: log ? [...whole] : null});
  if (level) {
    const limit = chart.plot.append('g').attr('class', 'limit');
    limit.append('path').attr('d', `M0 ${y(level[1])}H${chart.width}`);
    limit.append('text').attr('x', chart.width + 8).attr('y', y(level[1]) + 4).text(level[0]);
  }
  const ends = filled.map(s => y(s.values[s.values.length - 1][1]));
  const labelAt = apart(ends, 13, chart.height);
  const line = d3.line().x(v => x(v[0])).y(v => y(v[1]));
  filled.forEach((s, i) => {
    const color = s.color || kSeriesColors[i % kSeriesColors.length];
    chart.plot.append('path').attr('class', 'curve').attr('stroke', color).attr('d', line(s.values));
    chart.plot.selectAll(null).data(s.values).enter().append('circle').attr('r', 3)
      .attr('fill', color).attr('cx', v => x(v[0])).attr('cy', v => y(v[1]))
      .on('pointerenter', v => tip(d3.event, [s.name, `${xTitle} ${significant(v[0], 4)}`,
        significant(v[1], 4)])).on('pointerleave', hideTip);
    chart.plot.append('path').attr('class', 'error').attr('stroke', color).attr('d', s.values
      .filter(v => v[2] > 0).map(v => `M${x(v[0])} ${y(v[1] - v[2])}V${y(v[1] + v[2])}`).join(''));
    chart.plot.append('text').attr('class', 'mark-label').attr('y', labelAt[i] + 4)
      .attr('x', x(s.values[s.values.length - 1][0]) + 8).text(s.name);
  });
}
/** Positions moved just as far as keeps `gap` between neighbours, none beyond `most`. */
function apart(positions, gap, most) {
  const order = positions.map((at, i) => [at, i]).sort((a, b) => a[0] - b[0]);
  const moved = new Array(positions.length);
  let last = -Infinity;
  for (const [at, i] of order) {
    last = Math.max(at, last + gap);
    moved[i] = last;
  }
  let next = most + gap;
  for (const [, i] of order.reverse()) {
    next = moved[i] = Math.min(moved[i], next - gap);
  }
  return moved;
}
const kSeriesColors = ['var(--accent)', '#d1495b', '#93b23a', '#7d6bb8', '#ec7d33',
  '#3aa17e', '#8a94a3'];

/** A differentiable search's file for the current budget. */
const dnasFile = () => model().files[`dnas_${state.budget + 1}.json`];

function drawTraining(body) {
  const file = dnasFile();
  const tuned = model().files['finetune.json'];
  if (!file && !tuned) {
    return absent(body, 'No learning curves: this run searched by sensitivities and an exact solver; '
      + 'search.method: dnas learns the bits by gradients, finetune trains the result.');
  }
  if (withoutPlots(body)) return;
  body.replaceChildren();
  if (file) drawSearchCurves(body, file);
  else body.append(h('p', {class: 'absent'}, 'No differentiable search (search.method: dnas).'));
  if (tuned) drawFineTuning(body, tuned);
  else body.append(h('p', {class: 'absent'}, 'No fine-tuning (finetune).'));
}

function drawSearchCurves(body, file) {
  const curve = (name, value, from = 0) => ({name, values: file.epochs.filter(e => e.epoch >= from)
    .map(e => [e.epoch, value(e)]).filter(v => v[1] !== null && v[1] !== undefined)});
  const boxes = [0, 1, 2, 3].map(() => h('div', {class: 'plot-box'}));
  const plot = (series, options) => drawCurves(boxes.shift(), series, {xTitle: 'epoch', ...options});
  body.append(h('h3', {}, 'The search'), h('div', {class: 'two'}, boxes));
  plot([curve('weights', e => e.weight_loss_nats), curve('bits (θ)', e => e.architecture_loss_nats,
    file.warmup_epochs)], {yTitle: 'loss with cost terms'});
  plot([curve('training', e => e.train_top1_percent)], {yTitle: 'top-1 % of the supernet'});
  const expected = Object.keys(file.limits)[0] || Object.keys(file.epochs[0].expected)[0];
  const factor = expected.endsWith('_bits') ? 1 / 8000 : 1;
  plot([curve('expected', e => e.expected[expected] * factor)], {yTitle: `expected ${
    resourceName(expected)}${factor === 1 ? '' : ', kB'}`, level: file.limits[expected] === undefined
    ? undefined : ['limit', Number(file.limits[expected]) * factor]});
  const mean = list => list.reduce((sum, v) => sum + v, 0) / list.length;
  plot([curve('entropy', e => mean(e.relative_entropy)), curve('margin', e => mean(e.margin))],
    {yTitle: 'mean over layers, 0 to 1'});
  drawDistributions(body, file);
  for (const warning of file.warnings || []) body.append(h('p', {class: 'remark'}, warning));
}

/** Fine-tuning: accuracy over epochs of every line that was trained at its bits, and what remains. */
function drawFineTuning(body, file) {
  const name = (budget() || {}).name;
  const lines = file.lines.filter(l => l.budget === '' || l.budget === name);
  const box = h('div', {class: 'plot-box'});
  body.append(h('h3', {}, 'Fine-tuning'), box);
  drawCurves(box, lines.map(l => ({name: l.line, values: l.curve.map(e => [e.epoch,
    e.validation_top1_percent])})), {xTitle: 'epoch', yTitle: 'top-1 % on the validation records',
    height: 280});
  const before = model().files['results.json'];
  const untuned = line => ((before ? before.rows : []).find(r => r.line === line.line
    && r.budget === line.budget) || {}).top1_percent;
  const number = (title, value, text) => ({title, value, text, number: true});
  const table = sortableTable(lines, [
    {title: 'line', value: l => l.line, cell: l => h('span', {class: l.line === 'ours' ? 'ours' : ''},
      l.line)},
    {title: 'started from', value: l => l.start, text: l => l.start},
    number('epochs', l => l.epochs, l => String(l.epochs)),
    number('top-1 % before', untuned, l => percent(untuned(l))),
    number('top-1 % after', l => l.top1_percent, l => percent(l.top1_percent))]);
  table.querySelector('table').id = 'finetune-table';
  body.append(table);
}

/** θ over time: which bits lead in each layer and how far, then one layer's distribution. */
function drawDistributions(body, file) {
  const groups = file.groups;
  if (!groups || groups.length === 0) return;
  const epochs = file.epochs;
  const colorOf = (group, text) => bitColor(group.kind === 'both' ? weightOf(text) : text);
  const label = (group, text) => group.kind === 'both' ? bitsText(text)
    : `${group.kind === 'weight' ? 'W' : 'A'}${text}`;
  body.append(h('h3', {}, 'Which bits lead, epoch by epoch'));
  const box = h('div', {class: 'plot-box'});
  body.append(box);
  const row = Math.max(3, Math.min(18, 520 / groups.length));
  const named = row >= 11;
  const chart = frame(box, {height: 54 + row * groups.length, left: named ? 130 : 40, top: 6,
    label: 'Leading bits of each layer by epoch'});
  const x = d3.scaleBand().domain(epochs.map(e => e.epoch)).range([0, chart.width]).padding(0.04);
  groups.forEach((group, g) => {
    if (named) {
      chart.plot.append('text').attr('class', 'layer').attr('x', -6).attr('text-anchor', 'end')
        .attr('y', row * (g + 0.5) + 4).text(group.name.length > 19 ? `…${group.name.slice(-18)}`
          : group.name);
    }
  });
  const cells = epochs.flatMap(e => e.probabilities.map((p, g) => {
    const best = p.indexOf(Math.max(...p));
    return {epoch: e.epoch, g, p, best, key: groups[g].candidates[best]};
  }));
  chart.plot.append('g').selectAll('rect').data(cells).enter().append('rect')
    .attr('x', c => x(c.epoch)).attr('y', c => row * c.g).attr('width', x.bandwidth())
    .attr('height', Math.max(1, row - (row > 6 ? 1 : 0)))
    .attr('fill', c => colorOf(groups[c.g], c.key))
    .attr('opacity', c => 0.25 + 0.75 * (c.p[c.best] - 1 / c.p.length) / (1 - 1 / c.p.length))
    .on('pointerenter', c => tip(d3.event, [groups[c.g].name, `epoch ${c.epoch}`,
      ...c.p.map((p, i) => `${label(groups[c.g], groups[c.g].candidates[i])}: `
        + `${percent(100 * p, 1)} %`)])).on('pointerleave', hideTip)
    .on('click', c => { trainingState.group = c.g; update({}); });
  chart.plot.append('g').attr('class', 'axis').attr('transform',
    `translate(0,${row * groups.length + 2})`).call(d3.axisBottom(x).tickSizeOuter(0).tickValues(
    epochs.map(e => e.epoch).filter((e, i) => i % Math.ceil(epochs.length / 12) === 0)));
  chart.plot.append('text').attr('class', 'title').attr('x', chart.width).attr('text-anchor', 'end')
    .attr('y', row * groups.length + 36).text('epoch');
  body.append(bitLegend([cells.map(c => c.key.includes('/') ? c.key : `${c.key}/`)]), h('p', {class: 'dim'}, 'Faint: undecided. Click a '
    + 'layer to see its distribution.'));
  const group = groups[Math.min(trainingState.group, groups.length - 1)];
  const g = groups.indexOf(group);
  const detail = h('div', {class: 'plot-box'});
  body.append(h('h3', {}, `${group.name}: probability of each choice`), detail);
  drawCurves(detail, group.candidates.map((candidate, i) => ({name: label(group, candidate),
    color: colorOf(group, candidate), values: epochs.map(e => [e.epoch,
      e.probabilities[g][i]])})), {xTitle: 'epoch', yTitle: 'probability'});
}

function drawTransfer(body) {
  const file = model().files['transfer_curve.json'];
  if (!file) {
    return absent(body, 'No transfer curve: this run measured its configurations itself and trained '
      + 'no predictor; a transfer_curve.json in its folder is shown here.');
  }
  if (withoutPlots(body)) return;
  const box = h('div', {class: 'plot-box'});
  body.replaceChildren(box);
  const series = [...groupBy(file.points, p => p.method)].map(([name, points]) => ({name,
    values: [...groupBy(points, p => p.samples)].map(([samples, splits]) => {
      const values = splits.map(p => p.pairwise_accuracy).filter(v => v !== null);
      const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
      return [samples, mean, values.length > 1 ? Math.sqrt(values.reduce((sum, v) =>
        sum + (v - mean) ** 2, 0) / (values.length - 1)) : 0];
    }).sort((a, b) => a[0] - b[0])}));
  drawCurves(box, series, {xTitle: 'expensive measurements', yTitle: 'pairs in the right order',
    height: 320, log: true, right: 170});
  const splits = new Set(file.points.map(p => p.split)).size;
  body.append(h('p', {class: 'dim'}, `Mean of ${splits} splits, on configurations that were not `
    + 'trained on; bars: standard deviation over the splits.'), h('ul', {class: 'dim'},
  file.comparisons.filter(c => c.p_value !== null).map(c => h('li', {}, `${c.better} against `
    + `${c.worse} at ${c.samples}: ${signed(c.mean_difference, 3)} (p = ${significant(c.p_value, 2)}, `
    + 'corrected resampled t-test).'))));
}
