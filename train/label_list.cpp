#include "train/label_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "data/csv.h"
#include "data/csv_number.h"
#include "engine/names.h"
#include "engine/text_file.h"

namespace mg {

namespace {

constexpr std::size_t kMaxLabelBytes = 400;

struct Line {
  std::int64_t number;
  std::string text;
};

// The labels of a file, checked as they come.
class LabelList {
 public:
  explicit LabelList(const std::filesystem::path& path) : file_(path.string()) {}

  bool has(const std::string& label) const { return lines_.contains(label); }
  void add(const std::string& label, std::int64_t line) {
    if (label.empty()) throw Error(ExitCode::data, "{}:{}: the label is empty", file_, line);
    if (label.size() > kMaxLabelBytes) {
      throw Error(ExitCode::data, "{}:{}: expected one label a line, got a text of {} bytes", file_, line,
                  label.size());
    }
    const auto [first, is_new] = lines_.emplace(label, line);
    if (!is_new)
      throw Error(ExitCode::data, "{}:{}: the label '{}' is in line {} already", file_, line, label,
                  first->second);
    names_.require(label, line, "label", file_, ExitCode::data);
    labels_.push_back(label);
  }
  std::vector<std::string> take() {
    if (labels_.empty())
      throw Error(ExitCode::data, "{}: expected a label on each line, the file is empty", file_);
    if (labels_.size() == 1) {
      throw Error(ExitCode::data, "{}: expected two labels at least, one a line, got only '{}'", file_,
                  labels_.front());
    }
    return std::move(labels_);
  }

 private:
  std::string file_;
  std::map<std::string, std::int64_t> lines_;
  DistinctNames names_;
  std::vector<std::string> labels_;
};

std::vector<Line> lines_with_text(const std::string& text) {
  std::vector<Line> lines;
  std::int64_t number = 0;
  for (const std::string& line : lines_of(text)) {
    ++number;
    if (!trimmed(line).empty()) lines.push_back({number, line});
  }
  return lines;
}

// The column that a first line names, of a table with labels; "" for a plain list.
std::string label_column(std::string first) {
  std::vector<std::string> cells;
  std::replace_if(
      first.begin(), first.end(), [](char c) { return c == ';' || c == '\t'; }, ',');
  std::erase(first, '"');
  for (std::size_t begin = 0; begin <= first.size();) {
    const std::size_t end = std::min(first.find(',', begin), first.size());
    cells.push_back(column_key(first.substr(begin, end - begin)));
    begin = end + 1;
  }
  const auto has = [&](const char* name) {
    return std::find(cells.begin(), cells.end(), name) != cells.end();
  };
  if (has("label")) return "label";
  return cells.size() > 1 && has("name") ? "name" : "";
}

// What separates the columns of lines that are the rows of a table: they have the same number of separators,
// and those as prose does not have them; 0 where they are none.
char table_separator(const std::vector<Line>& lines) {
  for (const char separator : {'\t', ';', ','}) {
    const auto columns = [&](const std::string& text) {
      std::int64_t count = 0;
      for (std::size_t i = 0; i < text.size(); ++i) {
        count += text[i] == separator && (separator != ',' || text.substr(i + 1, 1) != " ") ? 1 : 0;
      }
      return count;
    };
    const std::int64_t first = columns(lines.front().text);
    if (first > 0 &&
        std::all_of(lines.begin(), lines.end(), [&](const Line& l) { return columns(l.text) == first; })) {
      return separator;
    }
  }
  return 0;
}

// The label of a line: without the quotes that spreadsheets put around commas.
std::string label_of(const std::string& line) {
  std::string text = normal_name(line);
  if (text.size() < 2 || text.front() != '"' || text.back() != '"') return text;
  std::string inner;
  for (std::size_t i = 1; i + 1 < text.size(); ++i) {
    inner += text[i];
    if (text[i] == '"' && text[i + 1] == '"') ++i;
  }
  return normal_name(inner);
}

std::vector<std::string> from_table(const std::filesystem::path& path, const std::string& column) {
  const CsvTable table = read_csv(path, {column});
  const int label = table.column(column), id = table.column("id"), clip = table.column("clip");
  LabelList labels(path);
  std::int64_t expected = 0;
  for (const CsvRow& row : table.rows) {
    const std::string name = normal_name(row.fields[static_cast<std::size_t>(label)]);
    if (clip >= 0 && labels.has(name)) continue;
    if (clip < 0 && id >= 0) {
      const std::string& given = row.fields[static_cast<std::size_t>(id)];
      const auto number = read_frame_number(given, table.separator);
      if (!number.fault.empty() || number.value != expected) {
        throw Error(ExitCode::data, "{}:{}: id: expected {}, got '{}'", path.string(), row.line, expected,
                    given);
      }
      ++expected;
    }
    labels.add(name, row.line);
  }
  return labels.take();
}

}  // namespace

std::vector<std::string> read_label_list(const std::filesystem::path& path) {
  const std::string text = read_text_file(path, ExitCode::data);
  const std::vector<Line> lines = lines_with_text(text);
  LabelList labels(path);
  if (lines.empty()) return labels.take();
  if (text.find_first_of("[{") == text.find_first_not_of(" \n") && nlohmann::json::accept(text)) {
    throw Error(ExitCode::data, "{}:1: expected one label a line, this is JSON", path.string());
  }
  const bool declared = lines.size() > 1 && column_key(lines[0].text).starts_with("sep=");
  const std::string column = label_column(lines[declared ? 1 : 0].text);
  if (!column.empty()) return from_table(path, column);
  if (declared || table_separator(lines) != 0) {
    throw Error(ExitCode::data,
                "{}:{}: a table without a column called label: expected that, or one label a line",
                path.string(), lines.front().number);
  }
  for (const Line& line : lines) labels.add(label_of(line.text), line.number);
  return labels.take();
}

}  // namespace mg
