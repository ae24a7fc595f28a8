// onnx_from_text < MODEL.txt > MODEL.onnx: protobuf's text format → ONNX.
// Lets the cases hold bad models that a person can read.
#include <google/protobuf/io/zero_copy_stream_impl.h>
#include <google/protobuf/text_format.h>
#include <onnx/onnx_pb.h>
#include <unistd.h>

#include <iostream>

int main() {
  google::protobuf::io::FileInputStream text(STDIN_FILENO);
  onnx::ModelProto model;
  // The parser itself says on standard error what it cannot read.
  if (!google::protobuf::TextFormat::Parse(&text, &model)) return 1;
  return model.SerializeToOstream(&std::cout) ? 0 : 1;
}
