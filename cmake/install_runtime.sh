#!/usr/bin/env bash
# Installs ONNX Runtime's Node package, the runtime that `bitsearch export --verify`, `deploy` and
# `latency measure --backend onnxruntime` ask, into build/runtime (or the given folder). The package
# holds its own CPU binary: its install script, which would download a GPU one, is not run.
# Usage: cmake/install_runtime.sh [FOLDER]
set -euo pipefail
cd "$(dirname "$0")/.."

version=1.30.0
folder=${1:-build/runtime}
package="$folder/node_modules/onnxruntime-node"
if [ -f "$package/package.json" ] && grep -q "\"version\": \"$version\"" "$package/package.json"; then
  exit 0
fi
for tool in node npm; do
  if ! command -v "$tool" > /dev/null; then
    echo "error: '$tool' is not installed — install Node.js 16 or newer (Debian: nodejs and npm)" >&2
    exit 3
  fi
done
mkdir -p "$folder"
npm install --prefix "$folder" --ignore-scripts --no-save --no-audit --no-fund --loglevel=error \
  "onnxruntime-node@$version"
# Binaries of other systems take two thirds of its 290 MB.
find "$package/bin" -mindepth 2 -maxdepth 2 -type d ! -name linux -exec rm -rf {} +
