#include "space/support/error.h"

#include <array>
#include <cctype>
#include <utility>

namespace bitsearch {
namespace {

struct ErrorInfo {
  ErrorId id;
  std::string_view slug;
  ErrorClass error_class;
};

constexpr std::array kErrors = {
#define BITSEARCH_ERROR(enumerator, slug, error_class) \
  ErrorInfo{ErrorId::enumerator, slug, ErrorClass::error_class},
#include "space/support/error_ids.def"
#undef BITSEARCH_ERROR
};

}  // namespace

std::string_view Slug(ErrorId id) { return kErrors[static_cast<std::size_t>(id)].slug; }

ErrorClass ClassOf(ErrorId id) { return kErrors[static_cast<std::size_t>(id)].error_class; }

const std::vector<ErrorId>& AllErrorIds() {
  static const std::vector<ErrorId> ids = [] {
    std::vector<ErrorId> all;
    for (const ErrorInfo& info : kErrors) all.push_back(info.id);
    return all;
  }();
  return ids;
}

Error::Error(ErrorId id, std::string message) : id_(id), message_(std::move(message)) { Render(); }

Error& Error::At(SourceLocation location) {
  location_ = std::move(location);
  Render();
  return *this;
}

Error& Error::Key(std::string key) {
  key_ = std::move(key);
  Render();
  return *this;
}

Error& Error::Hint(std::string hint) {
  hint_ = std::move(hint);
  Render();
  return *this;
}

Error& Error::Context(std::string context) {
  context_.push_back(std::move(context));
  Render();
  return *this;
}

void Error::Render() {
  rendered_.clear();
  if (!location_.file.empty()) {
    rendered_ += location_.file;
    if (location_.line > 0) rendered_ += ":" + std::to_string(location_.line);
    if (location_.line > 0 && location_.column > 0) {
      rendered_ += ":" + std::to_string(location_.column);
    }
    rendered_ += ": ";
  }
  rendered_ += "error: ";
  if (!key_.empty()) rendered_ += key_ + ": ";
  rendered_ += message_;
  if (!hint_.empty()) rendered_ += " — " + hint_;
  for (const std::string& context : context_) rendered_ += "\n  " + context;
  // A damaged file's text may be quoted; a NUL would end what() there.
  for (char& c : rendered_) {
    if (std::iscntrl(static_cast<unsigned char>(c)) != 0 && c != '\n' && c != '\t') c = '?';
  }
}

ErrorList::ErrorList(std::vector<Error> errors) : errors_(std::move(errors)) {
  for (const Error& error : errors_) {
    if (!rendered_.empty()) rendered_ += "\n";
    rendered_ += error.what();
  }
}

}  // namespace bitsearch
