// The bitsearch executable: parses, runs one command, turns errors into messages and exit codes.
// The only place that prints errors and decides the exit status.
#include <CLI/CLI.hpp>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <iostream>
#include <new>
#include <string>
#include <vector>

#include "experiments/command_line/command_context.h"
#include "experiments/command_line/commands.h"
#include "experiments/command_line/console_progress.h"
#include "experiments/command_line/signal_watcher.h"
#include "experiments/command_line/usage_errors.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

constexpr int kExitInternal = 1;

/// With BITSEARCH_ERROR_IDS in the environment each message ends with its error's id, for scripts.
void Print(const Error& error) {
  std::cerr << error.what();
  if (std::getenv("BITSEARCH_ERROR_IDS") != nullptr) std::cerr << " [" << Slug(error.id()) << "]";
  std::cerr << '\n';
}

int Run(const std::vector<std::string>& arguments, const std::filesystem::path& executable) {
  CommandContext context{RunContext{}, std::cout, executable.parent_path(), nullptr};
  context.run.progress = MakeConsoleProgress();

  CLI::App app(
      "Mixed-precision bit-width search: the fewest lost points of accuracy within a "
      "budget of latency, size or operations.",
      "bitsearch");
  app.set_version_flag("--version", "bitsearch " BITSEARCH_VERSION);
  app.require_subcommand(1);
  app.footer(
      "Exit codes: 0 done, 1 internal, 2 usage or configuration, 3 data or model, "
      "4 infeasible, 5 mismatch, 130 signal.");
  AddCommands(app, context);
  try {
    // CLI11 takes the words in reverse order.
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::Success& request) {  // --help, --version
    return app.exit(request, std::cout, std::cerr);
  } catch (const CLI::ParseError& failure) {
    throw UsageErrorOf(app, failure, arguments);
  }

  const SignalWatcher signals(context.run);
  std::string command = app.get_name();
  for (const CLI::App* part = &app; !part->get_subcommands().empty();) {
    part = part->get_subcommands().front();
    command += " " + part->get_name();
  }
  const ExitCode code = WithPlace({command}, context.action);
  if (!std::cout.flush()) {
    throw Error(ErrorId::kFileWrite, "cannot write the result")
        .At({"standard output", 0, 0})
        .Hint("is the disk full, or the reader gone?");
  }
  return static_cast<int>(code);
}

}  // namespace
}  // namespace bitsearch

int main(int argc, char** argv) {
  try {
    std::error_code ignored;
    std::filesystem::path executable = std::filesystem::read_symlink("/proc/self/exe", ignored);
    if (executable.empty()) executable = argv[0];
    return bitsearch::Run(std::vector<std::string>(argv + 1, argv + argc), executable);
  } catch (const bitsearch::Error& error) {
    bitsearch::Print(error);
    return static_cast<int>(bitsearch::ClassOf(error.id()));
  } catch (const bitsearch::ErrorList& list) {
    for (const bitsearch::Error& error : list.errors()) bitsearch::Print(error);
    return static_cast<int>(bitsearch::ClassOf(list.errors().front().id()));
  } catch (const std::bad_alloc&) {
    std::cerr << "bitsearch: error: out of memory — use fewer threads or a smaller batch\n";
    return bitsearch::kExitInternal;
  } catch (const std::exception& failure) {
    std::cerr << "bitsearch: internal error: " << failure.what()
              << " — this is a defect of bitsearch, please report it\n";
    return bitsearch::kExitInternal;
  }
}
