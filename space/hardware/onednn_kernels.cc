// oneDNN 2.x primitives. See onednn_kernels.h.
#include "space/hardware/onednn_kernels.h"

#include <omp.h>
#include <sched.h>

#include <cstring>
#include <exception>
#include <oneapi/dnnl/dnnl.hpp>
#include <optional>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

namespace bitsearch {
namespace {

using dnnl::memory;
using Dims = memory::dims;

constexpr int kPerChannelMask = 1 << 1;  // Dimension 1 of the destination is the channel.
constexpr float kScale = 0.0009765625f;

memory::desc AnyLayout(const Dims& dims, memory::data_type type) {
  return memory::desc(dims, type, memory::format_tag::any);
}

memory::desc PlainLayout(const Dims& dims, memory::data_type type) {
  Dims strides(dims.size(), 1);
  for (std::size_t i = dims.size(); i-- > 1;) strides[i - 1] = strides[i] * dims[i];
  return memory::desc(dims, type, strides);
}

/// A layer's tensors as oneDNN describes them.
struct Problem {
  Dims src, weights, bias, dst, strides, dilations, pads_begin, pads_end;
};

Problem ProblemOf(const LayerSignature& signature, std::int64_t batch) {
  Problem problem;
  const std::int64_t groups = signature.groups;
  const std::size_t rank = signature.size.size();
  problem.bias = {signature.out_channels};
  if (!signature.is_convolution()) {
    const std::int64_t rows = batch * signature.rows;
    problem.src = {rows, signature.in_channels};
    problem.weights = {signature.out_channels, signature.in_channels};
    problem.dst = {rows, signature.out_channels};
    return problem;
  }
  const std::vector<std::int64_t> out = signature.OutputSize();
  problem.src = {batch, signature.in_channels};
  problem.dst = {batch, signature.out_channels};
  if (groups > 1) problem.weights.push_back(groups);
  problem.weights.push_back(signature.out_channels / groups);
  problem.weights.push_back(signature.in_channels / groups);
  for (std::size_t i = 0; i < rank; ++i) {
    problem.src.push_back(signature.size[i]);
    problem.dst.push_back(out[i]);
    problem.weights.push_back(signature.kernel[i]);
    problem.strides.push_back(signature.strides[i]);
    problem.dilations.push_back(signature.dilations[i] - 1);  // oneDNN counts from 0.
    problem.pads_begin.push_back(signature.pads[i]);
    problem.pads_end.push_back(signature.pads[i + rank]);
  }
  return problem;
}

/// A primitive with memory for all its tensors, filled with small values (zeros could be skipped,
/// denormals would be slow).
class PrimitiveWork : public OnednnWork {
 public:
  PrimitiveWork(dnnl::primitive primitive, std::string implementation, const dnnl::engine& engine,
                std::vector<std::pair<int, memory::desc>> tensors)
      : primitive_(std::move(primitive)),
        implementation_(std::move(implementation)),
        stream_(engine) {
    for (const auto& [argument, desc] : tensors) {
      memory tensor(desc, engine);
      Fill(desc, tensor.get_data_handle());
      arguments_.emplace(argument, std::move(tensor));
    }
  }

  void Run() override {
    primitive_.execute(stream_, arguments_);
    stream_.wait();
  }
  std::string implementation() const override { return implementation_; }

 private:
  static void Fill(const memory::desc& desc, void* data) {
    const std::size_t bytes = desc.get_size();
    if (desc.data_type() != memory::data_type::f32) {
      auto* values = static_cast<unsigned char*>(data);
      // s32 biases become large numbers, which the scales and saturation take care of.
      for (std::size_t i = 0; i < bytes; ++i) values[i] = static_cast<unsigned char>(i * 37 % 100);
      return;
    }
    auto* values = static_cast<float*>(data);
    for (std::size_t i = 0; i < bytes / sizeof(float); ++i) {
      values[i] = 0.01f * static_cast<float>(i % 97);
    }
  }

  dnnl::primitive primitive_;
  std::string implementation_;
  dnnl::stream stream_;
  std::unordered_map<int, memory> arguments_;
};

/// A kernel's primitive and the tensors it chose.
struct Built {
  dnnl::primitive primitive;
  std::string implementation;
  memory::desc src, weights, bias, dst;
};

template <typename Primitive>
Built Take(const typename Primitive::primitive_desc& described) {
  return {Primitive(described),     described.impl_info_str(), described.src_desc(),
          described.weights_desc(), described.bias_desc(),     described.dst_desc()};
}

std::optional<Built> Build(const LayerSignature& signature, std::int64_t batch, bool integer,
                           KernelOutput output, const dnnl::engine& engine) {
  // A product of two activations has no fixed weights to prepare: only its float form is a layer
  // that this project gives bits to.
  if (signature.two_activations && integer) return std::nullopt;
  const Problem problem = ProblemOf(signature, batch);
  using Type = memory::data_type;
  const Type to = integer && output == KernelOutput::kSameAsInput ? Type::u8 : Type::f32;
  const memory::desc src = AnyLayout(problem.src, integer ? Type::u8 : Type::f32);
  const memory::desc weights = AnyLayout(problem.weights, integer ? Type::s8 : Type::f32);
  const memory::desc bias = AnyLayout(problem.bias, integer ? Type::s32 : Type::f32);
  const memory::desc dst = AnyLayout(problem.dst, to);
  dnnl::primitive_attr attributes;
  if (integer) {
    attributes.set_output_scales(
        kPerChannelMask,
        std::vector<float>(static_cast<std::size_t>(signature.out_channels), kScale));
  }
  const auto inference = dnnl::prop_kind::forward_inference;
  try {
    if (signature.op == "Conv") {
      using Conv = dnnl::convolution_forward;
      return Take<Conv>(
          {Conv::desc(inference, dnnl::algorithm::convolution_direct, src, weights, bias, dst,
                      problem.strides, problem.dilations, problem.pads_begin, problem.pads_end),
           attributes, engine});
    }
    if (signature.op == "ConvTranspose") {
      using Deconv = dnnl::deconvolution_forward;
      return Take<Deconv>(
          {Deconv::desc(inference, dnnl::algorithm::deconvolution_direct, src, weights, bias, dst,
                        problem.strides, problem.dilations, problem.pads_begin, problem.pads_end),
           attributes, engine});
    }
    using Product = dnnl::inner_product_forward;
    return Take<Product>({Product::desc(inference, src, weights, bias, dst), attributes, engine});
  } catch (const dnnl::error&) {
    return std::nullopt;  // No kernel for this shape and type.
  }
}

}  // namespace

struct OnednnFactory::Engine {
  dnnl::engine cpu{dnnl::engine::kind::cpu, 0};

