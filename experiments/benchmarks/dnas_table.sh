#!/bin/bash
# The CIFAR-10 table: DNAS, HAWQ + exact, uniform and random at equal size and training time, about
# 11 hours of one core in all. Can be killed and started again: what has finished is kept, and a
# training goes on at its last epoch. The table (OUT/table.md) marks what has not run yet.
#   experiments/benchmarks/dnas_table.sh BUILD OUT DATA [--only NAME | --table | …]
# BUILD: a build folder with benchmarks. DATA: the shared test data (cifar10/, onnx/resnet20/).
set -euo pipefail
build=$1 out=$2 data=$3
shift 3
export OMP_NUM_THREADS=1
mkdir -p "$out"
model=$data/onnx/resnet20/resnet20_cifar10_bn.onnx
train=cifar10:$data/cifar10/train_20k.bin
# Activations are the same for every candidate of a layer, so one file serves both kinds of budgets.
sensitivity=$out/hessian.csv
if [ ! -e "$sensitivity" ]; then
  "$build/bin/bitsearch" sensitivity "$model" --data "$train" --mean 0.485,0.456,0.406 \
    --std 0.229,0.224,0.225 --samples 512 --method hessian --weight-bits 1,2,3,4,8 \
    --no-bias-correction --out "$sensitivity.part"
  mv "$sensitivity.part" "$sensitivity"
fi
"$build/experiments/benchmarks/dnas_table" --model "$model" --train "$train" \
  --test "cifar10:$data/cifar10/test_batch.bin" --out "$out" --threads 1 \
  --hawq-weights-only "$sensitivity" --hawq-a4 "$sensitivity" "$@" >"$out/table.md.part"
mv "$out/table.md.part" "$out/table.md"
cat "$out/table.md"
