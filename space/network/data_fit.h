#pragma once
// Do the data suit the network? Asked before the first batch, where the answer can be in plain
// words.

#include <filesystem>

#include "space/graph/layer_graph.h"
#include "space/network/dataset.h"

namespace bitsearch {

/// Reads a model whose first input may leave extents open (height, width): there they are those of
/// `record`, the batch stays open. Other models as ReadOnnx, with its errors.
LayerGraph ReadOnnxFor(const std::filesystem::path& model, const Shape& record);

/// True if the first input has open extents beside the batch.
bool LeavesExtentsOpen(const LayerGraph& graph);

/// Throws Error(kDataFormat) if the records have other extents than the network's input, and
/// Error(kDataLabel) if a label is beyond its outputs. Extents that the graph leaves open suit all;
/// unlabelled records and outputs other than N × classes have no labels to check.
void RequireFit(const LayerGraph& graph, const Dataset& data);

/// False if the first output is known not to be N × classes, as a detector's map.
bool GivesClasses(const LayerGraph& graph);

/// RequireFit, and whether accuracy can be measured. Throws Error(kDataLabel), saying what works
/// without, if the data have no labels or the network no classes.
void RequireAccuracy(const LayerGraph& graph, const Dataset& data);

}  // namespace bitsearch
