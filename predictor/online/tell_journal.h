#pragma once
// The journal of an ask/tell session: an append-only file of JSON lines that survives a crash in
// the middle of a line. Records are opaque to it. Must not know predictors.

#include <filesystem>
#include <string>
#include <vector>

namespace bitsearch {

/// One process at a time has the file open; one thread at a time may use the object.
class TellJournal {
 public:
  /// Opens or creates `path`. `identity` names what the records are about (a hash of the space); a
  /// file about something else is refused. A last line that was cut off by a crash is removed.
  /// Throws Error: kRunLocked (open elsewhere), kRunDamaged (a whole line that is no record, or a
  /// newer format), kPredictorData (another identity), kFileWrite.
  TellJournal(const std::filesystem::path& path, const std::string& identity);
  ~TellJournal();
  TellJournal(const TellJournal&) = delete;
  TellJournal& operator=(const TellJournal&) = delete;

  /// The records found when opened, oldest first, one JSON object each.
  const std::vector<std::string>& records() const { return records_; }
  /// On disk when this returns. `record` is one JSON object without line breaks. Throws
  /// Error(kFileWrite); the file then ends as before.
  void Append(const std::string& record);

 private:
  void WriteLine(const std::string& line);

  std::filesystem::path path_;
  int file_ = -1;
  std::int64_t size_ = 0;
  std::vector<std::string> records_;
};

}  // namespace bitsearch
