#include "train/config.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <charconv>
#include <sstream>

#include "engine/nearest_name.h"
#include "engine/text_file.h"
#include "train/foreign_names.h"

namespace mg {

namespace {

// Of an unknown key's name, without its section: the keys that are called so, in another trainer or here.
std::vector<std::string> keys_called(const std::string& name, const std::vector<std::string>& names) {
  std::vector<std::string> keys, endings;
  const auto foreign = trainer_names().find(plain_name(name));
  if (foreign != trainer_names().end()) {
    const std::string text = foreign->second.front().text, set = "--set ";
    keys.push_back(text.starts_with(set) ? text.substr(set.size(), text.find('=') - set.size()) : text);
  }
  const auto add = [&](const std::string& ending) {
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (endings[i] == ending && std::find(keys.begin(), keys.end(), names[i]) == keys.end())
        keys.push_back(names[i]);
    }
  };
  for (const std::string& known : names) endings.push_back(known.substr(known.find('.') + 1));
  add(name);
  if (keys.empty()) {
    const std::string likely = likely_name(name, endings);
    if (!likely.empty()) add(likely);
  }
  return keys;
}

// What an unknown key may have been meant to be: "; did you mean 'contrastive.epochs'?", or ";".
std::string meant_key(const std::string& key, const std::vector<std::string>& names) {
  const auto dot = key.rfind('.');
  std::vector<std::string> meant;
  if (dot != std::string::npos) {
    std::copy_if(names.begin(), names.end(), std::back_inserter(meant),
                 [&](const std::string& name) { return name.starts_with(key + "_"); });
    const std::string likely = likely_name(key, names);
    if (meant.empty() && !likely.empty()) meant.push_back(likely);
  }
  if (meant.empty()) meant = keys_called(dot == std::string::npos ? key : key.substr(dot + 1), names);
  return meant.empty() ? ";" : fmt::format("; did you mean '{}'?", fmt::join(meant, "' or '"));
}

const ConfigKey& find_key(const std::string& key, const std::string& where) {
  std::vector<std::string> names;
  for (const ConfigKey& k : config_keys()) {
    if (k.key == key) return k;
    names.push_back(k.key);
  }
  throw Error(ExitCode::config, "{}: unknown key '{}'{} `mgtrain info` lists all keys", where, key,
              meant_key(key, names));
}

std::string type_name(const ConfigValue& value) {
  static constexpr const char* kNames[] = {"an integer", "a number", "true or false", "a text"};
  return kNames[value.index()];
}

std::string print(const ConfigValue& value) {
  if (const auto* i = std::get_if<std::int64_t>(&value)) return std::to_string(*i);
  if (const auto* b = std::get_if<bool>(&value)) return *b ? "true" : "false";
  if (const auto* d = std::get_if<double>(&value)) {
    std::string text = fmt::format("{}", *d);
    return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
  }
  std::ostringstream text;
  text << toml::value<std::string>(std::get<std::string>(value));
  return text.str();
}

// The value of the key's type that a text on the command line means.
ConfigValue parse(const ConfigKey& key, const std::string& text, const std::string& where) {
  const char *begin = text.data(), *end = text.data() + text.size();
  if (std::holds_alternative<std::string>(key.initial)) return text;
  if (std::holds_alternative<bool>(key.initial)) {
    if (text == "true" || text == "false") return text == "true";
  } else if (std::holds_alternative<std::int64_t>(key.initial)) {
    std::int64_t value = 0;
    const auto [p, error] = std::from_chars(begin, end, value);
    if (error == std::errc() && p == end) return value;
  } else {
    double value = 0;
    const auto [p, error] = std::from_chars(begin, end, value);
    if (error == std::errc() && p == end) return value;
  }
  throw Error(ExitCode::config, "{}: {} expects {}, got '{}'", where, key.key, type_name(key.initial), text);
}

ConfigValue from_toml(const ConfigKey& key, const toml::node& node, const std::string& where) {
  if (const auto v = node.value_exact<std::int64_t>()) {
    if (std::holds_alternative<double>(key.initial)) return static_cast<double>(*v);
    return *v;
  }
  if (const auto v = node.value_exact<double>()) return *v;
  if (const auto v = node.value_exact<bool>()) return *v;
  if (const auto v = node.value_exact<std::string>()) return *v;
  throw Error(ExitCode::config, "{}: {} expects {}", where, key.key, type_name(key.initial));
}

}  // namespace

Config::Config() {
  for (const ConfigKey& key : config_keys()) values_[key.key] = key.initial;
}

Config Config::from_preset(const std::string& name) {
  std::vector<std::string> names;
  for (const Preset& preset : presets()) {
    names.push_back(preset.name);
    if (preset.name != name) continue;
    Config config;
    config.set("preset=" + name);
    for (const PresetValue& v : preset.values) config.set(fmt::format("{}={}", v.key, v.value));
    return config;
  }
  throw Error(ExitCode::config, "--preset: expected one of {}, got '{}'{}", fmt::join(names, ", "), name,
              did_you_mean(name, names));
}

