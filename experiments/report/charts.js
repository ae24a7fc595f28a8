// What the plots share: elements, frames with axes, the tooltip, colours of bits, the window onto
// a deep network.

/** An element: attributes, then children (text or elements). */
function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value === true ? '' : value);
    }
  }
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined) element.append(child);
  }
  return element;
}

/** Few bits are warm, many are cold, float is grey: told apart in both themes and in grey print. */
const kBitColors = {ternary: '#8c2d4f', 1: '#8c2d4f', 2: '#d1495b', 3: '#ec7d33', 4: '#e9b527',
  5: '#93b23a', 6: '#3aa17e', 7: '#2a93b5', 8: '#3577c9', fp16: '#7d6bb8', bf16: '#7d6bb8',
  fp32: '#8a94a3', 32: '#8a94a3', 0: '#c8cdd4'};
const bitColor = bits => kBitColors[bits] || '#5b52a8';
/** Ink that can be read on a bit's colour. */
const bitInk = bits => ['3', '4', '5', '0'].includes(String(bits)) ? '#1d1d1f' : '#ffffff';

/** A legend of the weight bits that occur in `keys`. */
function bitLegend(keysLists, of = weightOf) {
  const bits = [...new Set(keysLists.flat().map(of))].sort((a, b) => widthOf(a) - widthOf(b));
  return h('p', {class: 'legend'}, bits.map(b => [h('span', {class: 'swatch',
    style: `background:${bitColor(b)}`}), h('span', {},
    b === '0' ? 'skipped' : /^\d/.test(b) ? `${b} bit` : b)]).flat());
}

/** The network as one strip of coloured cells; `other` marks where two configurations differ. */
function bitStrip(keys, names, {other = null, id = null, of = weightOf} = {}) {
  const strip = h('div', {class: 'strip' + (keys.length > 60 ? ' dense' : ''), id,
    role: 'img', 'aria-label': `bits of ${keys.length} layers`});
  keys.forEach((key, l) => {
    const bits = of(key);
    const cell = h('span', {'data-layer': names[l], 'data-bits': key,
      class: other && other[l] !== key ? 'differs' : '',
      style: `background:${bitColor(bits)};color:${bitInk(bits)}`},
    keys.length > 60 ? null : bits.replace('fp', 'f'));
    cell.addEventListener('pointerenter', event => tip(event, [names[l], bitsText(key),
      other && other[l] !== key ? `instead of ${bitsText(other[l])}` : null]));
    cell.addEventListener('pointerleave', hideTip);
    strip.append(cell);
  });
  return strip;
}

/** Shows lines of text beside the pointer; the first is the heading. */
function tip(event, lines) {
  const box = document.getElementById('tooltip');
  box.replaceChildren(...lines.filter(line => line !== null && line !== undefined)
    .map((line, i) => h(i === 0 ? 'b' : 'div', {}, line)));
  box.hidden = false;
  const margin = 12;
  const x = Math.min(event.clientX + margin, window.innerWidth - box.offsetWidth - margin);
  const below = event.clientY + margin;
  const y = below + box.offsetHeight > window.innerHeight ? event.clientY - box.offsetHeight - margin
    : below;
  box.style.left = `${Math.max(4, x)}px`;
  box.style.top = `${Math.max(4, y)}px`;
}
function hideTip() { document.getElementById('tooltip').hidden = true; }

/** A section with its heading and the question that it answers; `short` stands in the contents. */
function section(id, title, short, lead) {
  const body = h('div', {class: 'body'});
  const element = h('section', {id}, h('h2', {}, title), lead ? h('p', {class: 'lead'}, lead) : null,
    body);
  document.getElementById('page').append(element);
  document.getElementById('contents').append(h('a', {href: `#${id}`}, short));
  return body;
}
/** Why a section is empty, in a line. */
function absent(body, reason) {
  body.replaceChildren(h('p', {class: 'absent'}, reason));
  body.parentElement.classList.add('is-absent');
  const link = document.querySelector(`#contents a[href="#${body.parentElement.id}"]`);
  if (link) link.classList.add('is-absent');
}
/** True where plots cannot be drawn; says so. */
function withoutPlots(body) {
  if (canPlot) return false;
  absent(body, 'No plot: this bitsearch was built without D3 (Debian’s node-d3). The tables have ' +
    'the numbers.');
  return true;
}

/** An SVG that fills its parent's width: {svg, plot, width, height}; plot is inside the margins. */
function frame(parent, {height, left = 56, right = 12, top = 26, bottom = 38, label}) {
  const full = Math.max(280, Math.min(parent.clientWidth || 680, 1100));
  const svg = d3.create('svg').attr('viewBox', `0 0 ${full} ${height}`).attr('role', 'img')
    .attr('aria-label', label).attr('class', 'plot');
  parent.append(svg.node());
  return {svg, plot: svg.append('g').attr('transform', `translate(${left},${top})`),
    width: full - left - right, height: height - top - bottom, left, full};
}

