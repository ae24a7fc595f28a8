#!/usr/bin/env bash
# Four searches under latencies measured on this machine, and the files that they find timed beside
# their rivals in ONNX Runtime: 20 interleaved rounds, paired 95 % intervals. About 10 minutes.
# Needs ./quickstart or ./check first, the shared test data, and apt-get install python3-numpy
# python3-pil fonts-dejavu-core.
# Usage: experiments/demonstrations/demonstrations.sh     (everything goes to runs/demonstrations)
set -euo pipefail
cd "$(dirname "$0")/../.."
here=experiments/demonstrations
out=runs/demonstrations
bitsearch=build/ci/bin/bitsearch
data=../shared/data
mkdir -p "$out"
cmake/install_runtime.sh

/usr/bin/python3 $here/text_images.py $out/pages.npy --count 192 --size 160x160
/usr/bin/python3 $here/text_images.py $out/lines.npy --count 384 --size 48x192 --lines
[ -f $out/fashion_mnist_mlp.onnx ] ||
  $bitsearch train $here/fashion_mnist_mlp_train.yaml --set train.output=$out/fashion_mnist_mlp.onnx

measure() {  # NAME MODEL OPTION…
  $bitsearch latency measure "$2" --backend onnxruntime --out "$out/$1.csv" "${@:3}"
}
search() {  # NAME FOLDER OPTION…
  rm -rf "${out:?}/$2"
  $bitsearch run "$here/$1.yaml" --out "$out/$2" "${@:3}"
}
compare() {  # NAME MODEL OPTION…
  $bitsearch latency check "$out/$1.csv" --model "$2" --rounds 20 --repetitions 40 "${@:3}" | tee "$out/$1.txt"
}

echo "(a) {fp32, INT8} on deployed networks: ours, greedy fallback, the same search without edges"
for network in detector classifier; do
  model=$data/onnx/ocr/ch_PP-OCRv4_det_infer.onnx shape=1,3,160,160
  [ $network = detector ] ||
    { model=$data/onnx/ocr/ch_ppocr_mobile_v2.0_cls_infer.onnx; shape=1,3,48,192; }
  name=ocr_$network
  measure $name $model --shape $shape --choices 8,8
  search $name $name
  search $name ${name}_without_edges --set costs.latency=$out/$name.csv
  compare $name $model --shape $shape --config $out/$name/config_goal.json \
    --config $out/$name/config_goal_fallback.json \
    --config $out/${name}_without_edges/config_goal.json --config fp32 --config int8
done

echo "(b) {4, 8, fp32}, weights only, on matrix products"
model=$out/fashion_mnist_mlp.onnx
measure fashion_mnist_mlp $model --choices 8,fp32 --choices 4,fp32 --container storage
search fashion_mnist_mlp fashion_mnist_mlp
compare fashion_mnist_mlp $model --container storage \
  --config $out/fashion_mnist_mlp/config_goal.json --config fp32 --config w8afp32 --config w4afp32

echo "(c) INT4 convolutions: a search by measured latency, and one by bit operations"
model=$data/onnx/resnet20/resnet20_cifar10_bnfold_clean.onnx
measure resnet20_int4 $model --choices 8,8 --choices 4,8 --container storage
search resnet20_int4 resnet20_int4
search resnet20_int4 resnet20_int4_by_bops --set goal.minimise=bops
compare resnet20_int4 $model --container storage --config $out/resnet20_int4/config_goal.json \
  --config $out/resnet20_int4_by_bops/config_goal.json --config fp32 --config int8
