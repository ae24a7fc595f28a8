#include <system_error>
#include <utility>

#include "space/network/training_loop_torch.h"
#include "space/support/error.h"

namespace bitsearch {

TrainingCheckpoint::TrainingCheckpoint(std::filesystem::path path, std::string fingerprint)
    : path_(std::move(path)), fingerprint_(std::move(fingerprint)) {}

void TrainingCheckpoint::Add(const std::string& name, at::Tensor tensor) {
  tensors_[name] = std::move(tensor);
}

void TrainingCheckpoint::Add(const Network& network) {
  for (std::size_t t = 0; t < network.graph().tensors().size(); ++t) {
    const at::Tensor& value = network.constant(TensorIndex(t));
    if (value.defined() && value.is_floating_point()) Add("constant" + std::to_string(t), value);
  }
}

void TrainingCheckpoint::Add(const std::string& name, torch::optim::Optimizer* optimizer) {
  optimizers_[name] = optimizer;
}

void TrainingCheckpoint::Save(int next_epoch, const at::Tensor& history) const {
  torch::serialize::OutputArchive archive;
  archive.write("fingerprint", c10::IValue(fingerprint_));
  archive.write("next_epoch", c10::IValue(static_cast<std::int64_t>(next_epoch)));
  for (const auto& [name, tensor] : tensors_) archive.write(name, tensor.detach());
  for (const auto& [name, optimizer] : optimizers_) {
    torch::serialize::OutputArchive inner;
    optimizer->save(inner);
    archive.write(name, inner);
  }
  archive.write("history", history);
  const std::filesystem::path temporary = path_.string() + ".tmp";
  try {
    archive.save_to(temporary.string());
    std::filesystem::rename(temporary, path_);
  } catch (const std::exception& error) {
    std::error_code ignored;
    std::filesystem::remove(temporary, ignored);
    const auto* torch = dynamic_cast<const c10::Error*>(&error);  // its what() is a backtrace
    throw Error(ErrorId::kFileWrite,
                std::string("cannot write the checkpoint: ") +
                    (torch == nullptr ? error.what() : torch->what_without_backtrace()))
        .At({path_.string()})
        .Hint("is the folder there, and the disk not full?");
  }
}

std::optional<TrainingCheckpoint::Progress> TrainingCheckpoint::Load() const {
  if (!std::filesystem::exists(path_)) return std::nullopt;
  try {
    torch::serialize::InputArchive archive;
    archive.load_from(path_.string());
    c10::IValue value;
    archive.read("fingerprint", value);
    if (value.toStringRef() != fingerprint_) {
      throw Error(ErrorId::kCheckpoint, "the checkpoint was made with other options or data")
          .At({path_.string()})
          .Hint("train without --resume, or restore the options");
    }
    Progress progress;
    archive.read("next_epoch", value);
    progress.next_epoch = static_cast<int>(value.toInt());
    const at::NoGradGuard no_grad;
    for (const auto& [name, tensor] : tensors_) {
      at::Tensor stored;
      archive.read(name, stored);
      at::Tensor target = tensor;
      target.copy_(stored);
    }
    for (const auto& [name, optimizer] : optimizers_) {
      torch::serialize::InputArchive inner;
      archive.read(name, inner);
      optimizer->load(inner);
    }
    archive.read("history", progress.history);
    return progress;
  } catch (const Error&) {
    throw;
  } catch (const std::exception&) {  // LibTorch's text tells its own source lines
    throw Error(ErrorId::kCheckpoint,
                "the checkpoint cannot be read: it is damaged or cut short, or something else")
        .At({path_.string()})
        .Hint("delete it to start anew, or restore a copy");
  }
}

at::Tensor HistoryTensor(const std::vector<std::vector<double>>& rows) {
  const auto columns = rows.empty() ? 0 : static_cast<std::int64_t>(rows[0].size());
  at::Tensor history = at::empty({static_cast<std::int64_t>(rows.size()), columns}, at::kDouble);
  double* out = history.data_ptr<double>();
  for (const auto& row : rows) out = std::copy(row.begin(), row.end(), out);
  return history;
}

std::vector<std::vector<double>> HistoryRows(const at::Tensor& history) {
  std::vector<std::vector<double>> rows;
  const at::Tensor dense = history.contiguous();
  for (std::int64_t i = 0; i < dense.size(0); ++i) {
    const double* row = dense.data_ptr<double>() + i * dense.size(1);
    rows.emplace_back(row, row + dense.size(1));
  }
  return rows;
}

}  // namespace bitsearch
