// The journal's tables. Payloads are opaque text.
#include "experiments/journal.h"

#include <SQLiteCpp/SQLiteCpp.h>

#include "space/support/error.h"

namespace bitsearch {
namespace {

constexpr int kFormat = 1;
constexpr int kBusyTimeoutMs = 2000;

}  // namespace

struct Journal::Database {
  explicit Database(const std::filesystem::path& file)
      : path(file.string()),
        sqlite(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, kBusyTimeoutMs) {}
  std::string path;
  mutable SQLite::Database sqlite;

  /// Runs `work`, turning SQLite's complaints into ours.
  template <typename Work>
  auto Do(Work&& work) const {
    try {
      return work();
    } catch (const SQLite::Exception& failure) {
      throw Translated(path, failure);
    }
  }

  static Error Translated(const std::string& path, const SQLite::Exception& failure) {
    // SQLITE_FULL, SQLITE_IOERR, SQLITE_READONLY: nothing is wrong with what is in the file.
    constexpr int kReadOnly = 8;
    constexpr int kInputOutput = 10;
    constexpr int kFull = 13;
    constexpr int kPrimary = 0xff;
    const int code = failure.getErrorCode() & kPrimary;
    if (code != kFull && code != kInputOutput && code != kReadOnly) {
      return Damaged(path, failure.what());
    }
    return Error(ErrorId::kFileWrite,
                 std::string("cannot write the journal (") + failure.what() + ")")
        .At({path, 0, 0})
        .Hint(
            "free space or mend the folder's permissions, then go on with --resume; what is in the "
            "journal stays");
  }

