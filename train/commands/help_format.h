// Help that fits 80 columns.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace mg {

// Lets the app and its commands print help by it. Options and descriptions are wrapped; so is a footer's
// prose, whose lines are joined first. A footer's lines that begin with a blank or with "Example:" stay as
// they are, but for those that are too long: they go on, as a shell takes it, in the next line.
void use_help_format(CLI::App& app);

// The first line of the footer that begins with "Example:", wrapped; "" where there is none.
std::string example_of(const CLI::App& command);

// Words of text in lines of at most width columns, each but the first after indent.
std::string wrapped(const std::string& text, std::size_t width, const std::string& indent = "");

}  // namespace mg