void Config::load_file(const std::filesystem::path& path) {
  const std::string text = read_text_file(path, ExitCode::config);
  toml::table table;
  try {
    table = toml::parse(text, path.string());
  } catch (const toml::parse_error& e) {
    throw Error(ExitCode::config, "{}:{}: {}", path.string(), e.source().begin.line, e.description());
  }
  const auto take = [&](const std::string& key, const toml::node& node) {
    const std::string where = fmt::format("{}:{}", path.string(), node.source().begin.line);
    assign(key, from_toml(find_key(key, where), node, where), where);
  };
  for (const auto& [name, node] : table) {
    const std::string section(name.str());
    if (!node.is_table()) {
      take(section, node);
      continue;
    }
    for (const auto& [inner, value] : *node.as_table()) take(section + "." + std::string(inner.str()), value);
  }
}

void Config::set(const std::string& assignment) {
  const auto equals = assignment.find('=');
  if (equals == std::string::npos) {
    throw Error(ExitCode::config, "--set {}: expected section.name=value", assignment);
  }
  const std::string key = assignment.substr(0, equals), where = "--set " + assignment;
  assign(key, parse(find_key(key, where), assignment.substr(equals + 1), where), where);
}

void Config::assign(const std::string& key, ConfigValue value, const std::string& where) {
  const ConfigKey& k = find_key(key, where);
  if (value.index() != k.initial.index()) {
    throw Error(ExitCode::config, "{}: {} expects {}, got {}", where, key, type_name(k.initial),
                print(value));
  }
  const auto* integer = std::get_if<std::int64_t>(&value);
  const auto* real = std::get_if<double>(&value);
  if (integer != nullptr || real != nullptr) {
    const double number = integer != nullptr ? static_cast<double>(*integer) : *real;
    if (!(number >= k.low && number <= k.high)) {
      throw Error(ExitCode::config, "{}: {} expects {} in [{}, {}], got {}", where, key, type_name(k.initial),
                  k.low, k.high, print(value));
    }
  }
  const auto* text = std::get_if<std::string>(&value);
  if (text != nullptr && !k.choices.empty() &&
      std::find(k.choices.begin(), k.choices.end(), *text) == k.choices.end()) {
    throw Error(ExitCode::config, "{}: {} expects one of {}, got '{}'{}", where, key,
                fmt::join(k.choices, ", "), *text, did_you_mean(*text, k.choices));
  }
  values_[key] = std::move(value);
}

void Config::take(const Config& other, const std::vector<std::string>& keys) {
  for (const std::string& key : keys) values_.at(key) = other.values_.at(key);
}

std::int64_t Config::integer(const std::string& key) const { return std::get<std::int64_t>(values_.at(key)); }
double Config::real(const std::string& key) const { return std::get<double>(values_.at(key)); }
bool Config::flag(const std::string& key) const { return std::get<bool>(values_.at(key)); }
const std::string& Config::text(const std::string& key) const {
  return std::get<std::string>(values_.at(key));
}
std::string Config::printed(const std::string& key) const { return print(values_.at(key)); }

std::string Config::source(const std::string& key) const {
  if (key == "preset") return "--preset";
  const ConfigKey& k = find_key(key, "source");
  std::string from = k.source;
  ConfigValue usual = k.initial;
  for (const Preset& preset : presets()) {
    if (preset.name != text("preset")) continue;
    for (const PresetValue& v : preset.values) {
      if (v.key != key) continue;
      from = v.source;
      usual = parse(k, v.value, "preset");
    }
  }
  return values_.at(key) == usual ? from : "given by hand";
}

std::string Config::assignment(const std::string& key) const {
  const auto* value = std::get_if<std::string>(&values_.at(key));
  return key + "=" + (value != nullptr ? *value : printed(key));
}

std::string Config::to_toml(const std::vector<std::string>& only) const {
  std::string text, section;
  for (const ConfigKey& key : config_keys()) {  // keys without a section come first in the table
    if (!only.empty() && std::find(only.begin(), only.end(), key.key) == only.end()) continue;
    const auto dot = key.key.find('.');
    const std::string here = dot == std::string::npos ? "" : key.key.substr(0, dot);
    if (here != section) text += fmt::format("\n[{}]\n", here);
    section = here;
    text += fmt::format("{} = {}\n", dot == std::string::npos ? key.key : key.key.substr(dot + 1),
                        print(values_.at(key.key)));
  }
  return text;
}

std::vector<Config::Difference> Config::differences(const Config& other) const {
  std::vector<Difference> all;
  for (const ConfigKey& key : config_keys()) {
    const ConfigValue &here = values_.at(key.key), &there = other.values_.at(key.key);
    if (here == there) continue;
    all.push_back({key.key, fmt::format("{}: {} here, {} there", key.key, print(here), print(there))});
  }
  return all;
}

}  // namespace mg
