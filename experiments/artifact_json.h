#pragma once
// JSON files that a run wrote, read back: a damaged one is said with its place and how to get it
// again. Must not know what is in them.

#include <string>

#include "space/hardware/json_file.h"

namespace bitsearch {

/// Parses an artifact; its faults are Error(`fault`). `name` stands for the file in messages.
JsonValue ParseArtifact(const std::string& text, const std::string& name,
                        ErrorId fault = ErrorId::kJsonSyntax);

/// Throws Error(kFormatVersion) unless the artifact's `format` is the one given.
void RequireFormat(const JsonValue& artifact, const std::string& name, const std::string& format);

}  // namespace bitsearch
