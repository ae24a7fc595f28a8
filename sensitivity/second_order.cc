#include "sensitivity/second_order.h"

#include <algorithm>
#include <set>

#include "sensitivity/curvature_torch.h"
#include "space/network/thread_budget_torch.h"
#include "space/quantizer/quantized_network_torch.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

constexpr NumberFormat kFloat = NumberFormat::Float32();

// Per record.
at::Tensor LossOf(const at::Tensor& logits, const at::Tensor& labels, ExpansionTarget target) {
  const at::Tensor log_q = at::log_softmax(logits, 1);
  if (target == ExpansionTarget::kLabels) return -log_q.gather(1, labels.unsqueeze(1)).squeeze(1);
  const at::Tensor p = log_q.detach().exp();
  return -(p * log_q).sum(1);
}

// Puts a variable in the place of one node's output.
class OutputVariableHooks : public ExecutionHooks {
 public:
  explicit OutputVariableHooks(NodeIndex node) : node_(node) {}
  at::Tensor OnOutput(NodeIndex node, std::size_t, at::Tensor value) override {
    if (node != node_) return value;
    variable = value.detach().requires_grad_(true);
    return variable;
  }
  at::Tensor variable;

 private:
  NodeIndex node_;
};

// Keeps one node's output and stops caring about the rest.
class CaptureHooks : public ExecutionHooks {
 public:
  CaptureHooks(QuantizationHooks& inner, NodeIndex node) : inner_(inner), node_(node) {}
  at::Tensor OnInput(NodeIndex node, std::size_t slot, at::Tensor value) override {
    return inner_.OnInput(node, slot, std::move(value));
  }
  at::Tensor OnConstant(NodeIndex node, std::size_t slot, at::Tensor value) override {
    return inner_.OnConstant(node, slot, std::move(value));
  }
  at::Tensor OnOutput(NodeIndex node, std::size_t slot, at::Tensor value) override {
    value = inner_.OnOutput(node, slot, std::move(value));
    if (node == node_) output = value;
    return value;
  }
  at::Tensor output;

 private:
  QuantizationHooks& inner_;
  NodeIndex node_;
};

struct Terms {
  std::vector<double> first;
  std::vector<double> second;
};

void Store(const at::Tensor& values, std::vector<double>& target, std::int64_t first) {
  const at::Tensor dense = values.to(at::kCPU).contiguous();
  std::copy_n(dense.data_ptr<double>(), dense.numel(), target.begin() + first);
}

class Expansion {
 public:
  Expansion(const CalibratedNetwork& network, const Dataset& data,
            const SecondOrderOptions& options, const RunContext& context)
      : network_(network), batches_(network.network(), data, options.batch_size), data_(data),
        options_(options), context_(context) {}

  std::vector<SecondOrderRow> Run(LayerIndex layer, const std::vector<BitChoice>& choices) const {
    const NodeIndex node = network_.graph().layer(layer).node;
    std::vector<QuantizationHooks> hooks(choices.size());
    ForEachOnOneThread(context_, static_cast<std::int64_t>(choices.size()), [&](std::int64_t c) {
      BitConfig config =
          BitConfig::Uniform(network_.graph().layers().size(), BitChoice{kFloat, kFloat});
      config.choices[layer.value] = choices[static_cast<std::size_t>(c)];
      hooks[static_cast<std::size_t>(c)] = PrepareQuantization(network_, config);
    });
    const auto samples = static_cast<std::size_t>(data_.size());
    std::vector<Terms> terms(choices.size(),
                             {std::vector<double>(samples), std::vector<double>(samples)});
    ForEachOnOneThread(context_, batches_.count(), [&](std::int64_t batch) {
      RunBatch(node, batch, hooks, terms);
    }, /*with_gradients=*/true);
    std::vector<SecondOrderRow> rows;
    for (std::size_t c = 0; c < choices.size(); ++c) {
      std::vector<double> sum(samples);
      for (std::size_t n = 0; n < samples; ++n) sum[n] = terms[c].first[n] + terms[c].second[n];
      rows.push_back({layer, choices[c], MeanOf(terms[c].first), MeanOf(terms[c].second),
                      MeanOf(sum)});
    }
    return rows;
  }

 private:
  void RunBatch(NodeIndex node, std::int64_t batch, std::vector<QuantizationHooks>& hooks,
                std::vector<Terms>& terms) const {
    const Network& network = network_.network();
    const LabelledBatch data = batches_.Load(batch);
    ExecutionState prefix = network.Start({data.images});
    {
      const at::NoGradGuard no_grad;
      network.Advance(prefix, node.value);
    }
    OutputVariableHooks variable(node);
    ExecutionState run = prefix;
    network.Advance(run, network.step_count(), &variable);
    const at::Tensor loss =
        LossOf(network.Output(run), data.labels, options_.target).sum();
    const at::Tensor gradient = torch::autograd::grad({loss}, {variable.variable}, {},
                                                      /*retain_graph=*/true,
                                                      /*create_graph=*/true)[0];
    const std::int64_t first = batch * options_.batch_size;
    for (std::size_t c = 0; c < hooks.size(); ++c) {
      at::Tensor change;
      {
        const at::NoGradGuard no_grad;
        CaptureHooks capture(hooks[c], node);
        ExecutionState one = prefix;
        network.Advance(one, node.value + 1, &capture);
        change = capture.output - variable.variable;
      }
      at::Tensor product = torch::autograd::grad({gradient}, {variable.variable}, {change},
                                                 /*retain_graph=*/true, /*create_graph=*/false,
                                                 /*allow_unused=*/true)[0];
      if (!product.defined()) product = at::zeros_like(change);
      const at::NoGradGuard no_grad;
      const auto per_record = [](const at::Tensor& values) {
        return values.flatten(1).sum(1, /*keepdim=*/false, at::kDouble);
      };
      Store(per_record(gradient * change), terms[c].first, first);
      Store(0.5 * per_record(product * change), terms[c].second, first);
    }
  }

