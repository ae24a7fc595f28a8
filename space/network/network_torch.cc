#include "space/network/network_torch.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "space/network/operator_builders_torch.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

DataType ToDataType(at::ScalarType type) {
  switch (type) {
    case at::kFloat:
      return DataType::kFloat32;
    case at::kLong:
      return DataType::kInt64;
    case at::kInt:
      return DataType::kInt32;
    case at::kBool:
      return DataType::kBool;
    case at::kDouble:
      return DataType::kFloat64;
    default:
      throw Error(ErrorId::kInternal, "no graph type for this tensor type");
  }
}

// In place only where nobody else can see the value: one reference, and no view on its memory.
bool MayOverwrite(const at::Tensor& tensor) {
  return tensor.defined() && tensor.use_count() == 1 && tensor.storage().use_count() == 1 &&
         !(tensor.requires_grad() && tensor.is_leaf());
}

}  // namespace

at::Tensor ExecutionHooks::OnInput(NodeIndex, std::size_t, at::Tensor value) { return value; }
at::Tensor ExecutionHooks::OnConstant(NodeIndex, std::size_t, at::Tensor value) { return value; }
at::Tensor ExecutionHooks::OnOutput(NodeIndex, std::size_t, at::Tensor value) { return value; }

at::Device ParseDevice(const std::string& name) {
  try {
    at::Device device(name);
    if (device.is_cuda() && !torch::cuda::is_available()) {
      throw Error(ErrorId::kDevice, "'" + name + "' is asked for, this LibTorch or machine has none")
          .Hint("use --device cpu, or build against a LibTorch with CUDA");
    }
    if (device.is_cpu() || device.is_cuda()) return device;
  } catch (const c10::Error&) {
    // Falls through to the message below.
  }
  throw Error(ErrorId::kDevice, "unknown device '" + name + "'").Hint("use cpu, cuda or cuda:N");
}

at::Tensor ToTorch(const TensorValue& value, at::Device device) {
  at::Tensor tensor = at::empty(value.shape(), at::TensorOptions(ToScalarType(value.type())));
  if (!value.bytes().empty()) {
    std::memcpy(tensor.data_ptr(), value.bytes().data(), value.bytes().size());
  }
  return tensor.to(device);
}

TensorValue FromTorch(const at::Tensor& tensor) {
  const at::Tensor local = tensor.detach().to(at::kCPU).contiguous();
  std::vector<std::byte> bytes(static_cast<std::size_t>(local.nbytes()));
  if (!bytes.empty()) std::memcpy(bytes.data(), local.data_ptr(), bytes.size());
  return TensorValue(ToDataType(local.scalar_type()), local.sizes().vec(), std::move(bytes));
}

Network::Network(LayerGraph graph, const std::string& device)
    : graph_(std::move(graph)), device_(ParseDevice(device)) {
  constants_.resize(graph_.tensors().size());
  std::vector<std::size_t> last_use(graph_.tensors().size(), 0);
  for (std::size_t n = 0; n < graph_.nodes().size(); ++n) {
    const Node& node = graph_.nodes()[n];
    Step step;
    step.run = PrepareOperator(graph_, NodeIndex(n));
    step.outputs = node.outputs;
    for (const auto& tensor : node.inputs) {
      const bool is_constant = tensor && graph_.tensor(*tensor).constant.has_value();
      step.inputs.push_back({tensor, is_constant, false});
      if (!tensor) continue;
      last_use[tensor->value] = n;
      if (is_constant && !constants_[tensor->value].defined()) {
        constants_[tensor->value] = ToTorch(*graph_.tensor(*tensor).constant, device_);
      }
    }
    steps_.push_back(std::move(step));
  }
  for (const TensorIndex output : graph_.outputs()) last_use[output.value] = steps_.size();
  for (std::size_t n = 0; n < steps_.size(); ++n) {
    for (std::size_t slot = 0; slot < steps_[n].inputs.size(); ++slot) {
      Input& input = steps_[n].inputs[slot];
      if (!input.tensor || input.constant || last_use[input.tensor->value] != n) continue;
      // A tensor read twice by one node is handed over at its last slot only.
      bool again = false;
      for (std::size_t later = slot + 1; later < steps_[n].inputs.size(); ++later) {
        again = again || steps_[n].inputs[later].tensor == input.tensor;
      }
      input.last_use = !again;
    }
  }
}

