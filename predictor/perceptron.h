#pragma once
// Perceptron: the weights of one accuracy network, and PerceptronEngine: the same weights packed
// for fast inference on one-hot inputs. No LibTorch, no files.

#include <Eigen/Core>
#include <cstdint>
#include <span>
#include <vector>

#include "predictor/encoding.h"

namespace bitsearch {

/// y = W·x + b; W is outputs × inputs.
struct DenseLayer {
  Eigen::MatrixXf weights;
  Eigen::VectorXf bias;
};

/// APQ's network (Wang et al., CVPR 2020): the first hidden layer is relu(A·a + b) + B·q + c, where
/// a and q are the one-hot architecture and bits; further hidden layers with ReLU; one output.
struct Perceptron {
  DenseLayer architecture;         ///< hidden × architecture features.
  DenseLayer bits;                 ///< hidden × bits features; no rows where bits are not encoded.
  std::vector<DenseLayer> hidden;  ///< Each followed by a ReLU; one at least.
  DenseLayer output;               ///< 1 × hidden.

  /// Weights and biases in all.
  std::int64_t ParameterCount() const;
  /// Throws Error(kPredictorModel) if shapes do not chain, do not fit the encoding, or a value is
  /// not finite.
  void Validate(const Encoding& encoding) const;
};

/// Scratch of one thread; grows to what a batch needs.
struct PerceptronScratch {
  std::vector<std::uint32_t> architecture_features, bits_features;
  std::vector<std::uint32_t> architecture_ends, bits_ends;
  std::vector<std::uint8_t> active;
  std::vector<float> first, second;
};

/// Packed weights and the kernels for this machine. A row's result does not depend, to the last
/// bit, on the other rows of its batch. Immutable: Run may be called from several threads, each
/// with its own scratch.
class PerceptronEngine {
 public:
  /// Rows that Run handles at once.
  static constexpr std::size_t kBlockRows = 48;

  explicit PerceptronEngine(const Perceptron& network);

  /// Outputs for at most kBlockRows rows, whose features lie in `scratch`: architecture_ends[r] and
  /// bits_ends[r] are the ends of row r's features in the two lists.
  /// `last_hidden`, if not null, takes the rows × last_hidden_width() activations that the output
  /// is a linear function of.
  void Run(std::size_t rows, PerceptronScratch& scratch, float* outputs,
           float* last_hidden = nullptr) const;
  /// Units of the last hidden layer, filled up with zeros to whole panels.
  std::size_t last_hidden_width() const { return output_weights_.size(); }

 private:
  struct Packed {
    std::size_t inputs = 0;
    std::size_t panels = 0;  ///< Of 16 outputs.
    std::vector<float> weights;
    std::vector<float> bias;
  };
  static Packed Pack(const DenseLayer& layer);
  static std::vector<float> Columns(const DenseLayer& layer, std::size_t stride);

  std::size_t first_stride_ = 0;
  std::vector<float> architecture_columns_, architecture_bias_;
  std::vector<float> bits_columns_, bits_bias_;
  std::vector<Packed> hidden_;
  std::vector<float> output_weights_;
  float output_bias_ = 0.0F;
  std::size_t widest_ = 0;
};

/// Fills a scratch with the features of up to kBlockRows rows.
void GatherFeatures(const Encoding& encoding, const GenomeView& genomes,
                    PerceptronScratch& scratch);

}  // namespace bitsearch
