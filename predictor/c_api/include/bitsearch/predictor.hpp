// C++17 face of the C interface: owning handle, vectors, exceptions. Header only; includes nothing
// of bitsearch but predictor.h, so that it works from an installed package.
#ifndef BITSEARCH_PREDICTOR_HPP_
#define BITSEARCH_PREDICTOR_HPP_

#include <bitsearch/predictor.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace bitsearch::client {

/// A failed call; what() is the library's message.
class Error : public std::runtime_error {
 public:
  explicit Error(bitsearch_status status)
      : std::runtime_error(bitsearch_last_error()), status_(status) {}
  bitsearch_status status() const { return status_; }

 private:
  bitsearch_status status_;
};

/// What is predicted for a batch; element i of each belongs to row i.
struct Predictions {
  std::vector<double> top1_percent;
  std::vector<double> standard_deviation_percent;
  /// rows × cost_names().size(); infinity where the device cannot run the configuration.
  std::vector<double> costs;
  std::vector<std::uint8_t> outside_training_range;
};

/// An open predictor. Movable; const calls may come from several threads at the same time.
class Predictor {
 public:
  /// Throws Error: no such file, or one that is damaged or too new.
  explicit Predictor(const std::string& path) {
    bitsearch_predictor* opened = nullptr;
    Check(bitsearch_predictor_open(path.c_str(), &opened));
    handle_.reset(opened);
  }

  std::size_t gene_count() const { return bitsearch_predictor_gene_count(handle_.get()); }
  std::string gene_name(std::size_t gene) const {
    return Text(bitsearch_predictor_gene_name(handle_.get(), gene));
  }
  /// The texts of a gene's values, in the order of their indices.
  std::vector<std::string> values(std::size_t gene) const {
    std::vector<std::string> texts;
    for (std::size_t v = 0; v < bitsearch_predictor_value_count(handle_.get(), gene); ++v) {
      texts.emplace_back(bitsearch_predictor_value_text(handle_.get(), gene, v));
    }
    return texts;
  }
  std::vector<std::string> cost_names() const {
    std::vector<std::string> names;
    for (std::size_t c = 0; c < bitsearch_predictor_cost_count(handle_.get()); ++c) {
      names.emplace_back(bitsearch_predictor_cost_name(handle_.get(), c));
    }
    return names;
  }
  /// JSON.
  std::string description() const {
    std::size_t needed = 0;
    (void)bitsearch_predictor_describe(handle_.get(), nullptr, 0, &needed);
    std::string text(needed, '\0');
    Check(bitsearch_predictor_describe(handle_.get(), text.data(), text.size(), nullptr));
    text.resize(needed - 1);
    return text;
  }

  /// The row of named values. Throws Error naming the gene that is unknown, wrong or missing.
  std::vector<std::uint8_t> Parse(
      const std::vector<std::pair<std::string, std::string>>& named) const {
    std::vector<const char*> names, values;
    for (const auto& [name, value] : named) {
      names.push_back(name.c_str());
      values.push_back(value.c_str());
    }
    std::vector<std::uint8_t> row(gene_count());
    Check(bitsearch_predictor_parse(handle_.get(), names.data(), values.data(), names.size(),
                                    row.data()));
    return row;
  }

  /// `rows`: one configuration after the other, gene_count() bytes each.
  Predictions Predict(const std::vector<std::uint8_t>& rows) const {
    const std::size_t genes = gene_count();
    if (genes == 0 || rows.size() % genes != 0) {
      throw std::invalid_argument("rows must be a whole number of configurations");
    }
    const std::size_t count = rows.size() / genes;
    Predictions result;
    result.top1_percent.resize(count);
    result.standard_deviation_percent.resize(count);
    result.costs.resize(count * bitsearch_predictor_cost_count(handle_.get()));
    result.outside_training_range.resize(count);
    Check(bitsearch_predictor_predict(handle_.get(), rows.data(), count, result.top1_percent.data(),
                                      result.standard_deviation_percent.data(), result.costs.data(),
                                      result.outside_training_range.data()));
    return result;
  }

 private:
  struct Close {
    void operator()(bitsearch_predictor* predictor) const { bitsearch_predictor_close(predictor); }
  };
  static void Check(bitsearch_status status) {
    if (status != BITSEARCH_OK) throw Error(status);
  }
  static std::string Text(const char* text) { return text == nullptr ? std::string() : text; }

  std::unique_ptr<bitsearch_predictor, Close> handle_;
};

}  // namespace bitsearch::client

#endif  // BITSEARCH_PREDICTOR_HPP_
