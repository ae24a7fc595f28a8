#pragma once
// The files of predictor/service/web, embedded when the build is configured (web_files.cc.in).

namespace bitsearch {

extern const char kPageHtml[];
extern const char kOpenApiJson[];

}  // namespace bitsearch
