// The network as a graph: layers coloured by their bits in the order of execution, row by row, with
// arcs for what skips ahead. Grows with the number of layers, not with its square.

function drawNetwork(body) {
  const file = model().files['network.json'];
  if (!file) {
    return absent(body, 'No graph: the run has no network.json (bitsearch run … --resume writes it).');
  }
  if (!budget()) return absent(body, 'Nothing is chosen yet.');
  if (withoutPlots(body)) return;
  const keys = state.selected ? state.selected.keys : budget().keys;
  const box = h('div', {class: 'plot-box'});
  body.replaceChildren(box);
  const count = file.nodes.length;
  const small = count > 160;
  const cell = small ? {w: 15, h: 24, box: 11} : {w: 54, h: 62, box: 40};
  const full = Math.max(280, Math.min(box.clientWidth || 680, 1100));
  const perRow = Math.max(4, Math.floor((full - 12) / cell.w));
  const rows = Math.ceil(count / perRow);
  const chart = frame(box, {height: rows * cell.h + 16, left: 6, right: 6, top: 10, bottom: 6,
    label: `Graph of ${count} nodes coloured by weight bits`});
  // Every other row runs backwards, so that neighbours stay neighbours.
  const place = n => {
    const r = Math.floor(n / perRow), c = n % perRow;
    return {x: (r % 2 ? perRow - 1 - c : c) * cell.w + cell.w / 2,
      y: r * cell.h + cell.h - cell.box / 2 - 4, r};
  };
  let straight = '', arcs = '';
  for (const [from, to] of file.edges) {
    const a = place(from), b = place(to);
    if (to === from + 1) straight += `M${a.x} ${a.y}L${b.x} ${b.y}`;
    else if (a.r === b.r) {
      const lift = Math.min(cell.h - cell.box * 0.5, 8 + Math.abs(b.x - a.x) * 0.12);
      const top = a.y - cell.box / 2;
      arcs += `M${a.x} ${top}C${a.x} ${top - lift} ${b.x} ${top - lift} ${b.x} ${top}`;
    } else {
      const bend = (a.r % 2 ? -1 : 1) * cell.w * 0.8;
      arcs += `M${a.x} ${a.y}C${a.x + bend} ${a.y} ${b.x + bend} ${b.y} ${b.x} ${b.y}`;
    }
  }
  chart.plot.append('path').attr('class', 'graph-edge').attr('d', straight);
  chart.plot.append('path').attr('class', 'graph-edge arc').attr('d', arcs);
  const lines = node => node.layer === null ? [node.name, node.op]
    : [node.name, node.op, bitsText(keys[node.layer]),
      ...(model().info.get(node.name) ? [`${Number(model().info.get(node.name).parameters)
        .toLocaleString('en')} parameters`] : [])];
  const nodes = chart.plot.append('g').selectAll('g').data(file.nodes).enter().append('g')
    .attr('class', 'graph-node').attr('data-layer', n => n.layer)
    .attr('transform', (n, i) => `translate(${place(i).x},${place(i).y})`)
    .on('pointerenter', n => tip(d3.event, lines(n))).on('pointerleave', hideTip);
  const half = cell.box / 2;
  nodes.filter(n => n.layer !== null).append('rect').attr('x', -half).attr('y', -half)
    .attr('width', cell.box).attr('height', cell.box).attr('rx', small ? 2 : 7)
    .attr('fill', n => bitColor(weightOf(keys[n.layer])));
  nodes.filter(n => n.layer === null).append('circle').attr('class', 'join')
    .attr('r', small ? 3.5 : 10);
  if (!small) {
    const layers = nodes.filter(n => n.layer !== null);
    const uniform = new Set(keys.map(activationOf)).size === 1;
    layers.append('text').attr('class', 'bits').attr('dy', uniform ? '.35em' : '-.1em')
      .style('fill', n => bitInk(weightOf(keys[n.layer]))).text(n => weightOf(keys[n.layer]));
    if (!uniform) {
      layers.append('text').attr('class', 'bits small').attr('dy', '1.15em')
        .style('fill', n => bitInk(weightOf(keys[n.layer])))
        .text(n => `A${activationOf(keys[n.layer])}`);
    }
    nodes.filter(n => n.layer === null).append('text').attr('class', 'join-label').attr('dy', '.35em')
      .text(n => n.op === 'Add' ? '+' : n.op === 'Mul' ? '×' : n.op === 'Concat' ? '∥' : '•');
  }
  body.append(bitLegend([keys]), h('p', {class: 'dim'}, `Weight bits of ${state.selected
    ? state.selected.name : 'the choice'}, in the order of execution; circles join tensors. Rows `
    + 'run to and fro.'));
}