  const CalibratedNetwork& network_;
  BatchList batches_;
  const Dataset& data_;
  const SecondOrderOptions& options_;
  const RunContext& context_;
};

}  // namespace

std::vector<SecondOrderRow> SecondOrderIncreases(const CalibratedNetwork& network,
                                                 const Dataset& data,
                                                 std::span<const std::vector<BitChoice>> choices,
                                                 const SecondOrderOptions& options,
                                                 const RunContext& context) {
  if (choices.size() != network.graph().layers().size()) {
    throw Error(ErrorId::kUsage, "choices for " + std::to_string(choices.size()) +
                                     " layers, the network has " +
                                     std::to_string(network.graph().layers().size()));
  }
  const Expansion expansion(network, data, options, context);
  std::vector<SecondOrderRow> rows;
  for (std::size_t l = 0; l < choices.size(); ++l) {
    const LayerIndex layer(l);
    context.progress->Progress("second order", static_cast<std::int64_t>(l),
                               static_cast<std::int64_t>(choices.size()));
    std::vector<std::optional<SecondOrderRow>> found(choices[l].size());
    std::vector<BitChoice> open;
    for (std::size_t c = 0; c < choices[l].size(); ++c) {
      if (choices[l][c] == BitChoice{kFloat, kFloat}) {
        found[c] = SecondOrderRow{layer, choices[l][c], {}, {}, {}};
      } else if (options.known) {
        found[c] = options.known(layer, choices[l][c]);
      }
      if (!found[c]) open.push_back(choices[l][c]);
    }
    std::vector<SecondOrderRow> fresh;
    if (!open.empty()) fresh = expansion.Run(layer, open);
    std::size_t next = 0;
    for (auto& row : found) {
      if (!row) {
        row = fresh[next++];
        if (options.record) options.record(*row);
      }
      rows.push_back(*row);
    }
  }
  return rows;
}

std::vector<PairSensitivity> HessianCrossTerms(const CalibratedNetwork& network,
                                               const Dataset& data,
                                               std::span<const std::vector<BitChoice>> choices,
                                               PairSelection selection, ExpansionTarget target,
                                               const RunContext& context,
                                               std::int64_t batch_size) {
  const LayerGraph& graph = network.graph();
  const std::vector<LayerIndex> layers = LayersWith(graph, CurvatureOf::kWeight);
  struct Entry {
    std::size_t variable;
    NumberFormat format;
    at::Tensor error;
  };
  std::vector<Entry> entries;
  for (std::size_t v = 0; v < layers.size(); ++v) {
    std::set<NumberFormat> formats;
    for (const BitChoice& choice : choices[layers[v].value]) formats.insert(choice.weight);
    formats.erase(kFloat);
    const at::Tensor& weight = network.network().constant(*graph.layer(layers[v]).weight);
    for (const NumberFormat format : formats) {
      const QuantizedWeight& quantized = network.Weight(layers[v], format);
      const at::Tensor values =
          at::from_blob(const_cast<float*>(quantized.values.data()), weight.sizes(), at::kFloat);
      entries.push_back({v, format, values.to(weight.device()) - weight});
    }
  }
  const auto paired = [&](const Entry& a, const Entry& b) {
    return selection == PairSelection::kAll ? b.variable > a.variable
                                            : b.variable == a.variable + 1;
  };
  const BatchList batches(network.network(), data, batch_size);
  std::vector<std::vector<double>> by_batch(static_cast<std::size_t>(batches.count()));
  ForEachOnOneThread(context, batches.count(), [&](std::int64_t batch) {
    const LabelledBatch records = batches.Load(batch);
    VariableHooks hooks(network.network(), layers, CurvatureOf::kWeight);
    const at::Tensor logits = network.network().Forward(records.images, &hooks);
    const at::Tensor loss = LossOf(logits, records.labels, target).sum();
    const auto gradients = torch::autograd::grad({loss}, hooks.variables(), {},
                                                 /*retain_graph=*/true, /*create_graph=*/true);
    for (const Entry& a : entries) {
      const auto products = torch::autograd::grad(
          {gradients[a.variable]}, hooks.variables(), {a.error}, /*retain_graph=*/true,
          /*create_graph=*/false, /*allow_unused=*/true);
      for (const Entry& b : entries) {
        if (!paired(a, b)) continue;
        const at::Tensor& product = products[b.variable];
        by_batch[static_cast<std::size_t>(batch)].push_back(
            product.defined() ? (product * b.error).sum().item<double>() : 0.0);
      }
    }
  }, /*with_gradients=*/true);
  std::vector<PairSensitivity> pairs;
  std::size_t next = 0;
  for (const Entry& a : entries) {
    for (const Entry& b : entries) {
      if (!paired(a, b)) continue;
      double sum = 0.0;
      for (const auto& values : by_batch) sum += values[next];
      ++next;
      pairs.push_back({graph.layer(layers[a.variable]).id, {a.format, kFloat},
                       graph.layer(layers[b.variable]).id, {b.format, kFloat},
                       sum / static_cast<double>(data.size())});
    }
  }
  return pairs;
}

}  // namespace bitsearch
