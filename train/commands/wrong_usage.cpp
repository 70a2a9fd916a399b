#include "train/commands/wrong_usage.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <optional>

#include "engine/nearest_name.h"
#include "train/commands/help_format.h"

namespace mg {

namespace {

std::vector<std::string> names_of(const std::vector<const CLI::App*>& commands) {
  std::vector<std::string> names;
  std::transform(commands.begin(), commands.end(), std::back_inserter(names),
                 [](const CLI::App* c) { return c->get_name(); });
  return names;
}

// "--run", "--manifest", ... of a command.
std::vector<std::string> options_of(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

const CLI::Option* find_option(const CLI::App& command, const std::string& name) {
  for (const CLI::Option* option : command.get_options()) {
    if (!option->get_positional() && option->check_name(name)) return option;
  }
  return nullptr;
}

bool is_option(const std::string& argument) {
  return argument.size() > 1 && argument[0] == '-' && (argument[1] == '-' || std::isalpha(argument[1]) != 0);
}

class CommandLine {
 public:
  CommandLine(const CLI::App& app, const std::vector<std::string>& arguments, const CLI::ParseError& error,
              const ForeignNames& foreign)
      : app_(app),
        arguments_(arguments),
        error_(error),
        foreign_(foreign),
        commands_(app.get_subcommands({})) {}

  WrongUsage explain() {
    if (arguments_.empty()) return no_command();
    if (is_option(arguments_[0])) {
      const auto owners = commands_with(arguments_[0].substr(0, arguments_[0].find('=')));
      if (owners.empty())
        return {fmt::format("a command is expected first, got '{}'", arguments_[0]), commands_hint()};
      return {fmt::format("the command comes first, then {}", arguments_[0]),
              fmt::format("{} is an option of {}", arguments_[0], fmt::join(owners, ", "))};
    }
    for (const CLI::App* command : commands_) {
      if (command->get_name() == arguments_[0]) command_ = command;
    }
    if (command_ == nullptr) {
      return {fmt::format("unknown command '{}'{}", arguments_[0],
                          did_you_mean(arguments_[0], names_of(commands_))),
              commands_hint()};
    }
    for (at_ = 1; at_ < arguments_.size(); ++at_) {
      if (const auto wrong = look_at(arguments_[at_])) return *wrong;
    }
    return of_the_whole();
  }

 private:
  WrongUsage no_command() const { return {"a command is expected", commands_hint()}; }
  std::string commands_hint() const {
    return wrapped(fmt::format("The commands are {}; `{} --help` explains them.",
                               fmt::join(names_of(commands_), ", "), app_.get_name()),
                   80);
  }
  std::string options_hint() const {
    return fmt::format("`{} {} --help` lists its options.", app_.get_name(), command_->get_name());
  }

  std::vector<std::string> commands_with(const std::string& option) const {
    std::vector<std::string> names;
    for (const CLI::App* command : commands_) {
      if (option != "--help" && option != "-h" && find_option(*command, option) != nullptr)
        names.push_back(command->get_name());
    }
    return names;
  }

  std::optional<WrongUsage> look_at(const std::string& argument) {
    if (argument == "--") return {};
    if (!is_option(argument)) return look_at_value(argument);
    const auto equals = argument.find('=');
    const std::string name = argument.substr(0, equals);
    const CLI::Option* option = find_option(*command_, name);
    if (option == nullptr)
      return unknown_option(name, equals == std::string::npos ? "" : argument.substr(equals + 1));
    const auto max = option->get_items_expected_max();
    if (std::count(given_.begin(), given_.end(), option) == 1 && max == 1)
      return WrongUsage{fmt::format("{} is given twice", name), options_hint()};
    given_.push_back(option);
    if (max == 0) {
      if (equals == std::string::npos) return {};
      return WrongUsage{fmt::format("{} takes no value, got '{}'", name, argument.substr(equals + 1)),
                        options_hint()};
    }
    if (equals != std::string::npos && equals + 1 < argument.size()) return {};
    const bool ends =
        equals != std::string::npos || at_ + 1 == arguments_.size() || arguments_[at_ + 1].starts_with("--");
    if (ends) return WrongUsage{fmt::format("{} needs a value", name), example()};
    ++at_;
    return {};
  }

  // A value without an option before it.
  std::optional<WrongUsage> look_at_value(const std::string& value) {
    for (const CLI::Option* option : command_->get_options()) {
      if (!option->get_positional()) continue;
      const auto taken = std::count(given_.begin(), given_.end(), option);
      if (taken >= option->get_items_expected_max()) continue;
      given_.push_back(option);
      return {};
    }
    const std::string before = arguments_[at_ - 1];
    std::string hint = options_hint();
    if (at_ >= 2 && arguments_[at_ - 2] == "--set" && before.find('=') == std::string::npos) {
      const std::string shown = value.starts_with('=') && value.size() > 1    ? value.substr(1)
                                : value == "=" && at_ + 1 < arguments_.size() ? arguments_[at_ + 1]
                                                                              : value;
      hint = fmt::format("A key and its value are one word: --set {}={}", before, shown);
    } else if (find_option(*command_, "--" + value) != nullptr) {
      hint = fmt::format("Did you mean --{}?", value);
    }
    return WrongUsage{fmt::format("unexpected argument '{}'", value), hint};
  }

  WrongUsage unknown_option(const std::string& name, std::string value) const {
    if (value.empty() && at_ + 1 < arguments_.size() && !is_option(arguments_[at_ + 1]))
      value = arguments_[at_ + 1];
    const std::string message = fmt::format("unknown option {}", name), dashed = "--" + plain_name(name);
    if (name != dashed && find_option(*command_, dashed) != nullptr)
      return {fmt::format("{}, did you mean {}?", message, dashed), options_hint()};
    const std::vector<std::string> known = suggestions(name, value);
    if (!known.empty())
      return {fmt::format("{}; here it is {}", message, fmt::join(known, ", or ")), options_hint()};
    const std::vector<std::string> owners = commands_with(dashed);
    if (!owners.empty()) {
      return {fmt::format("{}: {} is an option of {}, not of {}", message, dashed, fmt::join(owners, ", "),
                          command_->get_name()),
              options_hint()};
    }
    const std::string likely = likely_name(dashed, options_of(*command_));
    if (!likely.empty()) return {fmt::format("{}, did you mean {}?", message, likely), options_hint()};
    return {message, options_hint()};
  }

  // text with the value that was given, where it has room for a number or any value.
  static std::string with_value(const std::string& text, const std::string& value) {
    const auto room = text.find_last_of(" =");
    const std::string last = text.substr(room + 1);
    const bool fits = last == "VALUE" || last == "SHARE" ||
                      (last == "N" && value.find_first_not_of("0123456789.e-+") == std::string::npos);
    return fits && !value.empty() ? text.substr(0, room + 1) + value : text;
  }

  // What the name is here, as far as the command has it.
  std::vector<std::string> suggestions(const std::string& name, const std::string& value) const {
    std::vector<std::string> texts;
    const auto found = foreign_.find(plain_name(name));
    if (found == foreign_.end()) return texts;
    const auto is_of_this = [&](const Suggestion& s) { return s.command == command_->get_name(); };
    const bool special = std::any_of(found->second.begin(), found->second.end(), is_of_this);
    for (const Suggestion& s : found->second) {
      const bool has =
          !s.text.starts_with("--") || find_option(*command_, s.text.substr(0, s.text.find(' '))) != nullptr;
      if (!has || texts.size() == 4 || (special || !s.command.empty() ? !is_of_this(s) : false)) continue;
      texts.push_back(with_value(s.text, value));
    }
    return texts;
  }

  // Every argument by itself is right.
  WrongUsage of_the_whole() const {
    std::vector<std::string> missing;
    for (const CLI::Option* option : command_->get_options()) {
      const bool given = std::find(given_.begin(), given_.end(), option) != given_.end();
      if (option->get_required() && !given) missing.push_back(option->get_name());
    }
    const std::string text = error_.what();
    const bool of_a_value = dynamic_cast<const CLI::ValidationError*>(&error_) != nullptr ||
                            dynamic_cast<const CLI::ConversionError*>(&error_) != nullptr;
    if (!missing.empty() && !of_a_value)
      return {fmt::format("{} needs {}", command_->get_name(), fmt::join(missing, " and ")), example()};
    constexpr std::string_view kConvert = "Could not convert: ";
    const auto equals = text.find(" = ");
    if (text.starts_with(kConvert) && equals != std::string::npos) {
      const std::string name = text.substr(kConvert.size(), equals - kConvert.size());
      return {fmt::format("{}: expected a number, got '{}'", name, text.substr(equals + 3)), options_hint()};
    }
    return {text, options_hint()};
  }

  std::string example() const {
    const std::string text = example_of(*command_);
    return text.empty() ? options_hint() : text;
  }

  const CLI::App& app_;
  const std::vector<std::string>& arguments_;
  const CLI::ParseError& error_;
  const ForeignNames& foreign_;
  std::vector<const CLI::App*> commands_;
  const CLI::App* command_ = nullptr;
  std::size_t at_ = 0;
  std::vector<const CLI::Option*> given_;  // once for each value
};

}  // namespace

WrongUsage explain_usage(const CLI::App& app, const std::vector<std::string>& arguments,
                         const CLI::ParseError& error, const ForeignNames& foreign) {
  return CommandLine(app, arguments, error, foreign).explain();
}

CLI::Validator one_of(const std::vector<std::string>& choices) {
  return CLI::Validator(
      [choices](std::string& value) -> std::string {
        if (std::find(choices.begin(), choices.end(), value) != choices.end()) return "";
        return fmt::format("expected one of {}, got '{}'{}", fmt::join(choices, ", "), value,
                           did_you_mean(value, choices));
      },
      fmt::format("{{{}}}", fmt::join(choices, ",")));
}

}  // namespace mg
