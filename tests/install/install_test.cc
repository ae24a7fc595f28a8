// The installed package: found by CMake and pkg-config from a scratch prefix, used from C99 and
// C++17, bit-equal to the predictor; and what the library links and shows.
#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <sstream>
#include <string>

#include "space/support/files.h"
#include "tests/install/shell.h"

namespace bitsearch {
namespace {

namespace fs = std::filesystem;

class InstallTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = fs::path(testing::TempDir()) / ("bitsearch_install_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
    const ShellResult installed =
        Shell("cmake --install '" BITSEARCH_BINARY_DIR "' --component predictor --prefix '" +
              Prefix() + "'");
    ASSERT_EQ(installed.status, 0) << installed.output;
    const ShellResult written = Shell("'" BITSEARCH_WRITE_TEST_PREDICTOR "' '" + Data() + "'");
    ASSERT_EQ(written.status, 0) << written.output;
  }
  static void TearDownTestSuite() { fs::remove_all(folder_); }

  static std::string Prefix() { return (folder_ / "prefix").string(); }
  static std::string Data() { return (folder_ / "data").string(); }
  static std::string Library() {
    for (const auto& entry : fs::recursive_directory_iterator(Prefix())) {
      if (entry.path().filename() == "libbitsearch_predictor.so.0") return entry.path().string();
    }
    return "";
  }
  /// Runs a client on the rows and compares its lines with the predictor's own.
  static void ExpectBitEqual(const std::string& client, const std::string& mode = "") {
    const ShellResult run =
        Shell(client + " '" + Data() + "/model.bspred' '" + Data() + "/rows.txt' " + mode);
    EXPECT_EQ(run.status, 0) << run.output;
    EXPECT_EQ(run.output, ReadTextFile(Data() + "/expected.txt"));
  }

  static void ExpectPythonBitEqual(const std::string& python, const std::string& module_folder,
                                   const std::string& mode) {
    ExpectBitEqual("PYTHONDONTWRITEBYTECODE=1 PYTHONPATH='" + module_folder +
                       "' BITSEARCH_PREDICTOR_LIBRARY='" + Library() + "' " + python +
                       " '" BITSEARCH_SOURCE_DIR "/tests/install/client/python_client.py'",
                   mode);
  }

  static fs::path folder_;
};
fs::path InstallTest::folder_;

TEST_F(InstallTest, CMakeFindsThePackageForCAndCpp) {
  const std::string build = (folder_ / "client").string();
  const ShellResult built =
      Shell("cmake -S '" BITSEARCH_SOURCE_DIR "/tests/install/client' -B '" + build +
            "' -DCMAKE_PREFIX_PATH='" + Prefix() + "' && cmake --build '" + build + "'");
  ASSERT_EQ(built.status, 0) << built.output;
  ExpectBitEqual("'" + build + "/c_client'");
  ExpectBitEqual("'" + build + "/cpp_client'");
}

TEST_F(InstallTest, PkgConfigNamesTheFlagsEvenAfterAMove) {
  const fs::path moved = folder_ / "moved";
  fs::copy(Prefix(), moved, fs::copy_options::recursive | fs::copy_options::copy_symlinks);
  const std::string library_folder =
      (moved / fs::relative(fs::path(Library()).parent_path(), Prefix())).string();
  const std::string pkg_config = "PKG_CONFIG_PATH='" + library_folder + "/pkgconfig' pkg-config ";
  ASSERT_EQ(Shell(pkg_config + "--modversion bitsearch-predictor").output, "0.1.0\n");
  const ShellResult built =
      Shell("cc -std=c99 -pedantic -Wall -Werror -o '" + (folder_ / "pc_client").string() + "' '" +
            BITSEARCH_SOURCE_DIR "/tests/install/client/c_client.c' $(" + pkg_config +
            "--cflags --libs bitsearch-predictor)");
  ASSERT_EQ(built.status, 0) << built.output;
  ExpectBitEqual("LD_LIBRARY_PATH='" + library_folder + "' '" + (folder_ / "pc_client").string() +
                 "'");
}

TEST_F(InstallTest, PipInstallsThePythonModuleFromTheSourceTree) {
  if (Shell("python3 -m pip --version").status != 0) GTEST_SKIP() << "no pip for python3";
  const std::string site = (folder_ / "site").string();
  const ShellResult installed =
      Shell("cp -r '" BITSEARCH_SOURCE_DIR "/predictor/python' '" + (folder_ / "python").string() +
            "' && python3 -m pip install --no-index --target '" + site + "' '" +
            (folder_ / "python").string() + "'");
  ASSERT_EQ(installed.status, 0) << installed.output;
  for (const char* mode : {"bytes", "lists"}) ExpectPythonBitEqual("python3", site, mode);
}

TEST_F(InstallTest, PythonTakesNumPyThroughTheBufferProtocol) {
  std::string python;
  for (const char* candidate : {"python3", "/usr/bin/python3"}) {
    if (Shell(std::string(candidate) + " -c 'import numpy'").status == 0) python = candidate;
  }
  if (python.empty()) GTEST_SKIP() << "no python3 with NumPy (Debian's python3-numpy)";
  for (const char* mode : {"numpy", "strided"}) {
    ExpectPythonBitEqual(python, BITSEARCH_SOURCE_DIR "/predictor/python", mode);
  }
}

TEST_F(InstallTest, TheLibraryLinksNeitherLibTorchNorTbb) {
  ASSERT_NE(Library(), "");
  const ShellResult needed = Shell("readelf -d '" + Library() + "'; ldd '" + Library() + "'");
  ASSERT_EQ(needed.status, 0) << needed.output;
  EXPECT_NE(needed.output.find("SONAME"), std::string::npos);
  EXPECT_NE(needed.output.find("[libbitsearch_predictor.so.0]"), std::string::npos);
  for (const char* unwanted : {"torch", "c10", "tbb", "yaml", "onnx", "protobuf", "opencv",
                               "openblas", "sqlite", "httplib", "not found"}) {
    EXPECT_EQ(needed.output.find(unwanted), std::string::npos) << unwanted << needed.output;
  }
}

TEST_F(InstallTest, TheLibraryShowsTheCInterfaceAlone) {
  const ShellResult symbols = Shell("nm -D --defined-only '" + Library() + "'");
  ASSERT_EQ(symbols.status, 0) << symbols.output;
  std::set<std::string> shown;
  std::istringstream lines(symbols.output);
  for (std::string address, kind, name; lines >> address >> kind >> name;) {
    name = name.substr(0, name.find('@'));
    if (kind == "A") continue;  // The version node itself.
    EXPECT_TRUE(name.starts_with("bitsearch_")) << name;
    shown.insert(name);
  }
  // Every function of the header is there, and no other.
  const std::string header =
      ReadTextFile(BITSEARCH_SOURCE_DIR "/predictor/c_api/include/bitsearch/predictor.h");
  std::set<std::string> declared;
  for (std::size_t at = header.find("BITSEARCH_API "); at != std::string::npos;
       at = header.find("BITSEARCH_API ", at + 1)) {
    const std::size_t open = header.find('(', at);
    if (header.compare(at, 27, "BITSEARCH_API __attribute__") == 0 || open == std::string::npos) {
      continue;
    }
    const std::size_t start = header.find_last_of(" *", open - 1) + 1;
    declared.insert(header.substr(start, open - start));
  }
  declared.erase("");
  EXPECT_EQ(shown, declared);
  EXPECT_GT(shown.size(), 10U);
}

}  // namespace
}  // namespace bitsearch
