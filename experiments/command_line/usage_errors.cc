// Usage errors: which command, which flag, what was meant. Must not know any command by name.
#include "experiments/command_line/usage_errors.h"

#include <fmt/format.h>

#include "space/support/files.h"

namespace bitsearch {
namespace {

std::vector<std::string> CommandNames(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(command->get_name());
  }
  return names;
}

std::vector<std::string> FlagNames(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    for (const std::string& name : option->get_snames()) names.push_back("-" + name);
  }
  return names;
}

std::string Join(const std::vector<std::string>& names) {
  std::string joined;
  for (const std::string& name : names) joined += (joined.empty() ? "" : ", ") + name;
  return joined;
}

std::string HelpHint(const std::string& place) { return fmt::format("see {} --help", place); }

}  // namespace

Error UsageErrorOf(const CLI::App& app, const CLI::ParseError& failure,
                   const std::vector<std::string>& arguments) {
  // Follow the commands as far as they are known: "bitsearch latency import".
  const CLI::App* command = &app;
  std::string place = app.get_name();
  std::size_t next = 0;
  for (; next < arguments.size(); ++next) {
    const auto& word = arguments[next];
    const CLI::App* found = nullptr;
    for (const CLI::App* candidate :
         command->get_subcommands([](const CLI::App*) { return true; })) {
      if (candidate->get_name() == word) found = candidate;
    }
    if (found == nullptr) break;
    command = found;
    place += " " + word;
  }
  const auto error = [&](const std::string& message) {
    return Error(ErrorId::kUsage, message).At({place, 0, 0});
  };
  const std::vector<std::string> names = CommandNames(*command);
  if (!names.empty()) {
    if (next >= arguments.size()) {
      return error(fmt::format("a command is missing (allowed {})", Join(names)))
          .Hint(HelpHint(place));
    }
    if (!arguments[next].starts_with('-')) {
      const std::string nearest = NearestName(arguments[next], names);
      return error(fmt::format("got \"{}\", which is no command (allowed {})", arguments[next],
                               Join(names)))
          .Hint(nearest.empty() ? HelpHint(place) : fmt::format("did you mean \"{}\"?", nearest));
    }
  }
  if (dynamic_cast<const CLI::ExtrasError*>(&failure) != nullptr) {
    const std::vector<std::string> extras = app.remaining(true);
    const std::string extra = extras.empty() ? "" : extras.front();
    if (extra.starts_with('-')) {
      const std::string flag = extra.substr(0, extra.find('='));
      const std::string nearest = NearestName(flag, FlagNames(*command));
      return error("got an unknown flag")
          .Key(flag)
          .Hint(nearest.empty() ? HelpHint(place) : fmt::format("did you mean \"{}\"?", nearest));
    }
    return error(fmt::format("got \"{}\", which belongs to no option", extra))
        .Hint(HelpHint(place));
  }
  // CLI11 writes "--flag: message"; the flag is the key of our form.
  std::string message = failure.what();
  const std::size_t colon = message.find(": ");
  if (message.starts_with("--") && colon != std::string::npos && message.find(' ') == colon + 1) {
    return error(message.substr(colon + 2)).Key(message.substr(0, colon)).Hint(HelpHint(place));
  }
  return error(message).Hint(HelpHint(place));
}

}  // namespace bitsearch
