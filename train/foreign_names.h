// What other trainers call things, and what they are called here.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace mg {

// An option or a key, as one writes it: "--set contrastive.epochs=N", "--run FOLDER".
struct Suggestion {
  std::string text;
  std::string command = "";  // where it holds; empty: in every command that has the option
};
// By name, lower case with dashes and without the leading two: "batch-size".
using ForeignNames = std::map<std::string, std::vector<Suggestion>>;

// Of mgtrain: other trainers' names, and every configuration key by its name with and without section.
const ForeignNames& trainer_names();

// A name as ForeignNames has it: "--Batch_Size" is "batch-size".
std::string plain_name(const std::string& name);

}  // namespace mg
