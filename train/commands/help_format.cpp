#include "train/commands/help_format.h"

#include <sstream>

namespace mg {

namespace {

constexpr std::size_t kColumns = 80, kNames = 28;
constexpr const char* kExample = "Example:";

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// A command's line broken before options, with a backslash as a shell wants it.
std::string wrapped_command(const std::string& line) {
  if (line.size() <= kColumns) return line;
  const auto cut = line.rfind(" --", kColumns - 2);
  const auto start = line.find("mg");
  if (cut == std::string::npos || start == std::string::npos || cut <= start + 4) return line;
  return line.substr(0, cut) + " \\\n" + wrapped_command(std::string(13, ' ') + line.substr(cut + 1));
}

bool is_verbatim(const std::string& line) { return line.starts_with(' ') || line.starts_with(kExample); }

class HelpFormat : public CLI::Formatter {
 public:
  HelpFormat() { column_width(kNames); }

  std::string make_option_desc(const CLI::Option* option) const override {
    return wrapped(option->get_description(), kColumns - kNames);
  }
  // Choices stand in the description where there is no room for them in the name.
  std::string make_option_opts(const CLI::Option* option) const override {
    std::string opts = Formatter::make_option_opts(option);
    const auto choices = opts.find(":{");
    if (choices == std::string::npos || opts.size() + option->get_name().size() + 4 <= kColumns) return opts;
    const auto end = opts.find('}', choices);
    return opts.substr(0, choices) + opts.substr(end + 1);
  }
  std::string make_subcommand(const CLI::App* command) const override {
    std::stringstream out;
    CLI::detail::format_help(out, command->get_name(), wrapped(command->get_description(), kColumns - 14),
                             14);
    return out.str();
  }
  std::string make_description(const CLI::App* app) const override {
    return wrapped(Formatter::make_description(app), kColumns) + "\n";
  }
  std::string make_footer(const CLI::App* app) const override {
    std::string text, prose;
    const auto end_prose = [&] {
      if (!prose.empty()) text += wrapped(prose, kColumns) + "\n";
      prose.clear();
    };
    for (const std::string& line : lines_of(app->get_footer())) {
      if (is_verbatim(line)) {
        end_prose();
        text += line == " " ? "\n" : wrapped_command(line) + "\n";
      } else {
        prose += (prose.empty() ? "" : " ") + line;
      }
    }
    end_prose();
    return text;
  }
};

}  // namespace

std::string wrapped(const std::string& text, std::size_t width, const std::string& indent) {
  std::string all;
  const auto add = [&](const std::string& line) {
    if (!all.empty()) all.append("\n").append(indent);
    all += line;
  };
  for (const std::string& paragraph : lines_of(text)) {
    std::istringstream words(paragraph);
    std::string line;
    for (std::string word; words >> word;) {
      if (!line.empty() && line.size() + 1 + word.size() > width) {
        add(line);
        line.clear();
      }
      line += (line.empty() ? "" : " ") + word;
    }
    add(line);
  }
  return all;
}

std::string example_of(const CLI::App& command) {
  for (const std::string& line : lines_of(command.get_footer())) {
    if (line.starts_with(kExample)) return wrapped_command(line);
  }
  return "";
}

void use_help_format(CLI::App& app) {
  const auto format = std::make_shared<HelpFormat>();
  app.formatter(format);
  for (CLI::App* command : app.get_subcommands({})) command->formatter(format);
}

}  // namespace mg
