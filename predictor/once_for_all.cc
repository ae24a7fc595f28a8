// npz arrays → Perceptron.
#include "predictor/once_for_all.h"

#include <string>

#include "predictor/npz.h"
#include "space/candidates/published_spaces.h"
#include "space/support/error.h"

namespace bitsearch {

PredictorModel ReadOnceForAllPredictor(const std::filesystem::path& path) {
  const std::map<std::string, NpzArray> arrays = ReadNpz(path);
  const auto find = [&](const std::string& name, std::size_t dimensions) -> const NpzArray& {
    const auto array = arrays.find(name);
    if (array == arrays.end() || array->second.shape.size() != dimensions) {
      throw Error(ErrorId::kPredictorModel, "no such array, or of another number of dimensions")
          .At({path.string(), 0, 0})
          .Key(name)
          .Hint("is it ofa_predictor_weights.npz of once-for-all?");
    }
    return array->second;
  };
  const auto layer = [&](const std::string& index) {
    const NpzArray& weights = find(index + "_weight", 2);
    const NpzArray& bias = find(index + "_bias", 1);
    using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    return DenseLayer{
        Eigen::Map<const RowMajor>(weights.values.data(), weights.shape[0], weights.shape[1]),
        Eigen::Map<const Eigen::VectorXf>(bias.values.data(), bias.shape[0])};
  };
  PredictorModel model;
  model.encoding = Encoding::OnceForAll(MakeOnceForAllSpace());
  model.members.push_back({layer("0"), {}, {layer("2"), layer("4")}, layer("6")});
  model.output_scale_percent = 100.0;
  model.facts = {{"source", "once-for-all's shipped predictor"}};
  model.Validate();
  return model;
}

}  // namespace bitsearch
