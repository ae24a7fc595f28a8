// Puts the sections in the order in which a reader asks, and draws them again when something is
// picked or the window changes. A section that fails says so and leaves the others alone.

// Identity, heading, name in the contents, question, what draws it, and when there is such a section.
const kSections = [
  ['compare', 'Two runs', 'Two runs', 'What differs, and is it more than noise?', drawComparison,
    () => models.length > 1],
  ['summary', 'Summary', 'Summary', null, drawSummary],
  ['results', 'Results', 'Results', 'The choice beside what one would do without a search.',
    drawResults],
  ['frontier', 'Frontier', 'Frontier', 'What is the least loss for a given cost, and what would be '
    + 'chosen there?', drawFrontier],
  ['bits', 'Bits along the depth', 'Bits', 'Which layers are given many bits, which few?', drawBits],
  ['why', 'Why these bits', 'Why', 'What does each layer lose, and what was the alternative?',
    drawWhy],
  ['sensitivity', 'Sensitivity', 'Sensitivity', 'How much would each choice of each layer cost, and '
    + 'how well is that known?', drawSensitivity],
  ['waterfall', 'Where the cost comes from', 'Cost', 'Layer by layer, conversions between formats '
    + 'included.', drawWaterfall],
  ['network', 'Network', 'Network', 'Where in the network are the bits?', drawNetwork],
  ['measured', 'Predicted and measured', 'Measured', 'Are the predictions that the search rests on '
    + 'right?', drawMeasured],
  ['deployment', 'Deployment', 'Deployment', 'Does the runtime do what the table predicts?',
    drawDeployment],
  ['training', 'Learning', 'Learning', 'How did the search by gradients and the training go?',
    drawTraining],
  ['transfer', 'Predictor', 'Predictor', 'How many expensive measurements does the predictor need?',
    drawTransfer],
];

const drawn = kSections.filter(([, , , , , wanted]) => !wanted || wanted())
  .map(([id, title, short, lead, draw]) => ({id, draw, body: section(id, title, short, lead)}));

function draw({body, draw: work}) {
  body.parentElement.classList.remove('is-absent');
  const link = document.querySelector(`#contents a[href="#${body.parentElement.id}"]`);
  link.classList.remove('is-absent');
  try {
    work(body);
  } catch (failure) {
    console.error(failure);
    body.replaceChildren(h('p', {class: 'absent'}, `This section could not be drawn (${failure}).`));
  }
}

function drawAll() {
  hideTip();
  drawHead();
  drawn.forEach(draw);
}

const kFollowSelection = ['frontier', 'bits', 'waterfall', 'network'];
watchers.push(change => {
  if ('run' in change || 'budget' in change) return drawAll();
  const ids = 'selected' in change ? kFollowSelection : drawn.map(s => s.id);
  // Drawing anew would take the slider out of the hand that moves it.
  const focus = document.activeElement && document.activeElement.id;
  drawn.filter(s => ids.includes(s.id)).forEach(draw);
  if (focus && document.getElementById(focus)) document.getElementById(focus).focus();
});

let width = window.innerWidth, waiting = 0;
window.addEventListener('resize', () => {
  if (window.innerWidth === width) return;
  width = window.innerWidth;
  clearTimeout(waiting);
  waiting = setTimeout(drawAll, 150);
});
window.addEventListener('scroll', hideTip, {passive: true});
document.body.append(h('footer', {}, 'Written by bitsearch report. This page is complete: it loads '
  + 'nothing and sends nothing.', canPlot ? ` Plots: D3 ${d3.version} (ISC licence).` : ''));
drawAll();
document.documentElement.dataset.ready = 'yes';
