#pragma once
// The journal of a run: which stages are finished, which items of a stage are done, how long they
// took. SQLite, one transaction per entry, so that a killed process loses at most the item in hand.
// Must not know what the stages are.

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace bitsearch {

/// One artifact as a finished stage left it.
struct ArtifactRecord {
  std::string name;  ///< Relative to the run directory.
  std::string sha256;
};

/// Not thread-safe: one thread at a time.
class Journal {
 public:
  /// Opens or creates the file. Throws Error(kRunDamaged) if it cannot be read, or was written by a
  /// newer bitsearch.
  explicit Journal(const std::filesystem::path& path);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  /// The artifacts of a stage that was finished on inputs of this hash; nothing otherwise.
  std::optional<std::vector<ArtifactRecord>> FinishedStage(const std::string& stage,
                                                           const std::string& input_hash) const;
  /// True if the stage was finished on any inputs.
  bool WasFinished(const std::string& stage) const;
  void FinishStage(const std::string& stage, const std::string& input_hash,
                   const std::vector<ArtifactRecord>& artifacts);

  /// What finished stages have written, the last time that each was finished.
  std::vector<std::string> ArtifactNames() const;

  /// The result of an item of a stage on inputs of this hash.
  std::optional<std::string> Item(const std::string& stage, const std::string& input_hash,
                                  const std::string& key) const;
  /// Adds or replaces; on disk when this returns.
  void AddItem(const std::string& stage, const std::string& input_hash, const std::string& key,
               const std::string& payload);

  /// Adds to the time spent on a stage, over all processes that worked on it.
  void AddSeconds(const std::string& stage, double seconds);
  std::map<std::string, double> Seconds() const;
  /// Journalled items by stage, over all inputs: how far a stage is that still goes on.
  std::map<std::string, std::int64_t> ItemCounts() const;

 private:
  struct Database;
  std::unique_ptr<Database> database_;
};

}  // namespace bitsearch
