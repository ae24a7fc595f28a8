#pragma once
// `bitsearch sensitivity MODEL.onnx --data SPEC --method M --out S.csv`: what each layer's choices
// cost in loss, with standard errors.

#include <CLI/CLI.hpp>

#include "experiments/command_line/command_context.h"

namespace bitsearch {

void AddSensitivityCommand(CLI::App& app, CommandContext& context);

}  // namespace bitsearch
