// The head of the page and its first screen: what was chosen, and the three questions that a reader
// asks of it. The numbers of the sentences are `facts`, the same as in the Markdown summary.

function drawHead() {
  const run = model();
  const head = document.getElementById('top');
  const theme = h('button', {type: 'button', class: 'theme', title: 'light or dark',
    'aria-label': 'light or dark', onclick: () => {
      const root = document.documentElement;
      const dark = root.dataset.theme ? root.dataset.theme === 'dark'
        : window.matchMedia('(prefers-color-scheme: dark)').matches;
      root.dataset.theme = dark ? 'light' : 'dark';
    }}, '◐');
  head.replaceChildren(...[
    h('div', {class: 'brand'}, h('span', {}, 'bitsearch'), theme),
    h('h1', {}, models.length > 1 ? `${models[0].title} and ${models[1].title}` : run.title),
    models.length > 1 ? choice(models.map((m, i) => [i, `${'AB'[i]}: ${m.title}`]), state.run,
      i => update({run: i, budget: 0, selected: null, window: null}), 'Run') : null,
    run.budgets.length > 1 ? choice(run.budgets.map((b, i) => [i, `budget ${b.name}`]),
      state.budget, i => update({budget: i, selected: null}), 'Budget') : null]
    .filter(part => part !== null));
  if (page.live) head.append(liveBox());
}

/** How far a run is that still goes on. */
function liveBox() {
  const stages = Object.entries(page.live.stages).map(([name, stage]) => h('li', {},
    `${name}: ${stage.finished ? `finished in ${stage.seconds.toFixed(1)} s`
      : `${stage.items} items done`}`));
  return h('div', {class: 'live'}, h('b', {}, page.live.running
    ? 'This run is going on; the page is written anew as it does.'
    : 'This run has stopped before its end; bitsearch run … --resume goes on.'),
  h('ul', {}, stages));
}

/** "93.34 % top-1 in 107.8 kB": the choice in one sentence. */
function headline(fact) {
  const parts = [];
  if (fact.top1) parts.push(h('span', {class: 'big', id: 'top1'}, `${percent(fact.top1.percent)} %`),
    ` top-1 ${fact.top1_before_training_percent === undefined ? ''
      : 'after training at these bits '}`);
  if (fact.output_error_percent !== undefined) parts.push(h('span', {class: 'big'},
    `${nats(fact.output_error_percent)} %`), ' output error ');
  const main = fact.limits.length ? fact.limits[0].resource : fact.minimise || 'size_bits';
  const shown = main === 'size_bits' || main === 'parameter_bits' ? 'size_bytes' : main;
  const cost = fact.costs && fact.costs[shown];
  if (cost) {
    parts.push('at ', h('span', {class: 'big'}, amount(shown, Number(cost))));
    const whole = fact.fp32_costs && fact.fp32_costs[shown];
    if (whole) parts.push(`, ${significant(Number(whole) / Number(cost), 3)} times less than float`);
  }
  return parts.length ? h('p', {class: 'headline'}, parts, '.') : null;
}

function tile(label, value, note) {
  return h('div', {class: 'tile'}, h('div', {class: 'label'}, label),
    h('div', {class: 'value'}, value), note ? h('div', {class: 'note'}, note) : null);
}

/** How much of a limit is used, as a bar. */
function limitTile(limit) {
  const used = model().total(limit.resource, budget().keys) ?? limit.used;
  const share = used / limit.limit;
  return h('div', {class: 'tile'}, h('div', {class: 'label'}, `${resourceName(limit.resource)} limit`),
    h('div', {class: 'value'}, amount(limit.resource, limit.limit)),
    h('div', {class: 'meter'}, h('span', {style: `width:${Math.min(100, share * 100)}%`})),
    h('div', {class: 'note'}, `the choice uses ${percent(share * 100, 1)} %`));
}

