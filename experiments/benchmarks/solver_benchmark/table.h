#pragma once
// Markdown tables on standard output, row by row.

#include <string>
#include <vector>

namespace bitsearch {

void PrintHeading(const std::string& text);
void PrintHeader(const std::vector<std::string>& cells);
void PrintRow(const std::vector<std::string>& cells);

/// "1.23 ms", "4.56 s".
std::string TimeText(double seconds);

}  // namespace bitsearch
