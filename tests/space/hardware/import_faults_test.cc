// Malformed files of every format: the error, its row and its column.
#include <gtest/gtest.h>

#include <functional>

#include "space/hardware/importers.h"
#include "space/support/error.h"
#include "tests/space/hardware/scratch_folder.h"

namespace bitsearch {
namespace {

constexpr BitChoice kInt8{NumberFormat::Integer(8), NumberFormat::Integer(8)};

struct Fault {
  std::string text;
  int line;
  int column;
  ErrorId id = ErrorId::kProfileFormat;
};

void ExpectFaults(const std::vector<Fault>& faults,
                  const std::function<void(const std::string& path)>& import) {
  const TestFolder folder;
  for (const Fault& fault : faults) {
    const std::string path = folder.Write("file", fault.text);
    try {
      import(path);
      ADD_FAILURE() << "accepted: " << fault.text;
    } catch (const Error& error) {
      EXPECT_EQ(error.id(), fault.id) << error.what();
      EXPECT_EQ(error.location().file, path) << error.what();
      EXPECT_EQ(error.location().line, fault.line) << error.what();
      EXPECT_EQ(error.location().column, fault.column) << error.what();
    } catch (const ErrorList& errors) {
      EXPECT_EQ(errors.errors().front().location().line, fault.line) << errors.what();
    }
  }
}

TEST(ImportFaults, TensorRt) {
  const std::string row = R"("timeMs": 1, "averageMs": 1, "percentage": 1)";
  ExpectFaults(
      {
          {"[{\"count\": 5},\n {\"name\": \"a\", " + row + ", \"medianMs\": -1}]", 2, 74},
          {"[{\"count\": 5},\n {\"name\": \"a\", " + row + "}]", 2, 2},
          {"[{\"count\": 5},\n {\"name\": 7, " + row + ", \"medianMs\": 1}]", 2, 11},
          {"[{\"name\": \"a\"}]", 1, 1},
          {"[{\"count\": 5},\n", 2, 1},
          {"[{\"count\": 5} {\"name\": \"a\"}]", 1, 15},
          {"{\"count\": 5}", 1, 1},
          {"", 1, 1},
          {"[{\"count\": \"many\"}]", 1, 12},
      },
      [](const std::string& path) { ImportTensorRt(path, "", kInt8, {}); });
}

TEST(ImportFaults, OnnxRuntime) {
  ExpectFaults(
      {
          {"[{\"cat\": \"Node\", \"name\": \"a_kernel_time\", \"dur\": 3, \"ts\": 1,\n"
           "  \"args\": {\"op_name\": \"Conv\"}}]",
           2, 11},
          {"[{\"cat\": \"Node\", \"name\": \"a_kernel_time\", \"dur\": null, \"ts\": 1,\n"
           "  \"args\": {\"op_name\": \"Conv\", \"node_index\": \"1\"}}]",
           1, 50},
          {"[{\"cat\": \"Node\", \"name\": \"a_kernel_time\", \"dur\": 3, \"ts\": 1,\n"
           "  \"args\": {\"op_name\": \"Conv\", \"node_index\": \"one\"}}]",
           2, 45},
          {"[]", 1, 1},
          {"[{\"cat\": \"Session\"", 1, 19},
      },
      [](const std::string& path) { ImportOnnxRuntime(path, "", kInt8, {}, nullptr); });
}

TEST(ImportFaults, OpenVino) {
  const std::string head = "layerName;execStatus;layerType;execType;realTime (ms);cpuTime (ms);\n";
  ExpectFaults(
      {
          {head + "a;EXECUTED;Convolution;jit;fast;0.1;\n", 2, 28, ErrorId::kCsvNumber},
          {head + "a;EXECUTED;Convolution;jit;-0.1;0.1;\n", 2, 28},
          {head + "a;DONE;Convolution;jit;0.1;0.1;\n", 2, 3},
          {head + "a;EXECUTED;Convolution;jit;0.1;0.1\n", 2, 32},
          {head + "a;EXECUTED;Convolution;0.1;0.1;\n", 2, 1},
          {head + "Total;;;;1;1;\na;EXECUTED;Convolution;jit;0.1;0.1;\n", 3, 1},
          {"layerName;execStatus;layerType;execType;realTime;cpuTime (ms);\n", 1, 41},
          {"layer,weight_bits\n", 1, 1},
      },
      [](const std::string& path) { ImportOpenVino(path, kInt8, {}); });
}

TEST(ImportFaults, Apq) {
  const auto layer = [](const std::string& bits) {
    return "{\"layers\": [\n{\"in_channels\": 8, \"out_channels\": 8, \"input_size\": 8, "
           "\"kernel\": 1, \"stride\": 1, \"padding\": 0, \"groups\": 1,\n"
           "\"latency_ms_energy_mJ\": {" +
           bits + "}}]}";
  };
  ExpectFaults(
      {
          {layer("\"4x8\": [1, 1]"), 3, 33},
          {layer("\"W4A8\": [1]"), 3, 34},
          {layer("\"W4A8\": [1, -1]"), 3, 38},
          {"{\"layers\": [{\"in_channels\": 8}]}", 1, 13},
          {"{\"layers\": []}", 1, 12},
      },
      [](const std::string& path) { ImportApq(path); });
}

TEST(ImportFaults, Hawq) {
  ExpectFaults(
      {
          {"x = 1\n", 1, 1},
          {"latency_int8 = np.array([1, two])\n", 1, 29},
          {"a = 0\nlatency_int8 = np.array([1, 2\n", 3, 1},
          {"latency_int8 = [1]\nlatency_int4 = [1, 2]\n", 2, 1},
          {"latency_int80 = [1]\n", 1, 1},
          {"latency_int8 = [1]\nlatency_int8 = [2]\n", 2, 1, ErrorId::kLatencyDuplicate},
      },
      [](const std::string& path) { ImportHawq(path, {}); });
}

TEST(ImportFaults, OnceForAll) {
  ExpectFaults(
      {
          {"Conv-input:8x8x3-output:8x8x16:\n  count: 3\n", 2, 0},
          {"Conv-input:8x8x3:\n  mean: 3\n", 2, 3},
          {"Conv-input:8xax3-output:8x8x16:\n  mean: 3\n", 2, 3},
          {"Conv:\n  mean: 3\n", 2, 3},
          {"Conv-input:8x8x3-output:8x8x16:\n  mean: -3\n", 2, 0},
      },
      [](const std::string& path) { ImportOnceForAll(path, kInt8); });
}

TEST(ImportFaults, HaqAtEveryTruncation) {
  const TestFolder folder;
  std::string file("\x93NUMPY\x01\x00\x46\x00", 10);
  std::string header = "{'descr': '<i8', 'fortran_order': False, 'shape': (1, 1, 2), }";
  header.resize(70, ' ');
  file += header;
  file.append(16, '\0');
  ASSERT_NO_THROW(ImportHaq(folder.Write("whole.npy", file), {}));
  for (std::size_t size = 0; size < file.size(); ++size) {
    EXPECT_THROW(ImportHaq(folder.Write("cut.npy", file.substr(0, size)), {}), Error) << size;
  }
  std::string floats = file;
  floats[22] = 'f';
  EXPECT_THROW(ImportHaq(folder.Write("floats.npy", floats), {}), Error);
  std::string negative = file;
  negative.back() = '\xff';
  EXPECT_THROW(ImportHaq(folder.Write("negative.npy", negative), {}), Error);
}

}  // namespace
}  // namespace bitsearch
