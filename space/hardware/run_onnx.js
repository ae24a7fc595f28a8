// Runs an ONNX model in ONNX Runtime for bitsearch (space/hardware/onnx_runtime.cc): reads a request
// (JSON file, first argument), writes the outputs as raw float32 files and the rest to standard output.
'use strict';
const fs = require('fs');
const path = require('path');

function loadRuntime() {
  const folder = process.env.BITSEARCH_RUNTIME_MODULES;
  const name = folder ? path.join(folder, 'onnxruntime-node') : 'onnxruntime-node';
  try {
    return require(name);
  } catch (error) {
    console.error(`onnxruntime-node cannot be loaded: ${String(error.message).split('\n')[0]}`);
    process.exit(3);
  }
}

function sessionOptions(request) {
  const session = {};
  if (request.fusion === false) session.disable_quant_qdq = '1';
  const options = {
    executionProviders: ['cpu'],
    graphOptimizationLevel: request.level,
    intraOpNumThreads: request.threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    extra: {session},
  };
  if (request.optimized_model) options.optimizedModelFilePath = request.optimized_model;
  if (request.profile_prefix) {
    options.enableProfiling = true;
    options.profileFilePrefix = request.profile_prefix;
  }
  return options;
}

// Batch `index` of every input: each file holds the batches one behind the other.
function feedsOf(ort, request, files, index) {
  const feeds = {};
  for (const input of request.inputs) {
    const count = input.shape.reduce((a, b) => a * b, 1);
    const bytes = Buffer.alloc(count * 4);
    fs.readSync(files[input.name], bytes, 0, bytes.length, index * bytes.length);
    const values = new Float32Array(bytes.buffer, bytes.byteOffset, count);
    feeds[input.name] = new ort.Tensor('float32', values, input.shape);
  }
  return feeds;
}

// Without a model only the versions are told.
async function run(request) {
  const ort = loadRuntime();
  const answer = {runtime: 'onnxruntime-node', version: ort.env.versions.node ?? ort.env.versions.common,
                  seconds: [], outputs: []};
  if (request.model) await runModel(ort, request, answer);
  process.stdout.write(JSON.stringify(answer) + '\n');
}

async function runModel(ort, request, answer) {
  const session = await ort.InferenceSession.create(request.model, sessionOptions(request));
  const wanted = request.outputs.length > 0 ? request.outputs : [...session.outputNames];
  const files = {};
  for (const input of request.inputs) files[input.name] = fs.openSync(input.file, 'r');
  const sinks = wanted.map(
      (name, i) => fs.openSync(path.join(request.output_folder, `output_${i}.f32`), 'w'));
  for (let b = 0; b < request.batches; ++b) {
    const results = await session.run(feedsOf(ort, request, files, b), wanted);
    wanted.forEach((name, i) => {
      const data = Float32Array.from(results[name].data, Number);
      fs.writeSync(sinks[i], new Uint8Array(data.buffer));
      if (b === 0) answer.outputs.push({name, shape: [...results[name].dims]});
    });
  }
  if (request.repetitions > 0) {
    const feeds = feedsOf(ort, request, files, 0);
    for (let i = 0; i < request.warm_up; ++i) await session.run(feeds, wanted);
    for (let i = 0; i < request.repetitions; ++i) {
      const start = process.hrtime.bigint();
      await session.run(feeds, wanted);
      answer.seconds.push(Number(process.hrtime.bigint() - start) * 1e-9);
    }
  }
  if (request.profile_prefix) session.endProfiling();
  await session.release();
}

run(JSON.parse(fs.readFileSync(process.argv[2], 'utf8'))).catch((error) => {
  console.error(String(error.message ?? error));
  process.exit(4);
});
