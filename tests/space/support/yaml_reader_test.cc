// The YAML reader: what yaml-cpp lets pass must not pass here.
#include "space/support/yaml_reader.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitsearch {
namespace {

using ::testing::HasSubstr;

/// All errors of a file after `read` has read it.
template <typename Function>
std::vector<Error> ErrorsOf(const std::string& text, Function&& read,
                            const std::vector<std::string>& overrides = {}) {
  try {
    const YamlFile file = YamlFile::Parse(text, "f.yaml", overrides);
    read(file.root());
    file.Finish();
  } catch (const ErrorList& list) {
    return list.errors();
  } catch (const Error& error) {
    return {error};
  }
  return {};
}

TEST(YamlReaderTest, ReadsEveryType) {
  const YamlFile file = YamlFile::Parse(
      "a: 3\nb: -0.5\nc: true\nd: \"x: y\"\ne: [1, 2]\nf:\n  g: low\n  h: 1e-3\n", "f.yaml");
  const YamlNode root = file.root();
  EXPECT_EQ(root["a"].Integer(0, {0, 16}), 3);
  EXPECT_DOUBLE_EQ(root["a"].Number(0.0), 3.0);
  EXPECT_DOUBLE_EQ(root["b"].Number(0.0, {-1.0, 0.0}), -0.5);
  EXPECT_TRUE(root["c"].Boolean(false));
  EXPECT_EQ(root["d"].String(), "x: y");
  ASSERT_EQ(root["e"].Items().size(), 2U);
  EXPECT_EQ(root["e"].Items()[1].Integer(0), 2);
  EXPECT_EQ(root["e"].Items()[1].path(), "e.1");
  EXPECT_EQ(root["f"]["g"].Enum<int>({{"high", 1}, {"low", 2}}, 1), 2);
  EXPECT_DOUBLE_EQ(root["f"]["h"].Number(0.0), 1e-3);
  EXPECT_EQ(root["f"]["absent"]["deeper"].Integer(7), 7);
  EXPECT_NO_THROW(file.Finish());
}

TEST(YamlReaderTest, EveryErrorAtOnceInFileOrder) {
  const std::vector<Error> errors = ErrorsOf(
      "budgte: 1\nbits: 010\nseed: -1\nmode: fasst\nbits: 3\nlist: 3\nflag: yes\nquoted: \"3\"\n",
      [](const YamlNode& root) {
        root["budget"].Required();
        root["bits"].Integer(0);
        root["seed"].Integer(0, {0, 10});
        root["mode"].Choice({"fast", "slow"}, 0);
        root["list"].Items();
        root["flag"].Boolean(false);
        root["quoted"].Integer(0);
      });
  std::vector<ErrorId> ids;
  for (const Error& error : errors) ids.push_back(error.id());
  EXPECT_THAT(ids,
              ::testing::ElementsAre(ErrorId::kYamlMissingKey, ErrorId::kYamlUnknownKey,
                                     ErrorId::kYamlLeadingZero, ErrorId::kYamlRange,
                                     ErrorId::kYamlChoice, ErrorId::kYamlDuplicateKey,
                                     ErrorId::kYamlType, ErrorId::kYamlType, ErrorId::kYamlType));
  EXPECT_STREQ(errors[1].what(),
               "f.yaml:1:1: error: budgte: got an unknown key (allowed budget, bits, seed, mode, "
               "list, flag, quoted) — did you mean \"budget\"?");
  EXPECT_EQ(errors[2].location().line, 2);
  EXPECT_EQ(errors[2].location().column, 7);
  EXPECT_THAT(errors[2].hint(), HasSubstr("10"));
  EXPECT_THAT(errors[4].hint(), HasSubstr("fast"));
  EXPECT_THAT(errors[5].message(), HasSubstr("line 2"));
}

TEST(YamlReaderTest, UnknownKeysAreFoundAtAnyDepth) {
  const std::vector<Error> errors =
      ErrorsOf("a:\n  - b: 1\n    typo: 2\n", [](const YamlNode& root) {
        for (const YamlNode& item : root["a"].Items()) item["b"].Integer(0);
      });
  ASSERT_EQ(errors.size(), 1U);
  EXPECT_EQ(errors[0].key(), "a.0.typo");
  EXPECT_EQ(errors[0].location().line, 3);
}

TEST(YamlReaderTest, FreeKeysAreNotLeftovers) {
  EXPECT_TRUE(ErrorsOf("pins:\n  layer1.0.conv: 8\n", [](const YamlNode& root) {
                for (const auto& [key, value] : root["pins"].Entries()) {
                  EXPECT_EQ(key, "layer1.0.conv");
                  EXPECT_EQ(value.Integer(0), 8);
                  EXPECT_EQ(value.path(), "pins.\"layer1.0.conv\"");
                }
              }).empty());
}

TEST(YamlReaderTest, WrongKindOfMapIsNotedOnce) {
  const std::vector<Error> errors = ErrorsOf("model: resnet\n", [](const YamlNode& root) {
    root["model"]["file"].String();
    root["model"]["name"].String();
  });
  ASSERT_EQ(errors.size(), 1U);
  EXPECT_EQ(errors[0].id(), ErrorId::kYamlType);
}

TEST(YamlReaderTest, SyntaxErrorsHavePlaces) {
  for (const auto& [text, line] : std::vector<std::pair<std::string, int>>{{"a: [1, 2\nb: 3\n", 2},
                                                                           {"a: 1\n\tb: 2\n", 2},
                                                                           {"", 1},
                                                                           {"a: 1\n---\nb: 2\n", 3},
                                                                           {"a: &x [*x]\n", 1},
                                                                           {"[1, 2]: 3\n", 1}}) {
    const std::vector<Error> errors = ErrorsOf(text, [](const YamlNode&) {});
    ASSERT_EQ(errors.size(), 1U) << text;
    EXPECT_EQ(errors[0].id(), ErrorId::kYamlSyntax) << text;
    EXPECT_EQ(errors[0].location().line, line) << errors[0].what();
    EXPECT_GT(errors[0].location().column, 0) << text;
  }
}

TEST(YamlReaderTest, NullIsNotAValue) {
  const std::vector<Error> errors = ErrorsOf("a:\nb: ~\n", [](const YamlNode& root) {
    root["a"].Integer(1);
    root["b"].String();
  });
  ASSERT_EQ(errors.size(), 2U);
  EXPECT_EQ(errors[0].id(), ErrorId::kYamlType);
}

TEST(YamlReaderTest, OverridesReplaceCreateAndIndex) {
  const YamlFile file =
      YamlFile::Parse("a:\n  b: 1\nc: [1, {d: 2}]\n", "f.yaml",
                      {"a.b=5", "new.deep.key=x", "c.1.d=[7, 8]", "pins.\"l.0\"=4", "empty="});
  const YamlNode root = file.root();
  EXPECT_EQ(root["a"]["b"].Integer(0), 5);
  EXPECT_EQ(root["new"]["deep"]["key"].String(), "x");
  EXPECT_EQ(root["c"].Items()[1]["d"].Items().size(), 2U);
  EXPECT_EQ(root["pins"].Entries()[0].first, "l.0");
  EXPECT_EQ(root["empty"].String("z"), "");
  EXPECT_NO_THROW(file.Finish());
}

TEST(YamlReaderTest, BadOverridesAreRefused) {
  for (const char* text : {"", "a", "=1", "a..b=1", "c.9=1", "c.x=1", "a.b.c=1", "a=[1"}) {
    const std::vector<Error> errors =
        ErrorsOf("a:\n  b: 1\nc: [1]\n", [](const YamlNode&) {}, {text});
    ASSERT_EQ(errors.size(), 1U) << text;
    EXPECT_EQ(errors[0].id(), ErrorId::kSetOverride) << text;
    EXPECT_THAT(errors[0].what(), HasSubstr(text));
  }
  const std::vector<Error> errors = ErrorsOf("a: 1\n",
                                             [](const YamlNode& root) {
                                               root["a"].Integer(0, {0, 3});
                                             },
                                             {"a=9"});
  ASSERT_EQ(errors.size(), 1U);
  EXPECT_EQ(errors[0].id(), ErrorId::kYamlRange);
  EXPECT_THAT(errors[0].what(), HasSubstr("--set a=9"));
}

TEST(YamlReaderTest, OverridingAnAliasLeavesItsOtherPlaces) {
  const YamlFile file = YamlFile::Parse("a: &x {k: 1}\nb: *x\n", "f.yaml", {"a.k=2"});
  EXPECT_EQ(file.root()["a"]["k"].Integer(0), 2);
  EXPECT_EQ(file.root()["b"]["k"].Integer(0), 1);
}

}  // namespace
}  // namespace bitsearch
