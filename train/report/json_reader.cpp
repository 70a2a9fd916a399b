#include "train/report/json_reader.h"

#include <algorithm>
#include <limits>

#include "engine/error.h"
#include "engine/file.h"

namespace mg {

using Json = nlohmann::ordered_json;

namespace {

constexpr std::uint64_t kMaxCount = std::uint64_t{1} << 53;  // what a double holds exactly

bool is_count(const Json& json) {
  return json.is_number_unsigned() && json.get<std::uint64_t>() <= kMaxCount;
}

}  // namespace

JsonReader::JsonReader(const Json& json, std::string where) : json_(&json), where_(std::move(where)) {
  if (!json.is_object()) throw Error(ExitCode::data, "{}: expected an object", where_);
}

void JsonReader::fail(const std::string& key, const std::string& expected) const {
  throw Error(ExitCode::data, "{}: {}: expected {}", where_, key, expected);
}

const Json& JsonReader::field(const char* key) const {
  const auto it = json_->find(key);
  if (it == json_->end()) fail(key, "a value, but there is none");
  return *it;
}

const Json& JsonReader::array(const char* key, std::size_t size) const {
  const Json& json = field(key);
  if (!json.is_array() || json.size() != size) fail(key, fmt::format("an array of {}", size));
  return json;
}

std::string JsonReader::text(const char* key) const {
  const Json& json = field(key);
  if (!json.is_string()) fail(key, "a string");
  return json.get<std::string>();
}

std::int64_t JsonReader::count(const char* key) const {
  const Json& json = field(key);
  if (!is_count(json)) fail(key, "a whole number, at least 0");
  return json.get<std::int64_t>();
}

double JsonReader::number(const char* key) const {
  const Json& json = field(key);
  if (!json.is_number()) fail(key, "a number");
  return json.get<double>();
}

double JsonReader::number_or_nan(const char* key) const {
  const auto it = json_->find(key);
  return it == json_->end() || it->is_null() ? std::numeric_limits<double>::quiet_NaN() : number(key);
}

bool JsonReader::flag_or_false(const char* key) const {
  const auto it = json_->find(key);
  if (it == json_->end()) return false;
  if (!it->is_boolean()) fail(key, "true or false");
  return it->get<bool>();
}

JsonReader JsonReader::object(const char* key) const { return {field(key), where_ + ": " + key}; }

std::vector<double> JsonReader::numbers(const char* key, std::size_t size) const {
  const Json& json = array(key, size);
  if (!std::all_of(json.begin(), json.end(), [](const Json& item) { return item.is_number(); })) {
    fail(key, "numbers");
  }
  return json.get<std::vector<double>>();
}

std::vector<std::string> JsonReader::texts(const char* key) const {
  const Json& json = field(key);
  if (!json.is_array()) fail(key, "an array of strings");
  if (!std::all_of(json.begin(), json.end(), [](const Json& item) { return item.is_string(); })) {
    fail(key, "an array of strings");
  }
  return json.get<std::vector<std::string>>();
}

std::vector<JsonReader> JsonReader::objects(const char* key, std::size_t size) const {
  const Json& json = array(key, size);
  std::vector<JsonReader> objects;
  objects.reserve(size);
  for (std::size_t i = 0; i < size; ++i)
    objects.emplace_back(json[i], fmt::format("{}: {}[{}]", where_, key, i));
  return objects;
}

std::vector<std::vector<std::int64_t>> JsonReader::count_matrix(const char* key, std::size_t size) const {
  const Json& json = array(key, size);
  for (const Json& row : json) {
    if (!row.is_array() || row.size() != size || !std::all_of(row.begin(), row.end(), is_count)) {
      fail(key, fmt::format("{0} rows of {0} whole numbers", size));
    }
  }
  return json.get<std::vector<std::vector<std::int64_t>>>();
}

Json read_json_file(const std::filesystem::path& path) {
  const std::string text = read_whole_file(path, ExitCode::data);
  try {
    return Json::parse(text);
  } catch (const nlohmann::json::parse_error& e) {
    const auto end = text.begin() + static_cast<std::ptrdiff_t>(std::min(e.byte, text.size()));
    throw Error(ExitCode::data, "{}:{}: not JSON", path.string(), std::count(text.begin(), end, '\n') + 1);
  } catch (const nlohmann::json::exception& e) {
    throw Error(ExitCode::data, "{}: not JSON: {}", path.string(), e.what());
  }
}

}  // namespace mg