void Network::SetConstant(TensorIndex tensor, at::Tensor value) {
  if (!constants_[tensor.value].defined() ||
      constants_[tensor.value].sizes() != value.sizes()) {
    throw Error(ErrorId::kInternal, "SetConstant: not a constant, or another shape")
        .Key(graph_.tensor(tensor).name);
  }
  constants_[tensor.value] = std::move(value);
}

std::vector<TensorIndex> Network::TrainableConstants() const {
  std::vector<TensorIndex> trainable;
  for (const Node& node : graph_.nodes()) {
    const bool is_layer = node.op == "Conv" || node.op == "Gemm" || node.op == "MatMul" ||
                          node.op == "ConvTranspose";
    const bool is_norm = node.op == "BatchNormalization" || node.op == "LayerNormalization";
    if (!is_layer && !is_norm) continue;
    // BatchNormalization's slots 3 and 4 are its running statistics.
    const std::size_t end = std::min<std::size_t>(node.inputs.size(), 3);
    for (std::size_t slot = 0; slot < end; ++slot) {
      const auto& tensor = node.inputs[slot];
      if (!tensor || !graph_.tensor(*tensor).constant) continue;
      if (std::find(trainable.begin(), trainable.end(), *tensor) == trainable.end()) {
        trainable.push_back(*tensor);
      }
    }
  }
  return trainable;
}

LayerGraph Network::ToGraph() const {
  LayerGraph graph = graph_;
  for (std::size_t t = 0; t < constants_.size(); ++t) {
    if (constants_[t].defined() && constants_[t].is_floating_point()) {
      graph.SetConstant(TensorIndex(t), FromTorch(constants_[t]));
    }
  }
  return graph;
}

at::Tensor Network::Forward(const at::Tensor& input, ExecutionHooks* hooks, bool training) const {
  ExecutionState state = Start({input});
  Advance(state, steps_.size(), hooks, training);
  return Output(state);
}

ExecutionState Network::Start(const std::vector<at::Tensor>& inputs) const {
  if (inputs.size() != graph_.inputs().size()) {
    throw Error(ErrorId::kExecution, "the network has " + std::to_string(graph_.inputs().size()) +
                                         " inputs, got " + std::to_string(inputs.size()))
        .Hint("labelled data are for networks with one input");
  }
  ExecutionState state;
  state.values.resize(graph_.tensors().size());
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    state.values[graph_.inputs()[i].value] = inputs[i];
  }
  return state;
}

void Network::Advance(ExecutionState& state, std::size_t end, ExecutionHooks* hooks,
                      bool training) const {
  OperatorCall call;
  call.training = training;
  for (; state.next_step < end; ++state.next_step) {
    const Step& step = steps_[state.next_step];
    const NodeIndex node(state.next_step);
    call.in.clear();
    call.out.assign(step.outputs.size(), at::Tensor());
    for (std::size_t slot = 0; slot < step.inputs.size(); ++slot) {
      const Input& input = step.inputs[slot];
      at::Tensor value;
      if (!input.tensor) {
        // Absent optional input.
      } else if (input.constant) {
        value = constants_[input.tensor->value];
        if (hooks != nullptr) value = hooks->OnConstant(node, slot, std::move(value));
      } else {
        at::Tensor& stored = state.values[input.tensor->value];
        value = input.last_use ? std::move(stored) : stored;
        if (input.last_use) stored = at::Tensor();
        if (hooks != nullptr) value = hooks->OnInput(node, slot, std::move(value));
      }
      call.in.push_back(std::move(value));
    }
    call.may_overwrite_first = !step.inputs.empty() && !step.inputs[0].constant &&
                               step.inputs[0].last_use && MayOverwrite(call.in[0]);
    try {
      step.run(call);
    } catch (const c10::Error& error) {
      throw Error(ErrorId::kExecution, error.what_without_backtrace())
          .Key("node " + graph_.node(node).id + " (" + graph_.node(node).op + ")")
          .Hint("the input's shape or type does not suit the network");
    }
    for (std::size_t slot = 0; slot < step.outputs.size(); ++slot) {
      at::Tensor value = std::move(call.out[slot]);
      if (hooks != nullptr) value = hooks->OnOutput(node, slot, std::move(value));
      state.values[step.outputs[slot].value] = std::move(value);
    }
  }
}

const at::Tensor& Network::Output(const ExecutionState& state, std::size_t index) const {
  return state.values[graph_.outputs()[index].value];
}

}  // namespace bitsearch