function answerLimits(fact) {
  const layers = fact.limiting_layers;
  if (!layers) return 'No sensitivities: the run has no sensitivity.csv.';
  if (layers.length === 0) return 'No layer is predicted to lose anything.';
  return [h('p', {}, h('b', {id: 'limiting-layer'}, layers[0].name),
    ` at ${bitsText(keyOf(layers[0]))} makes ${percent(layers[0].share * 100, 0)} % of the predicted `
    + `loss (${natsPair(layers[0].loss_nats, layers[0].standard_error)} nats).`),
  h('table', {class: 'bars'}, layers.map(layer => h('tr', {}, h('td', {}, layer.name),
    h('td', {class: 'dim'}, bitsText(keyOf(layer))),
    h('td', {class: 'wide'}, h('span', {class: 'bar', style:
      `width:${100 * layer.loss_nats / layers[0].loss_nats}%;background:`
      + bitColor(String(layer.weight_bits))})),
    h('td', {class: 'number'}, `${percent(layer.share * 100, 0)} %`))))];
}

function answerMore(fact) {
  if (!fact.more_budget || fact.more_budget.length === 0) {
    const goal = model().files['goal.json'];
    if (fact.chosen_by === 'goal' && goal) {
      // The other way round: what was measured on the way, the cheapest that passed among them.
      return [h('p', {}, 'A goal asks the other way round. Measured on the way to it:'),
        h('table', {class: 'bars'}, [...goal.measured].sort((a, b) => a.cost - b.cost).map(m =>
          h('tr', {}, h('td', {}, amount(goal.minimise, m.cost)),
            h('td', {class: 'number'}, `${nats(m.drop_percent)} ${'output_error_percent' in goal
              ? '%' : 'points'}`), h('td', {}, m.passed ? 'within' : 'too much'))))];
    }
    return 'No frontier was written: search.frontier of the experiment names resources.';
  }
  return fact.more_budget.map(entry => {
    const less = buy => entry.loss_nats > 0 ? `−${percent(100 * buy.saved_nats / entry.loss_nats, 1)} %`
      : '–';
    const unit = entry.one_unit;
    return [h('p', {id: `buys-${entry.resource}`}, h('b', {}, `One more ${unit.unit}`),
      entry.limited ? '' : ` of ${resourceName(entry.resource)}`,
      unit.saved_nats > 0 ? ` lowers the least predicted loss by ${percent(100 * unit.saved_nats
        / entry.loss_nats, 1)} %, from ${nats(entry.loss_nats)} to ${nats(unit.loss_nats)} nats` +
        (unit.beyond ? ': the end of the frontier' : '') + '.'
        : ' buys nothing.',
    entry.next ? ` The next better point costs ${amount(entry.resource, entry.next.extra)} more.`
      : ' Nothing is left to buy: this is the best there is.'),
    h('table', {class: 'bars'}, entry.buys.map(buy => h('tr', {},
      h('td', {}, `+${buy.percent} %`), h('td', {class: 'dim'}, amount(entry.resource, buy.extra)),
      h('td', {class: 'wide'}, h('span', {class: 'bar', style: `width:${entry.loss_nats > 0
        ? 100 * buy.saved_nats / entry.loss_nats : 0}%`})),
      h('td', {class: 'number'}, less(buy)))))];
  });
}

