// The data of the page, looked up the way the sections ask for it. Draws nothing. Names come from
// users' files: they are only ever set as text.
const page = JSON.parse(document.getElementById('data').textContent);
const canPlot = typeof d3 !== 'undefined';

/** RFC 4180 text → {comments: {key: value}, rows: [{column: text}]}. */
function parseCsv(text) {
  const comments = {}, records = [];
  let record = [], cell = '', quoted = false;
  const lines = text.split('\n');
  let start = 0;
  for (; start < lines.length && lines[start].startsWith('#'); ++start) {
    const at = lines[start].indexOf(':');
    comments[lines[start].slice(1, at).trim()] = lines[start].slice(at + 1).trim();
  }
  for (const c of lines.slice(start).join('\n')) {
    if (quoted && c !== '"') cell += c;
    else if (c === '"') {
      // A doubled quote stands for one; it closes and opens again.
      if (!quoted && cell !== '') cell += c;
      quoted = !quoted;
    } else if (c === ',') { record.push(cell); cell = ''; }
    else if (c === '\n') { record.push(cell); cell = ''; records.push(record); record = []; }
    else if (c !== '\r') cell += c;
  }
  const header = records.shift() || [];
  const rows = records.filter(r => r.length === header.length)
    .map(r => Object.fromEntries(header.map((name, i) => [name, r[i]])));
  return {comments, header, rows};
}

const keyOf = layer => `${layer.weight_bits}/${layer.activation_bits}`;
const weightOf = key => key.slice(0, key.indexOf('/'));
const activationOf = key => key.slice(key.indexOf('/') + 1);
/** Bits as a number; float formats by their width. */
const widthOf = bits => ({ternary: 1.58, fp16: 16, bf16: 16, fp32: 32})[bits] ?? Number(bits);
/** "W4 A8"; "W4" where all inputs stay float; "fp32" of a layer that does as a whole. */
const bitsText = key => key === 'fp32/fp32' ? 'fp32' : `W${weightOf(key)}${model().quantizesInputs
  ? ` A${activationOf(key)}` : ''}`;

/** One run: layers, candidates with loss and cost, named configurations, frontiers. */
class Model {
  constructor(run) {
    this.title = run.title;
    this.facts = run.facts;
    this.files = run.files;
    const config = this.files['config_1.json'] || this.files['config_goal.json'];
    this.tables = {};
    for (const [name, text] of Object.entries(this.files)) {
      if (name.endsWith('.csv')) this.tables[name] = parseCsv(text);
    }
    const sensitivity = this.tables['sensitivity.csv'];
    this.layers = config ? config.layers.map(l => l.name)
      : [...new Set((sensitivity ? sensitivity.rows : []).map(r => r.layer))];
    this.index = new Map(this.layers.map((name, l) => [name, l]));
    this.choices = this.layers.map(() => new Map());
    for (const row of sensitivity ? sensitivity.rows : []) {
      const l = this.index.get(row.layer);
      if (l === undefined) continue;
      this.choices[l].set(keyOf(row), {loss: Number(row.loss_increase),
        error: row.standard_error === undefined || row.standard_error === '' ? null
          : Number(row.standard_error)});
    }
    this.readCosts();
    this.readConfigs();
    this.quantizesInputs = this.choices.some(c => [...c.keys()].some(k => activationOf(k) !== 'fp32'))
      || this.budgets.some(b => b.keys.some(k => activationOf(k) !== 'fp32'));
    this.frontiers = Object.keys(this.files).filter(n => n.startsWith('frontier_')).map(name => {
      const file = this.files[name];
      return {file, resource: name.slice('frontier_'.length, -'.json'.length),
        points: file.points, layers: file.layers, choices: file.choices};
    });
    this.info = new Map((this.tables['layers.csv'] ? this.tables['layers.csv'].rows : [])
      .map(row => [row.layer, row]));
  }

  readCosts() {
    this.costs = this.layers.map(() => new Map());
    this.resources = [];
    for (const name of ['latency.csv', 'costs.csv']) {
      const table = this.tables[name];
      if (!table) continue;
      const columns = table.header.slice(3).filter(c => c !== 'samples' && !c.startsWith('stddev'));
      this.resources.push(...columns);
      for (const row of table.rows) {
        const l = this.index.get(row.layer);
        if (l === undefined) continue;
        const entry = this.costs[l].get(keyOf(row)) || {};
        for (const column of columns) entry[column] = Number(row[column]);
        this.costs[l].set(keyOf(row), entry);
      }
    }
    this.fixedLatency = Number((this.tables['latency.csv'] || {comments: {}})
      .comments.fixed_latency_us || 0);
    this.lookups = (this.tables['latency.csv'] || {comments: {}}).comments.lookups;
    this.transitions = new Map();
    for (const row of (this.tables['transitions.csv'] || {rows: []}).rows) {
      const consumer = this.index.get(row.consumer);
      if (!this.transitions.has(consumer)) this.transitions.set(consumer, []);
      this.transitions.get(consumer).push({producer: this.index.get(row.producer),
        from: row.from_bits, to: row.to_bits, latency_us: Number(row.latency_us || 0)});
    }
  }

  /** Cost of a layer's own work under a choice; undefined where no table says. */
  cost(resource, l, key) { return (this.costs[l].get(key) || {})[resource]; }