/** Axes with light grid lines. `xTitle` below, `yTitle` above the left axis. */
function axes(chart, x, y, {xTitle, yTitle, xTicks, yTicks, xFormat, yFormat, xValues,
  grid = true}) {
  const {plot, width, height, left: margin} = chart;
  const bottom = d3.axisBottom(x).ticks(xTicks ?? Math.max(3, width / 90), xFormat).tickSizeOuter(0);
  const left = d3.axisLeft(y).ticks(yTicks ?? 5, yFormat).tickSizeOuter(0);
  if (xValues) bottom.tickValues(xValues);
  if (typeof xFormat === 'function') bottom.tickFormat(xFormat);
  if (typeof yFormat === 'function') left.tickFormat(yFormat);
  for (const [axis, scale] of [[bottom, x], [left, y]]) {
    if (scale.logarithmic) axis.tickValues(lossTicks(scale)).tickFormat(v => significant(v, 2));
  }
  if (grid) {
    const lines = d3.axisLeft(y).ticks(yTicks ?? 5).tickSize(-width).tickFormat('');
    if (y.logarithmic) lines.tickValues(lossTicks(y));
    plot.append('g').attr('class', 'grid').call(lines).select('.domain').remove();
  }
  plot.append('g').attr('class', 'axis').attr('transform', `translate(0,${height})`).call(bottom);
  plot.append('g').attr('class', 'axis').call(left).select('.domain').remove();
  if (xTitle) {
    plot.append('text').attr('class', 'title').attr('x', width).attr('y', height + 33)
      .attr('text-anchor', 'end').text(xTitle);
  }
  if (yTitle) {
    plot.append('text').attr('class', 'title').attr('x', 4 - margin).attr('y', -11).text(yTitle);
  }
}

/** A scale of a resource whose ticks are round in the unit that is shown: [scale, format]. */
function resourceScale(resource, extent, width) {
  const bits = resource.endsWith('_bits');
  const factor = bits ? 1 / 8 : 1;
  const shown = d3.scaleLinear().domain(extent.map(v => v * factor)).nice().range([0, width]);
  const scale = Object.assign(value => shown(value * factor), {
    ticks: (...n) => shown.ticks(...n).map(v => v / factor), range: () => shown.range(),
    domain: () => shown.domain().map(v => v / factor), copy: () => scale});
  return [scale, value => amount(resource, value)];
}

/** Log scale of what is positive; linear where it is not or spans little. */
function lossScale(values, range) {
  const positive = values.filter(v => v > 0);
  const least = d3.min(positive), most = d3.max(values);
  if (positive.length > values.length / 2 && most > 8 * least) {
    // A loss of zero (float) stands on the axis.
    return Object.assign(d3.scaleLog().domain([least * 0.8, most * 1.25]).range(range).clamp(true),
      {logarithmic: true});
  }
  const low = Math.min(0, d3.min(values) ?? 0);
  return Object.assign(d3.scaleLinear().domain([low, (most || 1) * 1.08]).nice().range(range),
    {logarithmic: false});
}
/** Ticks of a logarithmic axis: powers of ten, with 2 and 5 between them where there is room. */
function lossTicks(scale) {
  const [low, high] = scale.domain();
  const decades = Math.log10(high / low);
  const leads = decades < 2.2 ? [1, 2, 5] : [1];
  const ticks = [];
  for (let e = Math.floor(Math.log10(low)); e <= Math.log10(high); ++e) {
    for (const lead of leads) {
      const tick = Number(`${lead}e${e}`);
      if (tick >= low && tick <= high) ticks.push(tick);
    }
  }
  return ticks;
}

const kDeep = 80;  // from this many layers on, plots along the depth have a window
/** The layers in view: [first, last). */
const inView = () => state.window || [0, model().layers.length];

/** x positions of the layers in view, with an axis of names (or numbers where they are many). */
function depthScale(width) {
  const [first, last] = inView();
  const band = width / (last - first);
  return {first, last, band, x: l => (l - first) * band, at: position =>
    Math.max(first, Math.min(last - 1, first + Math.floor(position / band)))};
}
function depthAxis(chart, depth) {
  const {plot, height} = chart;
  const names = model().layers;
  const axis = plot.append('g').attr('class', 'axis').attr('transform', `translate(0,${height})`);
  axis.append('path').attr('class', 'domain').attr('d', `M0 0H${chart.width}`);
  const step = Math.max(1, Math.ceil(15 / depth.band));
  for (let l = depth.first; l < depth.last; l += step) {
    const name = names[l];
    axis.append('text').attr('class', 'layer').attr('transform',
      `translate(${depth.x(l) + depth.band / 2 + 4},8) rotate(-52)`).attr('text-anchor', 'end')
      .text(name.length > 17 ? `…${name.slice(-16)}` : name);
  }
}
const kDepthBottom = 84;  // room for slanted names

