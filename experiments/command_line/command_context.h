#pragma once
// What every command of the command line is given, and how it says what it did.
// A command lives in <name>_command.{h,cc}: one function that adds its options to the application
// and sets CommandContext::action when it was asked for. commands.cc calls each by name.

#include <filesystem>
#include <functional>
#include <iosfwd>

#include "space/support/run_context.h"

namespace bitsearch {

/// Exit status of a command that ended without an Error; see DESIGN's exit codes.
enum class ExitCode : int {
  kDone = 0,
  kInfeasible = 4,
  kMismatch = 5,
  kInterrupted = 130,
};

/// Given to every command. Lives in main for the whole process.
struct CommandContext {
  /// Stop token (set by Ctrl-C), progress sink on standard error, thread budget.
  RunContext run;
  /// Standard output: results only, never progress.
  std::ostream& out;
  /// The folder of the executable; the LibTorch module lies there.
  std::filesystem::path executable_folder;
  /// Set by the callback of the command that was asked for; main runs it after parsing. Throws
  /// Error or ErrorList for whatever ends the request.
  std::function<ExitCode()> action;
};

}  // namespace bitsearch
