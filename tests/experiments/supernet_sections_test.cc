// The keys of `search: {method: dnas}` and `finetune:`: read, refused, written back equal.
#include "experiments/supernet_sections.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

namespace bitsearch {
namespace {

using ::testing::HasSubstr;

DnasSection Dnas(const std::string& text) {
  const YamlFile file = YamlFile::Parse(text, "test.yaml");
  const DnasSection section = ReadDnasSection(file.root());
  file.Finish();
  return section;
}

FineTuneOptions Tune(const std::string& text) {
  const YamlFile file = YamlFile::Parse(text, "test.yaml");
  const FineTuneOptions options = ReadFineTuneSection(file.root());
  file.Finish();
  return options;
}

template <typename Read>
std::string WhyRefused(Read read) {
  try {
    read();
  } catch (const ErrorList& errors) {
    return errors.what();
  }
  return "accepted";
}

TEST(DnasSectionTest, ReadsAndWritesBack) {
  const DnasSection section = Dnas(
      "mode: composite\nscope: block\nepochs: 7\nwarmup_epochs: 2\nbilevel: false\n"
      "temperature: 3.5\nterms:\n  - {resource: bops, kind: multiplicative, weight: 0.5, "
      "exponent: 0.8}\n  - {resource: size_bytes}\n");
  EXPECT_EQ(section.options.mode, SupernetMode::kComposite);
  EXPECT_EQ(section.options.scope, ChoiceScope::kBlock);
  EXPECT_FALSE(section.options.bilevel);
  ASSERT_EQ(section.options.terms.size(), 2U);
  EXPECT_EQ(section.options.terms[0].exponent, 0.8);
  EXPECT_EQ(section.options.terms[1].kind, SearchCostTerm::Kind::kHinge);
  const auto write = [](const DnasSection& s) {
    YAML::Emitter out;
    out << YAML::BeginMap;
    WriteDnasSection(out, s);
    out << YAML::EndMap;
    return std::string(out.c_str());
  };
  EXPECT_EQ(write(Dnas(write(section))), write(section));
}

TEST(DnasSectionTest, RefusesWhatContradictsItself) {
  EXPECT_THAT(WhyRefused([] { Dnas("epochs: 2\nwarmup_epochs: 3\n"); }), HasSubstr("warm-up"));
  EXPECT_THAT(WhyRefused([] { Dnas("terms: [{resource: bops, exponent: 2}]\n"); }),
              HasSubstr("multiplicative"));
  EXPECT_THAT(WhyRefused([] { Dnas("terms: [{resource: joules}]\n"); }), HasSubstr("joules"));
  EXPECT_THAT(WhyRefused([] { Dnas("temprature: 3\n"); }), HasSubstr("temperature"));
}

TEST(FineTuneSectionTest, ReadsAndWritesBack) {
  const FineTuneOptions options = Tune(
      "epochs: 3\nsteps: max\nnarrow: true\nlowering: [{first_epoch: 0, least_bits: 6}, "
      "{first_epoch: 2, least_bits: 0}]\n");
  EXPECT_FALSE(options.quantizers.learn_weight_scales);
  ASSERT_EQ(options.lowering.size(), 2U);
  EXPECT_EQ(options.lowering[0].least_bits, 6);
  const auto write = [](const FineTuneOptions& o) {
    YAML::Emitter out;
    out << YAML::BeginMap;
    WriteFineTuneSection(out, o);
    out << YAML::EndMap;
    return std::string(out.c_str());
  };
  EXPECT_EQ(write(Tune(write(options))), write(options));
}

TEST(FineTuneSectionTest, RefusesStagesOutOfOrder) {
  EXPECT_THAT(WhyRefused([] { Tune("lowering: [{first_epoch: 0, least_bits: 4}]\n"); }),
              HasSubstr("ascend"));
  EXPECT_THAT(WhyRefused([] { Tune("distillation: 1.5\n"); }), HasSubstr("distillation"));
}

}  // namespace
}  // namespace bitsearch