function answerSure(fact) {
  const items = [];
  if (fact.top1) {
    items.push(`Accuracy: ${percent(fact.top1.percent)} % on ${fact.top1.samples.toLocaleString('en')} `
      + `records that no choice has seen; 95 % interval ${percent(fact.top1.low)} to `
      + `${percent(fact.top1.high)} %.${fact.top1_before_training_percent === undefined ? ''
        : ` After training at these bits; before: ${percent(fact.top1_before_training_percent)} %.`}`);
  }
  if (fact.output_error_percent !== undefined) {
    items.push(`Output error: ${nats(fact.output_error_percent)} % of the float network’s output on `
      + `${fact.samples.toLocaleString('en')} records without labels, which no choice has seen.`);
  }
  const goal = model().files['goal.json'];
  if (fact.chosen_by === 'goal' && goal && goal.confirmation) {
    items.push(`Confirmed on the report records: with ${percent(100 * goal.confidence, 0)} % `
      + `confidence at most ${nats(goal.confirmation.upper_bound_percent)} ${
        'output_error_percent' in goal ? '%' : 'points'}.`);
    items.push(goal.bits === 'mixed' || goal.bits === undefined ? 'The frontier is exact for the predicted losses; what was '
      + 'measured on it decided.' : `Uniform ${goal.bits}: nothing is gained by mixing.`);
  }
  const stability = fact.stability;
  if (stability && stability.redraws > 0) {
    items.push(h('span', {}, h('b', {id: 'steady'}, `${stability.steady_layers} of `
      + `${stability.layers} layers`), ` keep their bits in at least 95 % of ${stability.redraws} `
      + 'redraws of the sensitivities within their errors, the whole configuration in '
      + `${Math.round(100 * stability.configuration)} %.`));
  } else if (stability) {
    items.push('How steady the choice is, is not known: the sensitivities have no standard errors, or '
      + 'were not drawn anew within them.');
  }
  if (fact.chosen_by === 'measured' && stability) {
    items.push(stability.moved_by_measuring > 0
      ? `Chosen by measuring whole configurations (${fact.note || 'several'}): `
        + `${stability.moved_by_measuring} layers are not as the predicted losses would have them.`
      : 'The optimum of the predicted losses was the best of those measured, too.');
  } else if (fact.chosen_by === 'dnas') {
    const learned = model().files[`dnas_${state.budget + 1}.json`];
    if (learned) {
      const open = learned.groups.filter(g => g.candidates.length > 1);
      const decided = open.filter(g => Math.max(...g.probabilities) >= 0.9).length;
      items.push(`Chosen by a differentiable search: ${decided} of ${open.length} learned `
        + 'distributions give their bits at least 90 % probability.');
    }
  } else if (fact.gap === 0) items.push('Proved optimal for the predicted losses (gap 0).');
  const lines = fact.lines || {};
  const names = list => list.join(', ');
  if ((lines.worse || []).length) items.push(`Measurably better than: ${names(lines.worse)}.`);
  if ((lines['not distinguishable'] || []).length) {
    items.push(`Not distinguishable in accuracy from: ${names(lines['not distinguishable'])}.`);
  }
  if ((lines.better || []).length) items.push(`Measurably worse than: ${names(lines.better)}.`);
  return h('ul', {}, items.map(item => h('li', {}, item)));
}

/** What a goal asked for, what was found, and what greedy fallback needs for the same. */
function goalBox(goal) {
  const ofOutput = 'output_error_percent' in goal;
  const unit = ofOutput ? '%' : 'points';
  const costs = answer => Object.entries(answer.costs).filter(([, value]) => value)
    .map(([name, value]) => amount(name, Number(value))).join(', ');
  const confirmed = answer => answer.confirmation === null ? 'not confirmed'
    : `${nats(answer.confirmation.drop_percent)} ${unit}, bound `
      + `${nats(answer.confirmation.upper_bound_percent)}`;
  return h('div', {class: 'card', id: 'goal'},
    h('h3', {}, `Goal: least ${resourceName(goal.minimise)} with ${ofOutput ? 'an output error'
      : 'a drop'} of at most ${goal[ofOutput ? 'output_error_percent' : 'accuracy_drop_percent']} ${
      unit}`),
    h('ul', {}, h('li', {}, `${goal.status}: ${costs(goal)}; on the report records ${
      confirmed(goal)}. ${goal.evaluations} of ${goal.frontier_points} points of the exact frontier `
      + 'were measured.'),
    goal.fallback ? h('li', {}, `Greedy fallback by sensitivity, ${goal.fallback.steps} of ${
      goal.fallback.of_steps} steps: ${costs(goal.fallback)}; ${confirmed(goal.fallback)}.`) : null));
}

