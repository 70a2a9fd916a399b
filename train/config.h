// The configuration: one table of keys makes the reader of TOML files, --set, --help, `mgtrain info` and the
// documentation. Values come from the preset, then a file, then --set; later ones win.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "engine/error.h"

namespace mg {

using ConfigValue = std::variant<std::int64_t, double, bool, std::string>;

struct ConfigKey {
  std::string key;                   // "section.name"
  ConfigValue initial;               // the default; its type is the key's type
  double low = 0, high = 0;          // the range of a number, both ends allowed
  std::vector<std::string> choices;  // of a text; empty: any text
  std::string doc, source;           // what it does; where the default comes from
};
const std::vector<ConfigKey>& config_keys();

struct PresetValue {
  std::string key, value;  // as --set takes them
  std::string source;      // who says so
};
struct Preset {
  std::string name, doc;
  std::vector<PresetValue> values;
};
const std::vector<Preset>& presets();
// sane, paper and authors: what the paper states, its authors' code does, and we advise.
std::vector<Preset> paper_presets();

class Config {
 public:
  Config();  // the defaults
  // All Error(ExitCode::config), with the file and line where there is one: an unknown key or preset (with
  // the nearest name), a value of another type or outside its range.
  static Config from_preset(const std::string& name);
  void load_file(const std::filesystem::path& path);
  void set(const std::string& assignment);  // "section.name=value"

  void take(const Config& other, const std::vector<std::string>& keys);  // the values of these keys

  std::int64_t integer(const std::string& key) const;
  int small(const std::string& key) const { return static_cast<int>(integer(key)); }
  double real(const std::string& key) const;
  float single(const std::string& key) const { return static_cast<float>(real(key)); }
  bool flag(const std::string& key) const;
  const std::string& text(const std::string& key) const;
  std::string printed(const std::string& key) const;     // as TOML writes it
  std::string assignment(const std::string& key) const;  // as --set takes it
  // Where the value comes from: the preset's or the default's source, or that it was given by hand.
  std::string source(const std::string& key) const;

  // Every key with its value, or only these; reading it gives an equal configuration.
  std::string to_toml(const std::vector<std::string>& only = {}) const;
  // A line for each key whose value differs: "video.frames: 8 here, 16 there".
  struct Difference {
    std::string key, line;
  };
  std::vector<Difference> differences(const Config& other) const;

 private:
  void assign(const std::string& key, ConfigValue value, const std::string& where);

  std::map<std::string, ConfigValue> values_;
};

}  // namespace mg
