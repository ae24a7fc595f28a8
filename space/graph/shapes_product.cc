// Shapes and costs of matrix products and of Einsum.
// Must not depend on ONNX's types nor on LibTorch.
#include <algorithm>
#include <cctype>
#include <map>

#include "space/graph/operator_functions.h"

namespace bitsearch::ops {

void GemmShape(OperatorContext& context) {
  context.SetOutputType(0, context.Type(0));
  const Shape& a = context.Dims(0);
  const Shape& b = context.Dims(1);
  if (a.size() != 2 || b.size() != 2) {
    throw context.Fail("inputs of shapes " + ToString(a) + " and " + ToString(b),
                       "Gemm multiplies matrices; put a Flatten before it");
  }
  const bool transposed_a = context.attributes().Int("transA", 0) != 0;
  const bool transposed_b = context.attributes().Int("transB", 0) != 0;
  const std::int64_t inner_a = a[transposed_a ? 0 : 1];
  const std::int64_t inner_b = b[transposed_b ? 1 : 0];
  if (inner_a != inner_b) {
    throw context.Fail("inner extents " + std::to_string(inner_a) + " and " +
                       std::to_string(inner_b) + " of shapes " + ToString(a) + " and " +
                       ToString(b) + " differ");
  }
  const Shape output = {a[transposed_a ? 1 : 0], b[transposed_b ? 0 : 1]};
  if (context.HasInput(2) && Broadcast(context, output, context.Dims(2)) != output) {
    throw context.Fail("a bias of shape " + ToString(context.Dims(2)) +
                       " does not fit a product of shape " + ToString(output));
  }
  context.SetOutput(0, context.Type(0), output);
}

std::int64_t GemmMacs(const OperatorContext& context) {
  const bool transposed = context.attributes().Int("transA", 0) != 0;
  return Multiply(context, ElementCount(context.OutputDims(0)),
                  context.Dims(0)[transposed ? 0 : 1]);
}

void MatMulShape(OperatorContext& context) {
  context.SetOutputType(0, context.Type(0));
  Shape a = context.Dims(0);
  Shape b = context.Dims(1);
  if (a.empty() || b.empty()) throw context.Fail("an input is a scalar", "use Mul");
  const bool vector_a = a.size() == 1;
  const bool vector_b = b.size() == 1;
  if (vector_a) a.insert(a.begin(), 1);
  if (vector_b) b.push_back(1);
  if (a.back() != b[b.size() - 2]) {
    throw context.Fail("inner extents " + std::to_string(a.back()) + " and " +
                       std::to_string(b[b.size() - 2]) + " of shapes " + ToString(context.Dims(0)) +
                       " and " + ToString(context.Dims(1)) + " differ");
  }
  Shape output = Broadcast(context, {a.begin(), a.end() - 2}, {b.begin(), b.end() - 2});
  if (!vector_a) output.push_back(a[a.size() - 2]);
  if (!vector_b) output.push_back(b.back());
  context.SetOutput(0, context.Type(0), output);
}

std::int64_t MatMulMacs(const OperatorContext& context) {
  return Multiply(context, ElementCount(context.OutputDims(0)), context.Dims(0).back());
}

namespace {

/// An equation with one label per axis; the axes of "..." get labels of their own.
struct Equation {
  std::vector<std::string> inputs;
  std::string output;
  std::map<char, std::int64_t> extents;
};

constexpr char kFirstEllipsisLabel = '0';

/// Replaces "..." by `count` labels '0'…'9', aligned at the last axis.
std::string ExpandEllipsis(const OperatorContext& context, const std::string& term,
                           std::size_t count, std::size_t most) {
  const std::size_t dots = term.find("...");
  std::string labels = term;
  if (dots != std::string::npos) {
    std::string expansion;
    for (std::size_t i = 0; i < count; ++i) {
      expansion += static_cast<char>(kFirstEllipsisLabel + static_cast<char>(most - count + i));
    }
    labels = term.substr(0, dots) + expansion + term.substr(dots + 3);
  }
  for (const char label : labels) {
    if (std::isalnum(static_cast<unsigned char>(label)) == 0) {
      throw context.Fail("the equation holds '" + std::string(1, label) + "'",
                         "allowed: letters, one ... per term, commas and ->");
    }
  }
  return labels;
}

Equation ReadEquation(const OperatorContext& context) {
  std::string text = context.attributes().String("equation", "");
  std::erase(text, ' ');
  if (std::any_of(text.begin(), text.end(),
                  [](char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; })) {
    throw context.Fail("the equation '" + text + "' holds a digit", "labels are letters");
  }
  const std::size_t arrow = text.find("->");
  std::string left = text.substr(0, arrow);
  std::vector<std::string> terms(1);
  for (const char c : left) {
    if (c == ',') {
      terms.emplace_back();
    } else {
      terms.back() += c;
    }
  }
  if (terms.size() != context.input_count()) {
    throw context.Fail("the equation '" + text + "' has " + std::to_string(terms.size()) +
                       " terms for " + std::to_string(context.input_count()) + " inputs");
  }
  std::size_t most = 0;
  std::vector<std::size_t> hidden(terms.size(), 0);
  for (std::size_t i = 0; i < terms.size(); ++i) {
    const bool dots = terms[i].find("...") != std::string::npos;
    const std::size_t named = terms[i].size() - (dots ? 3 : 0);
    const std::size_t rank = context.Dims(i).size();
    if (named > rank || (!dots && named != rank)) {
      throw context.Fail("the term '" + terms[i] + "' does not fit a tensor of shape " +
                         ToString(context.Dims(i)));
    }
    hidden[i] = rank - named;
    most = std::max(most, hidden[i]);
  }
  if (most > 10) throw context.Fail("more than 10 axes under '...'");
  Equation equation;
  for (std::size_t i = 0; i < terms.size(); ++i) {
    const std::string labels = ExpandEllipsis(context, terms[i], hidden[i], most);
    equation.inputs.push_back(labels);
    for (std::size_t axis = 0; axis < labels.size(); ++axis) {
      const std::int64_t extent = context.Dims(i)[axis];
      std::int64_t& known = equation.extents.emplace(labels[axis], extent).first->second;
      if (known == 1) known = extent;
      if (extent != known && extent != 1) {
        throw context.Fail("the label '" + std::string(1, labels[axis]) + "' stands for " +
                           std::to_string(known) + " and " + std::to_string(extent));
      }
    }
  }
  if (arrow != std::string::npos) {
    equation.output = ExpandEllipsis(context, text.substr(arrow + 2), most, most);
  } else {
    // Implicit form: the hidden axes, then the labels that occur once, sorted.
    for (const auto& [label, extent] : equation.extents) {
      std::ptrdiff_t uses = 0;
      for (const std::string& term : equation.inputs) {
        uses += std::count(term.begin(), term.end(), label);
      }
      const bool is_hidden = std::isdigit(static_cast<unsigned char>(label)) != 0;
      if (uses == 1 || is_hidden) equation.output += label;
    }
  }
  for (const char label : equation.output) {
    if (!equation.extents.contains(label)) {
      throw context.Fail("the output label '" + std::string(1, label) + "' is in no input");
    }
  }
  return equation;
}

}  // namespace

void EinsumShape(OperatorContext& context) {
  context.SetOutputType(0, context.Type(0));
  const Equation equation = ReadEquation(context);
  Shape output;
  for (const char label : equation.output) output.push_back(equation.extents.at(label));
  context.SetOutput(0, context.Type(0), output);
}

std::int64_t EinsumMacs(const OperatorContext& context) {
  std::int64_t macs = 1;
  for (const auto& [label, extent] : ReadEquation(context).extents) {
    macs = Multiply(context, macs, extent);
  }
  return macs;
}

}  // namespace bitsearch::ops
