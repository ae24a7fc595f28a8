#pragma once
// One family of errors for everything that ends a request.
// Expected outcomes (infeasible, out of time, interrupted) are a status in a result, not an error.
// Depends on nothing; the library throws, only the command line prints and exits.

#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bitsearch {

/// Exit status of the command line for an error's class; the values are the contract of DESIGN.md.
enum class ErrorClass : std::uint8_t {
  kInternal = 1,
  kUsage = 2,
  kData = 3,
  kInfeasible = 4,
  kMismatch = 5,
  kInterrupted = 130,
};

/// One enumerator per distinct error that bitsearch can give; see error_ids.def.
enum class ErrorId : std::uint16_t {
#define BITSEARCH_ERROR(enumerator, slug, error_class) enumerator,
#include "space/support/error_ids.def"
#undef BITSEARCH_ERROR
};

/// The stable, lower-case name of an error, e.g. "yaml-unknown-key".
std::string_view Slug(ErrorId id);
/// The exit class of an error.
ErrorClass ClassOf(ErrorId id);
/// Every ErrorId, in the order of error_ids.def.
const std::vector<ErrorId>& AllErrorIds();

/// Where in the user's input an error was found. Lines and columns count from 1; 0 means unknown.
struct SourceLocation {
  std::string file;
  int line = 0;
  int column = 0;
};

/// The one exception type of bitsearch.
///
/// Prints as `file:line:column: error: key.path: what — hint`, parts that are empty left out.
/// Built fluently: `throw Error(ErrorId::kFileNotFound, "cannot open").At({path}).Hint("…")`.
/// Messages say what was got and what is allowed; hints say what to do.
class Error : public std::exception {
 public:
  Error(ErrorId id, std::string message);

  Error& At(SourceLocation location);
  /// Key path in a configuration file, layer or node name: the thing that is wrong.
  Error& Key(std::string key);
  Error& Hint(std::string hint);
  /// Adds what was being done when the error arose, outermost last ("while reading model.onnx").
  Error& Context(std::string context);

  ErrorId id() const { return id_; }
  const std::string& message() const { return message_; }
  const SourceLocation& location() const { return location_; }
  const std::string& key() const { return key_; }
  const std::string& hint() const { return hint_; }
  const std::vector<std::string>& context() const { return context_; }

  const char* what() const noexcept override { return rendered_.c_str(); }

 private:
  void Render();

  ErrorId id_;
  std::string message_;
  SourceLocation location_;
  std::string key_;
  std::string hint_;
  std::vector<std::string> context_;
  std::string rendered_;
};

/// Several errors found in one pass over an input (a YAML file reports all of its errors at once).
/// `what()` is one line per error; the exit class is that of the first.
class ErrorList : public std::exception {
 public:
  /// `errors` must not be empty.
  explicit ErrorList(std::vector<Error> errors);
  const std::vector<Error>& errors() const { return errors_; }
  const char* what() const noexcept override { return rendered_.c_str(); }

 private:
  std::vector<Error> errors_;
  std::string rendered_;
};

/// Runs `work` and returns its result; errors that leave it without a place get `place`.
template <typename Work>
auto WithPlace(const SourceLocation& place, Work&& work) {
  const auto complete = [&place](Error& error) {
    if (error.location().file.empty()) error.At(place);
  };
  try {
    return work();
  } catch (Error& error) {
    complete(error);
    throw;
  } catch (const ErrorList& list) {
    std::vector<Error> errors = list.errors();
    for (Error& error : errors) complete(error);
    throw ErrorList(std::move(errors));
  }
}

}  // namespace bitsearch
