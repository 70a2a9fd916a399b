// What is wrong with a command line, in a sentence, and what would be right.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "train/foreign_names.h"

namespace mg {

struct WrongUsage {
  std::string message, hint;
};

// Of a command line that app refused with error. arguments: without the program's name.
WrongUsage explain_usage(const CLI::App& app, const std::vector<std::string>& arguments,
                         const CLI::ParseError& error, const ForeignNames& foreign);

// A check of an option's value: one of these, or an error that lists them and names the likely one.
CLI::Validator one_of(const std::vector<std::string>& choices);

}  // namespace mg