  std::unique_ptr<OnednnWork> Reorder(const memory::desc& from, const memory::desc& to) const {
    dnnl::primitive_attr attributes;
    attributes.set_output_scales(
        0, {from.data_type() == memory::data_type::f32 ? 1.0f / kScale : kScale});
    try {
      const dnnl::reorder::primitive_desc described(cpu, from, cpu, to, attributes);
      return std::make_unique<PrimitiveWork>(
          dnnl::reorder(described), described.impl_info_str(), cpu,
          std::vector<std::pair<int, memory::desc>>{{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}});
    } catch (const dnnl::error&) {
      return nullptr;
    }
  }
};

OnednnFactory::OnednnFactory() : engine_(std::make_unique<Engine>()) {}
OnednnFactory::~OnednnFactory() = default;

std::unique_ptr<OnednnWork> OnednnFactory::Kernel(const LayerSignature& signature,
                                                  std::int64_t batch, bool integer,
                                                  KernelOutput output) {
  std::optional<Built> built = Build(signature, batch, integer, output, engine_->cpu);
  if (!built) return nullptr;
  return std::make_unique<PrimitiveWork>(
      built->primitive, built->implementation, engine_->cpu,
      std::vector<std::pair<int, memory::desc>>{{DNNL_ARG_SRC, built->src},
                                                {DNNL_ARG_WEIGHTS, built->weights},
                                                {DNNL_ARG_BIAS, built->bias},
                                                {DNNL_ARG_DST, built->dst}});
}

std::unique_ptr<OnednnWork> OnednnFactory::OutputReorder(const LayerSignature& signature,
                                                         std::int64_t batch, bool quantize) {
  const auto f32 = Build(signature, batch, false, KernelOutput::kSameAsInput, engine_->cpu);
  const auto int8 = Build(signature, batch, true, KernelOutput::kSameAsInput, engine_->cpu);
  if (!f32 || !int8) return nullptr;
  return quantize ? engine_->Reorder(f32->dst, int8->dst) : engine_->Reorder(int8->dst, f32->dst);
}

std::unique_ptr<OnednnWork> OnednnFactory::InputReorder(const LayerSignature& signature,
                                                        std::int64_t batch, bool integer) {
  const auto kernel = Build(signature, batch, integer, KernelOutput::kSameAsInput, engine_->cpu);
  if (!kernel) return nullptr;
  const memory::desc plain = PlainLayout(ProblemOf(signature, batch).src, memory::data_type::f32);
  if (kernel->src == plain) return nullptr;
  return engine_->Reorder(plain, kernel->src);
}

std::string OnednnFactory::Description() {
  const dnnl_version_t* version = dnnl_version();
  std::string text = "oneDNN " + std::to_string(version->major) + "." +
                     std::to_string(version->minor) + "." + std::to_string(version->patch);
  switch (dnnl::get_effective_cpu_isa()) {
    case dnnl::cpu_isa::sse41:
      return text + ", sse41";
    case dnnl::cpu_isa::avx:
      return text + ", avx";
    case dnnl::cpu_isa::avx2:
      return text + ", avx2";
    case dnnl::cpu_isa::avx2_vnni:
      return text + ", avx2_vnni";
    case dnnl::cpu_isa::avx512_core:
      return text + ", avx512_core";
    case dnnl::cpu_isa::avx512_core_vnni:
      return text + ", avx512_core_vnni";
    case dnnl::cpu_isa::avx512_core_bf16:
      return text + ", avx512_core_bf16";
    case dnnl::cpu_isa::avx512_core_amx:
      return text + ", avx512_core_amx";
    default:
      return text;
  }
}

int RunPinned(const std::function<void()>& call) {
  int cpu = -1;
  std::exception_ptr failure;
  std::thread worker([&] {
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0) {
      // The last allowed CPU: the first ones get most of the interrupts.
      int last = -1;
      for (int i = 0; i < CPU_SETSIZE; ++i) {
        if (CPU_ISSET(i, &allowed)) last = i;
      }
      cpu_set_t one;
      CPU_ZERO(&one);
      if (last >= 0) {
        CPU_SET(last, &one);
        if (sched_setaffinity(0, sizeof(one), &one) == 0) cpu = last;
      }
    }
    omp_set_num_threads(1);
    try {
      call();
    } catch (...) {
      failure = std::current_exception();
    }
  });
  worker.join();
  if (failure) std::rethrow_exception(failure);
  return cpu;
}

}  // namespace bitsearch
