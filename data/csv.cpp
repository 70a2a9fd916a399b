#include "data/csv.h"

#include <csv.h>
#include <utf8proc.h>

#include <algorithm>
#include <memory>

#include "engine/error.h"
#include "engine/file.h"

namespace mg {

namespace {

using Parser = std::unique_ptr<csv_parser, decltype(&csv_free)>;

// What libcsv's callbacks collect. They must not throw through C, so a failed allocation is kept aside.
struct Collector {
  std::vector<std::vector<std::string>> rows;
  std::vector<std::string> fields;
  std::exception_ptr failure;

  template <class Action>
  void guarded(Action action) noexcept {
    try {
      action();
    } catch (...) {
      failure = std::current_exception();
    }
  }
};

void on_field(void* text, std::size_t bytes, void* collector) {
  auto& c = *static_cast<Collector*>(collector);
  c.guarded([&] { c.fields.emplace_back(static_cast<const char*>(text), bytes); });
}

void on_row(int, void* collector) {
  auto& c = *static_cast<Collector*>(collector);
  c.guarded([&] { c.rows.push_back(std::move(c.fields)); });
  c.fields.clear();
}

// The length of the first line, its end included: LF, CRLF, or a CR alone.
std::size_t line_length(std::string_view text) {
  const std::size_t end = text.find_first_of("\r\n");
  if (end == std::string_view::npos) return text.size();
  return end + (text.substr(end, 2) == "\r\n" ? 2 : 1);
}

void check_characters(std::string_view text, const std::string& path) {
  std::int64_t line = 1;
  for (std::size_t at = 0; at < text.size();) {
    utf8proc_int32_t character = 0;
    const auto length = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + at,
                                         static_cast<utf8proc_ssize_t>(text.size() - at), &character);
    if (length < 0) throw Error(ExitCode::data, "{}:{}: not UTF-8", path, line);
    if (character == 0) throw Error(ExitCode::data, "{}:{}: holds a NUL character", path, line);
    if (character == '\n') ++line;
    at += static_cast<std::size_t>(length);
  }
}

// All rows, the header first. Lines are fed one by one, because libcsv does not tell where a row starts.
std::vector<CsvRow> parse(std::string_view text, const std::string& path) {
  csv_parser state;
  if (csv_init(&state, CSV_STRICT | CSV_STRICT_FINI) != 0) {
    throw Error(ExitCode::out_of_memory, "{}: cannot start the CSV parser", path);
  }
  const Parser parser(&state, csv_free);
  Collector collector;
  std::vector<CsvRow> rows;
  std::int64_t line = 1, start = 1;
  auto collect = [&] {
    if (collector.failure) std::rethrow_exception(collector.failure);
    for (auto& fields : collector.rows) rows.push_back({start, std::move(fields)});
    collector.rows.clear();
  };
  bool inside = false;  // a row: its quoted field goes on after the line's end
  for (; !text.empty(); ++line) {
    const std::size_t length = line_length(text);
    if (!inside) start = line;
    if (csv_parse(parser.get(), text.data(), length, on_field, on_row, &collector) != length) {
      throw Error(ExitCode::data, "{}:{}: a quote where none may be", path, line);
    }
    const bool blank = text.substr(0, length).find_first_not_of(" \t\r\n") == std::string_view::npos;
    inside = collector.rows.empty() && (inside || !blank);
    collect();
    text.remove_prefix(length);
  }
  if (csv_fini(parser.get(), on_field, on_row, &collector) != 0) {
    throw Error(ExitCode::data, "{}:{}: a quoted field that starts in this row does not end", path, start);
  }
  collect();
  return rows;
}

}  // namespace

int CsvTable::column(std::string_view name) const {
  const auto found = std::find(header.begin(), header.end(), name);
  return found == header.end() ? -1 : static_cast<int>(found - header.begin());
}

CsvTable read_csv(const std::filesystem::path& path) {
  const std::string name = path.string();
  const std::string bytes = read_whole_file(path, ExitCode::data);
  std::string_view text = bytes;
  if (text.substr(0, 3) == "\xEF\xBB\xBF") text.remove_prefix(3);
  check_characters(text, name);
  std::vector<CsvRow> rows = parse(text, name);
  if (rows.empty()) throw Error(ExitCode::data, "{}: is empty: expected a header row", name);

  CsvTable table{path, std::move(rows.front().fields), {}};
  for (std::size_t i = 0; i < table.header.size(); ++i) {
    if (table.column(table.header[i]) != static_cast<int>(i)) {
      throw Error(ExitCode::data, "{}:{}: the column '{}' is there twice", name, rows.front().line,
                  table.header[i]);
    }
  }
  rows.erase(rows.begin());
  for (const CsvRow& row : rows) {
    if (row.fields.size() != table.header.size()) {
      throw Error(ExitCode::data, "{}:{}: expected {} fields as in the header, got {}", name, row.line,
                  table.header.size(), row.fields.size());
    }
  }
  table.rows = std::move(rows);
  return table;
}

std::string csv_line(const std::vector<std::string>& fields) {
  // Spaces at the ends are quoted because readers (ours too) drop them otherwise, and a lone empty field
  // because its line would be blank.
  auto must_quote = [&](const std::string& field) {
    if (field.empty()) return fields.size() == 1;
    return field.find_first_of(",\"\r\n") != std::string::npos ||
           std::string_view(" \t").find(field.front()) != std::string_view::npos ||
           std::string_view(" \t").find(field.back()) != std::string_view::npos;
  };
  std::string line;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (i > 0) line += ',';
    if (!must_quote(fields[i])) {
      line += fields[i];
      continue;
    }
    line += '"';
    for (const char c : fields[i]) line.append(c == '"' ? 2 : 1, c);
    line += '"';
  }
  return line + '\n';
}

}  // namespace mg
