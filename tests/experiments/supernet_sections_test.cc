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

FineTuneSection Tune(const std::string& text, int search_epochs = 0) {
  const YamlFile file = YamlFile::Parse(text, "test.yaml");
  FineTuneSection section = ReadFineTuneSection(file.root(), search_epochs);
  file.Finish();
  return section;
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
  const FineTuneSection section = Tune(
      "epochs: 3\nsteps: max\nnarrow: true\nlowering: [{first_epoch: 0, least_bits: 6}, "
      "{first_epoch: 2, least_bits: 0}]\n");
  const FineTuneOptions& options = section.options;
  EXPECT_FALSE(options.quantizers.learn_weight_scales);
  ASSERT_EQ(options.lowering.size(), 2U);
  EXPECT_EQ(options.lowering[0].least_bits, 6);
  const auto write = [](const FineTuneSection& o) {
    YAML::Emitter out;
    out << YAML::BeginMap;
    WriteFineTuneSection(out, o);
    out << YAML::EndMap;
    return std::string(out.c_str());
  };
  EXPECT_EQ(write(Tune(write(section))), write(section));
}

TEST(FineTuneSectionTest, GivesControlsTheTimeOfTheSearch) {
  EXPECT_EQ(Tune("epochs: 3\n", 4).control_epochs, 7);
  EXPECT_EQ(Tune("epochs: 3\ncontrol_epochs: 5\n", 4).control_epochs, 5);
  EXPECT_THAT(WhyRefused([] { Tune("lines: [ours, unifrom]\n"); }), HasSubstr("uniform"));
}

TEST(FineTuneSectionTest, RefusesStagesOutOfOrder) {
  EXPECT_THAT(WhyRefused([] { Tune("lowering: [{first_epoch: 0, least_bits: 4}]\n"); }),
              HasSubstr("ascend"));
  EXPECT_THAT(WhyRefused([] { Tune("distillation: 1.5\n"); }), HasSubstr("distillation"));
}

}  // namespace
}  // namespace bitsearch