/** Calls `lines(layer)` for the tooltip of whatever layer the pointer is over. */
function depthHover(chart, depth, lines) {
  const mark = chart.plot.append('rect').attr('class', 'hover').attr('y', 0)
    .attr('height', chart.height).attr('width', Math.max(1, depth.band)).style('display', 'none');
  chart.plot.append('rect').attr('class', 'catcher').attr('width', chart.width)
    .attr('height', chart.height)
    .on('pointermove pointerdown', () => {
      const event = d3.event;
      const l = depth.at(d3.mouse(chart.plot.node())[0]);
      mark.style('display', null).attr('x', depth.x(l));
      tip(event, lines(l));
    })
    .on('pointerleave', () => { mark.style('display', 'none'); hideTip(); });
}

/** One path for many rectangles: a thousand layers stay fast. */
const rectangle = (x, y, width, height) => `M${x} ${y}h${width}v${height}h${-width}z`;

/** The overview with a brush by which a reader narrows plots along the depth. */
function depthOverview(parent) {
  const count = model().layers.length;
  if (count <= kDeep) return;
  const chart = frame(parent, {height: 46, top: 4, bottom: 18, label: 'Layers in view'});
  const band = chart.width / count;
  const byBits = groupBy(budget().keys.map((key, l) => [l, weightOf(key)]), d => d[1]);
  for (const [bits, cells] of byBits) {
    chart.plot.append('path').attr('fill', bitColor(bits))
      .attr('d', cells.map(([l]) => rectangle(l * band, 0, band, chart.height)).join(''));
  }
  const brush = d3.brushX().extent([[0, 0], [chart.width, chart.height]]).on('end', () => {
    if (!d3.event.sourceEvent) return;
    const selection = d3.event.selection;
    update({window: selection ? [Math.floor(selection[0] / band),
      Math.min(count, Math.max(Math.floor(selection[0] / band) + 3,
        Math.ceil(selection[1] / band)))] : null});
  });
  const group = chart.plot.append('g').attr('class', 'brush').call(brush);
  if (state.window) group.call(brush.move, state.window.map(l => l * band));
  chart.plot.append('text').attr('class', 'title').attr('y', chart.height + 14)
    .text(state.window ? `layers ${state.window[0] + 1} to ${state.window[1]} of ${count}; click ` +
      'beside the window to see all' : `${count} layers: drag to look closer`);
}

/** Items by a key, in the order of first appearance. */
function groupBy(items, key) {
  const groups = new Map();
  for (const item of items) {
    const k = key(item);
    if (!groups.has(k)) groups.set(k, []);
    groups.get(k).push(item);
  }
  return groups;
}

/** A row of buttons of which one is pressed. */
function choice(options, current, choose, label) {
  return h('div', {class: 'choice', role: 'group', 'aria-label': label},
    options.map(([value, text]) => h('button', {type: 'button', 'aria-pressed':
      String(value === current), onclick: () => choose(value)}, text)));
}

/** A table whose columns sort on a click: columns [{title, value, cell, text, number}]. */
function sortableTable(rows, columns, {shown = Infinity, sort = null, descending = true} = {}) {
  const table = h('table', {class: 'sortable'});
  let all = shown >= rows.length, by = sort, down = descending;
  const render = () => {
    const ordered = [...rows];
    if (by !== null) {
      const value = columns[by].value;
      ordered.sort((a, b) => {
        const [x, y] = [value(a), value(b)];
        const order = typeof x === 'string' ? x.localeCompare(y) : (x ?? -Infinity) - (y ?? -Infinity);
        return down ? -order : order;
      });
    }
    table.replaceChildren(
      h('thead', {}, h('tr', {}, columns.map((column, i) => h('th', {class: column.number ? 'number'
        : '', 'aria-sort': by === i ? (down ? 'descending' : 'ascending') : 'none'},
      h('button', {type: 'button', onclick: () => {
        [down, by] = [by === i ? !down : column.number === true, i];
        render();
      }}, column.title))))),
      h('tbody', {}, ordered.slice(0, all ? ordered.length : shown).map(row =>
        h('tr', {}, columns.map(column => h('td', {class: column.number ? 'number' : ''},
          column.cell ? column.cell(row) : column.text(row)))))));
  };
  render();
  const wrap = h('div', {class: 'scroll'}, table);
  if (all) return wrap;
  const more = h('button', {type: 'button', class: 'more', onclick: () => {
    all = true; more.remove(); render();
  }}, `show all ${rows.length} layers`);
  return h('div', {}, wrap, more);
}
