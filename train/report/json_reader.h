// Reads the fields of a JSON object. What is missing or of another type is an Error(ExitCode::data) that says
// where: the file, the line or entry, and the key.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace mg {

class JsonReader {
 public:
  // Refers to json, which must outlive the reader.
  JsonReader(const nlohmann::ordered_json& json, std::string where);

  bool has(const char* key) const { return json_->contains(key); }
  std::string text(const char* key) const;
  std::int64_t count(const char* key) const;  // a whole number from 0 to 2^53
  double number(const char* key) const;
  double number_or_nan(const char* key) const;  // where absent or null
  bool flag_or_false(const char* key) const;
  JsonReader object(const char* key) const;
  std::vector<double> numbers(const char* key, std::size_t size) const;
  std::vector<std::string> texts(const char* key) const;
  std::vector<JsonReader> objects(const char* key, std::size_t size) const;
  std::vector<std::vector<std::int64_t>> count_matrix(const char* key, std::size_t size) const;
  const std::string& where() const { return where_; }

 private:
  const nlohmann::ordered_json& field(const char* key) const;
  const nlohmann::ordered_json& array(const char* key, std::size_t size) const;
  [[noreturn]] void fail(const std::string& key, const std::string& expected) const;

  const nlohmann::ordered_json* json_;
  std::string where_;
};

// Throws Error(ExitCode::data) with file:line where the text is not JSON.
nlohmann::ordered_json read_json_file(const std::filesystem::path& path);

}  // namespace mg
