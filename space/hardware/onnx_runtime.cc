#include "space/hardware/onnx_runtime.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>

#include "space/hardware/run_onnx_script.h"
#include "space/support/child_process.h"
#include "space/support/error.h"
#include "space/support/files.h"

namespace bitsearch {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kNoPackage = 3;  // run_onnx.js

constexpr const char* kInstallHint =
    "install Node.js and run cmake/install_runtime.sh, or name another command with --runtime; "
    "BITSEARCH_RUNTIME_MODULES names a node_modules folder";

std::string_view BytesOf(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

/// The last lines of what the runtime said, without its log prefix.
std::string LastWords(const std::string& text) {
  constexpr std::size_t kMost = 600;
  std::string words = text;
  while (!words.empty() && (words.back() == '\n' || words.back() == ' ')) words.pop_back();
  if (words.size() > kMost) words = "…" + words.substr(words.size() - kMost);
  return words.empty() ? "it said nothing" : words;
}

Json RequestJson(const RuntimeRequest& request, const std::filesystem::path& folder) {
  Json inputs = Json::array();
  for (std::size_t i = 0; i < request.inputs.size(); ++i) {
    const RuntimeInput& input = request.inputs[i];
    const std::filesystem::path file = folder / ("input_" + std::to_string(i) + ".f32");
    WriteFileAtomically(file, BytesOf(input.values));
    inputs.push_back({{"name", input.name}, {"shape", input.shape}, {"file", file.string()}});
  }
  Json json = {{"model", std::filesystem::absolute(request.model).string()},
               {"inputs", inputs},
               {"outputs", request.outputs},
               {"level", NameOf(request.level)},
               {"fusion", request.fusion},
               {"threads", request.threads},
               {"batches", request.batches},
               {"repetitions", request.repetitions},
               {"warm_up", request.warm_up},
               {"output_folder", folder.string()}};
  if (!request.profile_folder.empty()) {
    const std::filesystem::path base = std::filesystem::absolute(request.profile_folder);
    json["optimized_model"] = (base / "optimized.onnx").string();
    json["profile_prefix"] = (base / "profile").string();
  }
  return json;
}

std::vector<float> ReadFloats(const std::filesystem::path& path) {
  const std::vector<std::byte> bytes = ReadBinaryFile(path);
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
  return values;
}

/// The profile's name holds a time stamp: it is the only such file in the folder.
std::filesystem::path FindProfile(const std::filesystem::path& folder) {
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.rfind("profile", 0) == 0 && entry.path().extension() == ".json") return entry.path();
  }
  throw Error(ErrorId::kRuntimeFailed, "the runtime wrote no profile").At({folder.string()});
}

Error NoRuntime(const RuntimeLocation& location, const std::string& what) {
  std::string command;
  for (const std::string& word : location.command) command += (command.empty() ? "" : " ") + word;
  return Error(ErrorId::kRuntimeMissing, "the command '" + command + "' " + what)
      .Key("--runtime")
      .Hint(
          "it must run a Node.js script that is its last argument but one; leave --runtime out "
          "for node");
}

/// Throws Error(kRuntimeMissing) where the script cannot run, Error(kRuntimeFailed) with its words
/// where it says that the model cannot.
ChildResult RunScript(const RuntimeLocation& location, const ScratchFolder& scratch,
                      const Json& request, const std::filesystem::path& model,
                      const RunContext& context) {
  const std::filesystem::path script = scratch.path() / "run_onnx.js";
  const std::filesystem::path request_file = scratch.path() / "request.json";
  WriteFileAtomically(script, kRunOnnxScript);
  WriteFileAtomically(request_file, request.dump());
  ChildProcess child;
  child.command = location.command;
  child.command.push_back(script.string());
  child.command.push_back(request_file.string());
  if (!location.modules.empty()) {
    child.environment["BITSEARCH_RUNTIME_MODULES"] = location.modules.string();
  }
  child.should_stop = [&context] { return context.stop.StopRequested(); };
  ChildResult result = RunChild(child);
  context.ThrowIfStopped();
  if (!result.started || result.exit_status == kNoPackage) {
    throw Error(ErrorId::kRuntimeMissing,
                result.started ? LastWords(result.errors)
                               : "'" + location.command.front() + "' cannot be started")
        .Hint(kInstallHint);
  }
  // The script says why it fails; a command that does not run it says nothing, or something else.
  if (result.exit_status != 0 && result.errors.empty()) {
    throw NoRuntime(location,
                    fmt::format("ends with status {} and says nothing", result.exit_status));
  }
  if (result.exit_status != 0) {
    throw Error(ErrorId::kRuntimeFailed, "the runtime failed: " + LastWords(result.errors))
        .At({model.string()})
        .Hint("if the model should run, try a lower optimisation level or without fusion");
  }
  return result;
}

}  // namespace

std::string_view NameOf(OptimizationLevel level) {
  switch (level) {
    case OptimizationLevel::kDisabled:
      return "disabled";
    case OptimizationLevel::kBasic:
      return "basic";
    case OptimizationLevel::kExtended:
      return "extended";
    case OptimizationLevel::kAll:
      return "all";
  }
  return "?";
}

RuntimeLocation FindRuntime(const std::string& text,
                            const std::filesystem::path& executable_folder) {
  RuntimeLocation location;
  std::istringstream words(text);
  std::vector<std::string> command;
  for (std::string word; words >> word;) command.push_back(word);
  if (!command.empty()) location.command = std::move(command);
  std::vector<std::filesystem::path> folders;
  if (const char* given = std::getenv("BITSEARCH_RUNTIME_MODULES")) folders.emplace_back(given);
  folders.push_back(executable_folder / ".." / "runtime" / "node_modules");
  folders.push_back(executable_folder / ".." / ".." / "runtime" / "node_modules");
  for (const std::filesystem::path& folder : folders) {
    std::error_code ignored;
    if (std::filesystem::exists(folder / "onnxruntime-node", ignored)) {
      location.modules = std::filesystem::weakly_canonical(folder, ignored);
      break;
    }
  }
  return location;
}

void RequireRuntime(const RuntimeLocation& location, const RunContext& context) {
  const ScratchFolder scratch;
  const ChildResult result = RunScript(location, scratch, Json::object(), {}, context);
  if (!Json::accept(result.output)) throw NoRuntime(location, "does not answer as the script does");
}

RuntimeAnswer RunInRuntime(const RuntimeLocation& location, const RuntimeRequest& request,
                           const RunContext& context) {
  context.ThrowIfStopped();
  const ScratchFolder scratch;

  const ChildResult result =
      RunScript(location, scratch, RequestJson(request, scratch.path()), request.model, context);
  RuntimeAnswer answer;
  try {
    const Json json = Json::parse(result.output);
    answer.version =
        json.at("runtime").get<std::string>() + " " + json.at("version").get<std::string>();
    answer.seconds = json.at("seconds").get<std::vector<double>>();
    const Json& outputs = json.at("outputs");
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      RuntimeOutput output;
      output.name = outputs[i].at("name").get<std::string>();
      output.shape = outputs[i].at("shape").get<Shape>();
      output.values = ReadFloats(scratch.path() / ("output_" + std::to_string(i) + ".f32"));
      answer.outputs.push_back(std::move(output));
    }
  } catch (const Json::exception&) {
    throw NoRuntime(location, "does not answer as the script does");
  }
  if (!request.profile_folder.empty()) {
    answer.optimized_model = std::filesystem::absolute(request.profile_folder) / "optimized.onnx";
    answer.profile = FindProfile(request.profile_folder);
  }
  return answer;
}

}  // namespace bitsearch