function drawSummary(body) {
  const current = budget();
  if (!current) {
    absent(body, 'The run has chosen nothing yet: its search or measurement is not finished.');
    return;
  }
  const fact = current.fact;
  const card = (title, content) => h('div', {class: 'card'}, h('h3', {}, title), content);
  const tiles = [];
  if (fact.fp32_top1_percent !== undefined && fact.top1) {
    tiles.push(tile('against float',
      `${signed(fact.top1.percent - fact.fp32_top1_percent, 2)} points`,
      `float: ${percent(fact.fp32_top1_percent)} %`));
  }
  if (fact.predicted) {
    tiles.push(tile('predicted loss', `${nats(fact.predicted.loss_nats)} nats`,
      `± ${significant(fact.predicted.standard_error, 2)}; `
      + (fact.kl_nats === undefined ? 'not measured' : `measured KL ${nats(fact.kl_nats)}`)));
  }
  tiles.push(tile('mean weight bits', significant(model().meanWeightBits(current.keys), 3),
    `${model().layers.length} layers`));
  tiles.push(...fact.limits.map(limitTile));
  body.replaceChildren(
    ...[headline(fact), fact.asked ? h('p', {class: 'dim'}, `Asked for: ${fact.asked}`) : null,
      bitStrip(current.keys, model().layers, {id: 'chosen-bits'}), bitLegend([current.keys]),
      model().files['goal.json'] ? goalBox(model().files['goal.json']) : null,
      ...model().facts.remarks.filter(r => r.startsWith(`budget ${current.name}: `))
        .map(r => h('p', {class: 'remark'}, r.slice(`budget ${current.name}: `.length))),
      h('div', {class: 'tiles'}, tiles),
      h('div', {class: 'cards'}, card('What limits the accuracy?', answerLimits(fact)),
        card('What would more budget buy?', answerMore(fact)),
        card('How sure is the choice?', answerSure(fact)))].filter(part => part !== null));
}

/** Every line of the result table. */
function drawResults(body) {
  const results = model().files['results.json'];
  if (!results) {
    absent(body, model().files['goal.json'] ? 'No table: the experiment has a goal and no budgets.'
      : 'The run has no results.json yet.');
    return;
  }
  const current = budget();
  const ours = results.rows.find(r => r.budget === current.name && r.line === 'ours');
  const rows = results.rows.filter(r => r.budget === '' || r.budget === current.name);
  // Without labels rows are compared by how near their outputs are to the float network's.
  const merit = row => row.top1_percent === null && row.output_error_percent !== null
    ? -row.output_error_percent : row.top1_percent;
  const any = key => rows.some(r => r[key] !== null && r[key] !== undefined);
  const verdict = row => row.p_value === null || row === ours ? ''
    : row.p_value >= results.significance ? 'not distinguishable'
      : merit(row) > merit(ours) ? 'better' : 'worse';
  const costs = Object.keys(rows[0] ? rows[0].costs : {});
  const number = (title, value, text) => ({title, value, text, number: true});
  const table = sortableTable(rows, [
    {title: 'line', value: r => r.line, cell: r => h('span', {class: r === ours ? 'ours' : ''},
      r.line)},
    {title: 'bits', value: r => r.bits, text: r => r.bits},
    ...costs.map(c => number(resourceName(c), r => Number(r.costs[c] || NaN),
      r => r.costs[c] ? amount(c, Number(r.costs[c])) : '')),
    number('predicted loss', r => r.predicted_loss_nats, r => nats(r.predicted_loss_nats)),
    ...any('top1_percent') ? [number('top-1 %', r => r.top1_percent,
      r => percent(r.top1_percent))] : [],
    ...any('output_error_percent') ? [number('output error %', r => r.output_error_percent,
      r => nats(r.output_error_percent))] : [],
    ...any('kl_nats') ? [number('KL', r => r.kl_nats, r => nats(r.kl_nats))] : [],
    number('p', r => r.p_value, r => r.p_value === null ? ''
      : r.p_value < 1e-300 ? '< 1e-300' : significant(r.p_value, 2)),
    {title: 'against ours', value: verdict, cell: r => h('span', {class: `verdict ${verdict(r)
      .replace(' ', '-')}`}, verdict(r) + (r.note ? (verdict(r) ? '; ' : '') + r.note : ''))},
  ]);
  table.querySelector('table').id = 'results-table';
  body.replaceChildren(table, h('p', {class: 'dim'}, (any('top1_percent')
      ? 'p: exact McNemar test on the same records, ' : 'p: exact sign test of the records’ errors, ')
    + `against the row “ours”; at ${results.significance} or more the two are not distinguishable. `
    + 'Figures are of records on which no choice was made'
    + (any('output_error_percent') ? '; output error: mean square difference to the float network’s '
      + 'output, in percent of that.' : '. KL is to the float network.')));
}
