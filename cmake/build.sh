#!/usr/bin/env bash
# Configures a preset of CMakePresets.json and builds it, or only the named targets.
# Usage: cmake/build.sh PRESET [TARGET ...]
set -euo pipefail
cd "$(dirname "$0")/.."
preset=${1:?a preset}
shift
# One job per core, but no more than memory allows: a file that includes LibTorch takes 1.5 GB.
memory_gb=$(awk '/MemAvailable/ {print int($2 / 1048576)}' /proc/meminfo)
jobs=$(nproc)
[ $((memory_gb / 2)) -lt "$jobs" ] && jobs=$((memory_gb / 2 > 0 ? memory_gb / 2 : 1))

log=$(mktemp)
trap 'rm -f "$log"' EXIT
targets=()
[ $# -gt 0 ] && targets=(--target "$@")
echo "Building preset $preset with $jobs jobs"
# Quiet unless something fails: then the compiler's words are what one needs.
if ! { cmake --preset "$preset" &&
       cmake --build --preset "$preset" --parallel "$jobs" "${targets[@]}"; } >"$log" 2>&1; then
  grep -E -A12 'error|Error|FAILED' "$log" >&2 || tail -40 "$log" >&2
  exit 1
fi
