// Operators that work element by element, with broadcasting.

#include <cmath>

#include "space/network/operator_builders_torch.h"

namespace bitsearch {
namespace {

using Unary = at::Tensor (*)(const at::Tensor&);
using Binary = at::Tensor (*)(const at::Tensor&, const at::Tensor&);

template <Unary kFunction>
OperatorFn PrepareUnary(const LayerGraph&, const Node&) {
  return [](OperatorCall& call) { call.out[0] = kFunction(call.in[0]); };
}

template <Binary kFunction>
OperatorFn PrepareBinary(const LayerGraph&, const Node&) {
  return [](OperatorCall& call) { call.out[0] = kFunction(call.in[0], call.in[1]); };
}

// Operators of any number of inputs: folded from the left.
template <Binary kFunction>
OperatorFn PrepareVariadic(const LayerGraph&, const Node&) {
  return [](OperatorCall& call) {
    at::Tensor result = call.in[0];
    for (std::size_t i = 1; i < call.in.size(); ++i) result = kFunction(result, call.in[i]);
    call.out[0] = result;
  };
}

at::Tensor Abs(const at::Tensor& x) { return at::abs(x); }
at::Tensor Ceil(const at::Tensor& x) { return at::ceil(x); }
at::Tensor Cos(const at::Tensor& x) { return at::cos(x); }
at::Tensor Erf(const at::Tensor& x) { return at::erf(x); }
at::Tensor Exp(const at::Tensor& x) { return at::exp(x); }
at::Tensor Floor(const at::Tensor& x) { return at::floor(x); }
at::Tensor HardSwish(const at::Tensor& x) { return at::hardswish(x); }
at::Tensor IsInf(const at::Tensor& x) { return at::isinf(x); }
at::Tensor IsNan(const at::Tensor& x) { return at::isnan(x); }
at::Tensor Log(const at::Tensor& x) { return at::log(x); }
at::Tensor Mish(const at::Tensor& x) { return at::mish(x); }
at::Tensor Neg(const at::Tensor& x) { return at::neg(x); }
at::Tensor Not(const at::Tensor& x) { return at::logical_not(x); }
at::Tensor Reciprocal(const at::Tensor& x) { return at::reciprocal(x); }
at::Tensor Round(const at::Tensor& x) { return at::round(x); }
at::Tensor Sigmoid(const at::Tensor& x) { return at::sigmoid(x); }
at::Tensor Sign(const at::Tensor& x) { return at::sign(x); }
at::Tensor Sin(const at::Tensor& x) { return at::sin(x); }
at::Tensor Softplus(const at::Tensor& x) { return at::softplus(x); }
at::Tensor Softsign(const at::Tensor& x) { return x / (1 + at::abs(x)); }
at::Tensor Sqrt(const at::Tensor& x) { return at::sqrt(x); }
at::Tensor Tanh(const at::Tensor& x) { return at::tanh(x); }

at::Tensor Add(const at::Tensor& a, const at::Tensor& b) { return at::add(a, b); }
at::Tensor And(const at::Tensor& a, const at::Tensor& b) { return at::logical_and(a, b); }
at::Tensor Equal(const at::Tensor& a, const at::Tensor& b) { return at::eq(a, b); }
at::Tensor Greater(const at::Tensor& a, const at::Tensor& b) { return at::gt(a, b); }
at::Tensor GreaterOrEqual(const at::Tensor& a, const at::Tensor& b) { return at::ge(a, b); }
at::Tensor Less(const at::Tensor& a, const at::Tensor& b) { return at::lt(a, b); }
at::Tensor LessOrEqual(const at::Tensor& a, const at::Tensor& b) { return at::le(a, b); }
at::Tensor Maximum(const at::Tensor& a, const at::Tensor& b) { return at::maximum(a, b); }
at::Tensor Minimum(const at::Tensor& a, const at::Tensor& b) { return at::minimum(a, b); }
at::Tensor Mul(const at::Tensor& a, const at::Tensor& b) { return at::mul(a, b); }
at::Tensor Or(const at::Tensor& a, const at::Tensor& b) { return at::logical_or(a, b); }
at::Tensor Pow(const at::Tensor& a, const at::Tensor& b) { return at::pow(a, b).to(a.scalar_type()); }
at::Tensor Sub(const at::Tensor& a, const at::Tensor& b) { return at::sub(a, b); }
at::Tensor Xor(const at::Tensor& a, const at::Tensor& b) { return at::logical_xor(a, b); }

// ONNX divides integers towards zero.
at::Tensor Div(const at::Tensor& a, const at::Tensor& b) {
  return at::isIntegralType(a.scalar_type(), false) ? at::div(a, b, "trunc") : at::div(a, b);
}

OperatorFn PrepareMod(const LayerGraph&, const Node& node) {
  // fmod: the sign of the dividend; otherwise of the divisor.
  const bool fmod = node.attributes.Int("fmod", 0) != 0;
  return [fmod](OperatorCall& call) {
    call.out[0] = fmod ? at::fmod(call.in[0], call.in[1]) : at::remainder(call.in[0], call.in[1]);
  };
}

// The residual add: in place where no gradient is recorded and nobody else holds the value.
OperatorFn PrepareAdd(const LayerGraph&, const Node&) {
  return [](OperatorCall& call) {
    const bool in_place = call.may_overwrite_first && !at::GradMode::is_enabled() &&
                          call.in[0].sizes() == call.in[1].sizes() &&
                          call.in[0].scalar_type() == call.in[1].scalar_type();
    call.out[0] = in_place ? call.in[0].add_(call.in[1]) : at::add(call.in[0], call.in[1]);
  };
}

OperatorFn PrepareRelu(const LayerGraph&, const Node&) {
  return [](OperatorCall& call) {
    call.out[0] = call.may_overwrite_first ? at::relu_(call.in[0]) : at::relu(call.in[0]);
  };
}

OperatorFn PrepareClip(const LayerGraph& graph, const Node& node) {
  const double infinity = std::numeric_limits<double>::infinity();
  const FloatArgument low(graph, node, 1, "min", -infinity);
  const FloatArgument high(graph, node, 2, "max", infinity);
  return [=](OperatorCall& call) {
    const double least = low.Get(call);
    const double most = high.Get(call);
    call.out[0] = std::isinf(least)  ? at::clamp_max(call.in[0], most)
                  : std::isinf(most) ? at::clamp_min(call.in[0], least)
                                     : at::clamp(call.in[0], least, most);
  };
}

OperatorFn PrepareLeakyRelu(const LayerGraph&, const Node& node) {
  return [slope = node.attributes.Float("alpha", 0.01F)](OperatorCall& call) {
    call.out[0] = at::leaky_relu(call.in[0], slope);
  };
}

OperatorFn PreparePRelu(const LayerGraph&, const Node&) {
  // Written out, because LibTorch's prelu does not broadcast as ONNX does.
  return [](OperatorCall& call) {
    call.out[0] = at::where(call.in[0].ge(0), call.in[0], call.in[0] * call.in[1]);
  };
}

OperatorFn PrepareElu(const LayerGraph&, const Node& node) {
  return [alpha = node.attributes.Float("alpha", 1.0F)](OperatorCall& call) {
    call.out[0] = at::elu(call.in[0], alpha);
  };
}

OperatorFn PrepareCelu(const LayerGraph&, const Node& node) {
  return [alpha = node.attributes.Float("alpha", 1.0F)](OperatorCall& call) {
    call.out[0] = at::celu(call.in[0], alpha);
  };
}

OperatorFn PrepareSelu(const LayerGraph&, const Node& node) {
  const float alpha = node.attributes.Float("alpha", 1.67326319217681884765625F);
  const float gamma = node.attributes.Float("gamma", 1.05070102214813232421875F);
  return [=](OperatorCall& call) { call.out[0] = at::elu(call.in[0], alpha, gamma); };
}

OperatorFn PrepareThresholdedRelu(const LayerGraph&, const Node& node) {
  return [alpha = node.attributes.Float("alpha", 1.0F)](OperatorCall& call) {
    call.out[0] = at::threshold(call.in[0], alpha, 0);
  };
}

OperatorFn PrepareHardSigmoid(const LayerGraph&, const Node& node) {
  const float alpha = node.attributes.Float("alpha", 0.2F);
  const float beta = node.attributes.Float("beta", 0.5F);
  return [=](OperatorCall& call) { call.out[0] = at::clamp(call.in[0] * alpha + beta, 0, 1); };
}

OperatorFn PrepareGelu(const LayerGraph&, const Node& node) {
  return [form = node.attributes.String("approximate", "none")](OperatorCall& call) {
    call.out[0] = at::gelu(call.in[0], form);
  };
}

OperatorFn PrepareWhere(const LayerGraph&, const Node&) {
  return [](OperatorCall& call) {
    call.out[0] = at::where(call.in[0].to(at::kBool), call.in[1], call.in[2]);
  };
}

OperatorFn PrepareMean(const LayerGraph&, const Node&) {
  return [](OperatorCall& call) {
    at::Tensor sum = call.in[0];
    for (std::size_t i = 1; i < call.in.size(); ++i) sum = sum + call.in[i];
    call.out[0] = sum / static_cast<double>(call.in.size());
  };
}

OperatorFn PrepareCast(const LayerGraph&, const Node& node) {
  const auto type = ToScalarType(static_cast<DataType>(node.attributes.Int("to", 1)));
  return [type](OperatorCall& call) { call.out[0] = call.in[0].to(type); };
}

OperatorFn PrepareCastLike(const LayerGraph&, const Node&) {
  return [](OperatorCall& call) { call.out[0] = call.in[0].to(call.in[1].scalar_type()); };
}

}  // namespace

OperatorSection ElementwiseOperators() {
  return {
      {"Abs", PrepareUnary<Abs>},
      {"Add", PrepareAdd},
      {"And", PrepareBinary<And>},
      {"Cast", PrepareCast},
      {"CastLike", PrepareCastLike},
      {"Ceil", PrepareUnary<Ceil>},
      {"Celu", PrepareCelu},
      {"Clip", PrepareClip},
      {"Cos", PrepareUnary<Cos>},
      {"Div", PrepareBinary<Div>},
      {"Elu", PrepareElu},
      {"Equal", PrepareBinary<Equal>},
      {"Erf", PrepareUnary<Erf>},
      {"Exp", PrepareUnary<Exp>},
      {"Floor", PrepareUnary<Floor>},
      {"Gelu", PrepareGelu},
      {"Greater", PrepareBinary<Greater>},
      {"GreaterOrEqual", PrepareBinary<GreaterOrEqual>},
      {"HardSigmoid", PrepareHardSigmoid},
      {"HardSwish", PrepareUnary<HardSwish>},
      {"IsInf", PrepareUnary<IsInf>},
      {"IsNaN", PrepareUnary<IsNan>},
      {"LeakyRelu", PrepareLeakyRelu},
      {"Less", PrepareBinary<Less>},
      {"LessOrEqual", PrepareBinary<LessOrEqual>},
      {"Log", PrepareUnary<Log>},
      {"Max", PrepareVariadic<Maximum>},
      {"Mean", PrepareMean},
      {"Min", PrepareVariadic<Minimum>},
      {"Mish", PrepareUnary<Mish>},
      {"Mod", PrepareMod},
      {"Mul", PrepareBinary<Mul>},
      {"Neg", PrepareUnary<Neg>},
      {"Not", PrepareUnary<Not>},
      {"Or", PrepareBinary<Or>},
      {"PRelu", PreparePRelu},
      {"Pow", PrepareBinary<Pow>},
      {"Reciprocal", PrepareUnary<Reciprocal>},
      {"Relu", PrepareRelu},
      {"Round", PrepareUnary<Round>},
      {"Selu", PrepareSelu},
      {"Sigmoid", PrepareUnary<Sigmoid>},
      {"Sign", PrepareUnary<Sign>},
      {"Sin", PrepareUnary<Sin>},
      {"Softplus", PrepareUnary<Softplus>},
      {"Softsign", PrepareUnary<Softsign>},
      {"Sqrt", PrepareUnary<Sqrt>},
      {"Sub", PrepareBinary<Sub>},
      {"Sum", PrepareVariadic<Add>},
      {"Tanh", PrepareUnary<Tanh>},
      {"ThresholdedRelu", PrepareThresholdedRelu},
      {"Where", PrepareWhere},
      {"Xor", PrepareBinary<Xor>},
  };
}

}  // namespace bitsearch