  /** Requantizations in front of a layer under a configuration. */
  edgesInto(l, keys) {
    return (this.transitions.get(l) || []).filter(e => e.latency_us !== 0 &&
      e.from === activationOf(keys[e.producer]) && e.to === activationOf(keys[l]));
  }

  /** Whole cost of a configuration; undefined where a table lacks an entry. */
  total(resource, keys) {
    let sum = resource === 'latency_us' ? this.fixedLatency : 0;
    for (let l = 0; l < keys.length; ++l) {
      sum += this.cost(resource, l, keys[l]);
      if (resource === 'latency_us') {
        for (const edge of this.edgesInto(l, keys)) sum += edge.latency_us;
      }
    }
    return Number.isFinite(sum) ? sum : undefined;
  }

  /** Predicted loss and its standard error; float layers that no table lists add nothing. */
  loss(keys) {
    let loss = 0, variance = 0;
    for (let l = 0; l < keys.length; ++l) {
      const entry = this.choices[l].get(keys[l]) || {loss: 0, error: 0};
      loss += entry.loss;
      variance += (entry.error || 0) ** 2;
    }
    return {loss, error: Math.sqrt(variance)};
  }

  meanWeightBits(keys) {
    let bits = 0, parameters = 0;
    keys.forEach((key, l) => {
      const n = Number((this.info.get(this.layers[l]) || {}).parameters || 1);
      bits += n * widthOf(weightOf(key));
      parameters += n;
    });
    return bits / parameters;
  }

  /** Configurations by name: what was chosen for each budget, and every line beside it. */
  readConfigs() {
    this.budgets = this.facts.budgets.map((fact, b) => {
      const config = this.files[fact.config];
      const lines = [];
      const refined = this.files['refined.json'];
      for (const line of refined ? refined.budgets[b].lines : []) {
        line.configs.forEach((text, i) => lines.push({line: line.name,
          name: line.configs.length > 1 ? `${line.name} ${i + 1}` : line.name, note: line.note,
          keys: text.split(',')}));
      }
      return {fact, name: fact.name, config, lines, keys: config.layers.map(keyOf),
        solution: this.files[`solution_${b + 1}.json`],
        explanation: this.files[`explanation_${b + 1}.json`]};
    });
    const goal = this.files['config_goal.json'];
    if (this.budgets.length === 0 && goal) {
      this.budgets.push({fact: this.facts.goal, name: 'goal',
        config: goal, lines: [], keys: goal.layers.map(keyOf)});
    }
  }

  /** The keys of a frontier's point, in this.layers' order. */
  keysOfPoint(frontier, point) {
    const keys = new Array(this.layers.length);
    point.choice.forEach((c, l) => {
      const [w, a] = frontier.choices[l][c];
      keys[this.index.get(frontier.layers[l])] = `${w}/${a}`;
    });
    return keys;
  }
}

/** Units: a resource's value for people. */
function amount(resource, value) {
  if (value === undefined || value === null || !Number.isFinite(value)) return '–';
  const scaled = (v, unit) => {
    const prefixes = ['', 'k', 'M', 'G', 'T'];
    let p = 0;
    while (Math.abs(v) >= 1000 && p < prefixes.length - 1) { v /= 1000; ++p; }
    return `${significant(v, 4)} ${prefixes[p]}${unit}`;
  };
  switch (resource) {
    case 'size_bits': return scaled(value / 8, 'B');
    case 'size_bytes': return scaled(value, 'B');
    case 'parameter_bits': return scaled(value / 8, 'B');
    case 'bops': return scaled(value, 'BOPs');
    case 'latency_us':
      return Math.abs(value) >= 1000 ? `${significant(value / 1000, 4)} ms`
        : `${significant(value, 4)} µs`;
    default: return `${significant(value, 5)} ${resource}`;
  }
}
function resourceName(resource) {
  return ({size_bits: 'size', size_bytes: 'size', bops: 'bit operations', latency_us: 'latency',
    parameter_bits: 'weights'})[resource] || resource;
}
/** A number with so many significant digits, without trailing zeros or exponents in daily sizes. */
function significant(value, digits) {
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size < 1e-4 || size >= 1e6) return value.toExponential(digits - 1).replace(/\.?0+e/, 'e');
  return String(Number(value.toPrecision(digits)));
}
const nats = value => value === null || value === undefined ? '–' : significant(value, 3);
/** A loss with its standard error, both to the digits that the error leaves. */
function natsPair(value, error) {
  if (!error) return nats(value);
  if (Math.abs(value) < 1e-4) return `${nats(value)} ± ${significant(error, 2)}`;
  const digits = Math.min(7, Math.max(0, 1 - Math.floor(Math.log10(error))));
  return `${value.toFixed(digits)} ± ${error.toFixed(digits)}`;
}
const percent = (value, digits = 2) => value === null || value === undefined ? '–'
  : value.toFixed(digits);
const signed = (value, digits) => (value < 0 ? '−' : '+') + Math.abs(value).toFixed(digits);

const models = page.runs.map(run => new Model(run));
/** What the reader looks at; sections register in `watchers` and are told of every change. */
const state = {run: models.length - 1, budget: 0, selected: null, window: null};
const watchers = [];
const model = () => models[state.run];
const budget = () => model().budgets[state.budget];
function update(change) {
  Object.assign(state, change);
  for (const watcher of watchers) watcher(change);
}
