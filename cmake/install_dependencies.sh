#!/usr/bin/env bash
# Installs what building, testing and running need, from Debian 12. Does nothing where all is there.
# Called by ./quickstart, and by ./check with --tests: what only tests use (a browser, curl, NumPy,
# Node.js).
set -euo pipefail

packages=(
  build-essential cmake ninja-build ccache pkg-config ca-certificates
  libtorch-dev libopenblas0-pthread libdnnl-dev ocl-icd-opencl-dev
  libeigen3-dev libboost-dev libboost-graph-dev libtbb-dev
  libyaml-cpp-dev nlohmann-json3-dev libcli11-dev libfmt-dev libspdlog-dev
  libcpp-httplib-dev libsqlitecpp-dev libsqlite3-dev libssl-dev zlib1g-dev
  libonnx-dev libprotobuf-dev protobuf-compiler
  libgtest-dev libgmock-dev libbenchmark-dev
  node-d3
  dataset-fashion-mnist
)

if [ "${1:-}" = --tests ]; then
  packages+=(chromium curl python3 python3-numpy)
  # A Node.js from elsewhere serves as well, and Debian's would be in conflict with it.
  command -v node > /dev/null || packages+=(nodejs)
  command -v npm > /dev/null || packages+=(npm)
fi

missing=()
for package in "${packages[@]}"; do
  state=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$state" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "error: these packages are missing and only root can install them: ${missing[*]}" >&2
    exit 2
  fi
  as_root=(sudo)
fi
echo "Installing: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