  static Error Damaged(const std::string& path, const std::string& why) {
    return Error(ErrorId::kRunDamaged, "the journal cannot be used (" + why + ")")
        .At({path, 0, 0})
        .Hint("delete this file to start the run's computations anew; artifacts are overwritten");
  }
};

Journal::Journal(const std::filesystem::path& path) {
  try {
    database_ = std::make_unique<Database>(path);
    SQLite::Database& sqlite = database_->sqlite;
    const int format = sqlite.execAndGet("PRAGMA user_version").getInt();
    if (format > kFormat) {
      throw Database::Damaged(path.string(), "it has format " + std::to_string(format) +
                                                 ", written by a newer bitsearch; this one reads " +
                                                 std::to_string(kFormat));
    }
    // A commit survives the death of the process in any case; only a power cut needs more.
    sqlite.exec("PRAGMA journal_mode=WAL");
    sqlite.exec("PRAGMA synchronous=NORMAL");
    sqlite.exec(
        "CREATE TABLE IF NOT EXISTS stages(name TEXT PRIMARY KEY, input_hash TEXT NOT NULL);"
        "CREATE TABLE IF NOT EXISTS artifacts(stage TEXT NOT NULL, position INTEGER NOT NULL,"
        " name TEXT NOT NULL, sha256 TEXT NOT NULL, PRIMARY KEY(stage, position));"
        "CREATE TABLE IF NOT EXISTS items(stage TEXT NOT NULL, input_hash TEXT NOT NULL,"
        " key TEXT NOT NULL, payload TEXT NOT NULL, PRIMARY KEY(stage, input_hash, key));"
        "CREATE TABLE IF NOT EXISTS seconds(stage TEXT PRIMARY KEY, seconds REAL NOT NULL);");
    sqlite.exec("PRAGMA user_version=" + std::to_string(kFormat));
  } catch (const SQLite::Exception& failure) {
    throw Database::Translated(path.string(), failure);
  }
}

Journal::~Journal() = default;

std::optional<std::vector<ArtifactRecord>> Journal::FinishedStage(
    const std::string& stage, const std::string& input_hash) const {
  return database_->Do([&]() -> std::optional<std::vector<ArtifactRecord>> {
    SQLite::Statement finished(database_->sqlite,
                               "SELECT 1 FROM stages WHERE name = ? AND input_hash = ?");
    finished.bind(1, stage);
    finished.bind(2, input_hash);
    if (!finished.executeStep()) return std::nullopt;
    SQLite::Statement query(database_->sqlite,
                            "SELECT name, sha256 FROM artifacts WHERE stage = ? ORDER BY position");
    query.bind(1, stage);
    std::vector<ArtifactRecord> artifacts;
    while (query.executeStep()) {
      artifacts.push_back({query.getColumn(0).getString(), query.getColumn(1).getString()});
    }
    return artifacts;
  });
}

bool Journal::WasFinished(const std::string& stage) const {
  return database_->Do([&] {
    SQLite::Statement query(database_->sqlite, "SELECT 1 FROM stages WHERE name = ?");
    query.bind(1, stage);
    return query.executeStep();
  });
}

void Journal::FinishStage(const std::string& stage, const std::string& input_hash,
                          const std::vector<ArtifactRecord>& artifacts) {
  database_->Do([&] {
    SQLite::Transaction transaction(database_->sqlite);
    SQLite::Statement remove(database_->sqlite, "DELETE FROM artifacts WHERE stage = ?");
    remove.bind(1, stage);
    remove.exec();
    int position = 0;
    for (const ArtifactRecord& artifact : artifacts) {
      SQLite::Statement insert(database_->sqlite, "INSERT INTO artifacts VALUES(?, ?, ?, ?)");
      insert.bind(1, stage);
      insert.bind(2, position++);
      insert.bind(3, artifact.name);
      insert.bind(4, artifact.sha256);
      insert.exec();
    }
    SQLite::Statement insert(database_->sqlite, "INSERT OR REPLACE INTO stages VALUES(?, ?)");
    insert.bind(1, stage);
    insert.bind(2, input_hash);
    insert.exec();
    transaction.commit();
  });
}

std::vector<std::string> Journal::ArtifactNames() const {
  return database_->Do([&] {
    std::vector<std::string> names;
    SQLite::Statement query(database_->sqlite, "SELECT DISTINCT name FROM artifacts ORDER BY name");
    while (query.executeStep()) names.push_back(query.getColumn(0).getString());
    return names;
  });
}

std::optional<std::string> Journal::Item(const std::string& stage, const std::string& input_hash,
                                         const std::string& key) const {
  return database_->Do([&]() -> std::optional<std::string> {
    SQLite::Statement query(
        database_->sqlite,
        "SELECT payload FROM items WHERE stage = ? AND input_hash = ? AND key = ?");
    query.bind(1, stage);
    query.bind(2, input_hash);
    query.bind(3, key);
    if (!query.executeStep()) return std::nullopt;
    return query.getColumn(0).getString();
  });
}

void Journal::AddItem(const std::string& stage, const std::string& input_hash,
                      const std::string& key, const std::string& payload) {
  database_->Do([&] {
    SQLite::Statement insert(database_->sqlite, "INSERT OR REPLACE INTO items VALUES(?, ?, ?, ?)");
    insert.bind(1, stage);
    insert.bind(2, input_hash);
    insert.bind(3, key);
    insert.bind(4, payload);
    insert.exec();
  });
}

void Journal::AddSeconds(const std::string& stage, double seconds) {
  database_->Do([&] {
    SQLite::Statement insert(database_->sqlite,
                             "INSERT INTO seconds VALUES(?1, ?2)"
                             " ON CONFLICT(stage) DO UPDATE SET seconds = seconds + ?2");
    insert.bind(1, stage);
    insert.bind(2, seconds);
    insert.exec();
  });
}

std::map<std::string, double> Journal::Seconds() const {
  return database_->Do([&] {
    std::map<std::string, double> seconds;
    SQLite::Statement query(database_->sqlite, "SELECT stage, seconds FROM seconds");
    while (query.executeStep()) {
      seconds[query.getColumn(0).getString()] = query.getColumn(1).getDouble();
    }
    return seconds;
  });
}

std::map<std::string, std::int64_t> Journal::ItemCounts() const {
  return database_->Do([&] {
    std::map<std::string, std::int64_t> counts;
    SQLite::Statement query(database_->sqlite, "SELECT stage, COUNT(*) FROM items GROUP BY stage");
    while (query.executeStep()) {
      counts[query.getColumn(0).getString()] = query.getColumn(1).getInt64();
    }
    return counts;
  });
}

}  // namespace bitsearch
