#pragma once
// Sees, and may replace, every tensor of a run. For torch tests.

#include <map>
#include <string>
#include <utility>

#include "space/network/network_torch.h"

namespace bitsearch {

/// Runs other hooks and keeps what each tensor holds behind them.
class Recorder : public ExecutionHooks {
 public:
  Recorder(const LayerGraph& graph, ExecutionHooks& inner) : graph_(graph), inner_(inner) {}
  at::Tensor OnInput(NodeIndex node, std::size_t slot, at::Tensor value) override {
    return inner_.OnInput(node, slot, std::move(value));
  }
  at::Tensor OnConstant(NodeIndex node, std::size_t slot, at::Tensor value) override {
    return inner_.OnConstant(node, slot, std::move(value));
  }
  at::Tensor OnOutput(NodeIndex node, std::size_t slot, at::Tensor value) override {
    value = inner_.OnOutput(node, slot, std::move(value));
    const std::string& name = graph_.tensor(graph_.node(node).outputs[slot]).name;
    if (replacement != nullptr && replacement->contains(name)) {
      computed[name] = value;
      value = replacement->at(name);
    }
    values[name] = value.clone();
    return value;
  }
  std::map<std::string, at::Tensor> values;
  std::map<std::string, at::Tensor> computed;
  /// Given to the readers instead of what was computed.
  const std::map<std::string, at::Tensor>* replacement = nullptr;

 private:
  const LayerGraph& graph_;
  ExecutionHooks& inner_;
};

}  // namespace bitsearch
