#include "data/csv.h"

#include <csv.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "engine/error.h"
#include "engine/names.h"
#include "engine/nearest_name.h"
#include "engine/text_file.h"

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

// Fields of a text by a separator, without the header's interpretation. Lines are fed one by one, because
// libcsv does not tell where a row starts.
std::vector<CsvRow> parse(std::string_view text, char separator, std::int64_t first_line,
                          const std::string& path) {
  csv_parser state;
  if (csv_init(&state, CSV_STRICT | CSV_STRICT_FINI) != 0) {
    throw Error(ExitCode::out_of_memory, "{}: cannot start the CSV parser", path);
  }
  csv_set_delim(&state, static_cast<unsigned char>(separator));
  const Parser parser(&state, csv_free);
  Collector collector;
  std::vector<CsvRow> rows;
  std::int64_t line = first_line, start = first_line;
  auto collect = [&] {
    if (collector.failure) std::rethrow_exception(collector.failure);
    for (auto& fields : collector.rows) rows.push_back({start, std::move(fields)});
    collector.rows.clear();
  };
  bool inside = false;  // a row: its quoted field goes on after the line's end
  for (; !text.empty(); ++line) {
    const std::size_t length = std::min(text.find('\n'), text.size() - 1) + 1;
    if (!inside) start = line;
    if (csv_parse(parser.get(), text.data(), length, on_field, on_row, &collector) != length) {
      throw Error(ExitCode::data, "{}:{}: a quote where none may be", path, line);
    }
    const bool blank = text.substr(0, length).find_first_not_of(" \t\n") == std::string_view::npos;
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

bool is_empty(const CsvRow& row) {
  return std::all_of(row.fields.begin(), row.fields.end(),
                     [](const auto& field) { return trimmed(field).empty(); });
}

std::vector<std::string> column_keys(const std::vector<std::string>& names) {
  std::vector<std::string> keys;
  keys.reserve(names.size());
  for (const std::string& name : names) keys.push_back(column_key(name));
  return keys;
}

bool has_all(const std::vector<std::string>& columns, const std::vector<std::string>& required) {
  return std::all_of(required.begin(), required.end(), [&](const std::string& name) {
    return std::find(columns.begin(), columns.end(), name) != columns.end();
  });
}

constexpr std::string_view kSeparators = ",;\t";

// The separator that a first line "sep=;" names, which Excel writes and reads; 0: there is none.
char declared_separator(std::string line, const std::string& path) {
  std::erase(line, '"');
  if (column_key(line.substr(0, 4)) != "sep=") return 0;
  const std::string rest = line.substr(4);
  if (!rest.empty() && kSeparators.find(rest.front()) != std::string_view::npos) return rest.front();
  throw Error(ExitCode::data, "{}:1: sep=: expected a comma, a semicolon or a tab, got '{}'", path, rest);
}

// How often each separator is in a line outside quotes.
std::vector<std::int64_t> separators_in(const std::string& line) {
  std::vector<std::int64_t> counts(kSeparators.size());
  bool quoted = false;
  for (const char c : line) {
    if (c == '"') quoted = !quoted;
    const std::size_t which = kSeparators.find(c);
    if (!quoted && which != std::string_view::npos) ++counts[which];
  }
  return counts;
}

// The separator with which the header has what is required; where none or several do, the most frequent.
char separator_of(const std::string& header, std::int64_t line, const std::vector<std::string>& required,
                  const std::string& path) {
  const std::vector<std::int64_t> counts = separators_in(header);
  std::string with_all;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] == 0 || required.empty()) continue;
    const auto rows = parse(header, kSeparators[i], line, path);
    if (has_all(column_keys(rows.front().fields), required)) with_all += kSeparators[i];
  }
  if (with_all.size() == 1) return with_all.front();
  const auto most = std::max_element(counts.begin(), counts.end());
  if (*most > 0 && std::count(counts.begin(), counts.end(), *most) > 1) {
    throw Error(
        ExitCode::data,
        "{}:{}: the header mixes separators: expected a comma, a semicolon or a tab between all columns",
        path, line);
  }
  return kSeparators[static_cast<std::size_t>(most - counts.begin())];
}

// The first line that holds more than separators, by which the separator is known; with its number.
std::pair<std::string, std::int64_t> header_line(std::string_view text) {
  std::int64_t number = 1;
  for (std::string& line : lines_of(text)) {
    if (line.find_first_not_of(" \",;\t") != std::string::npos) return {std::move(line), number};
    ++number;
  }
  return {"", 1};
}

void check_header(const CsvTable& table, const CsvRow& header, const std::vector<std::string>& required) {
  for (std::size_t i = 0; i < table.header.size(); ++i) {
    const std::string& key = table.header[i];
    if (key.empty() || table.column(key) == static_cast<int>(i)) continue;
    throw Error(ExitCode::data, "{}:{}: the column '{}' is there twice{}", table.path.string(), header.line,
                key,
                header.fields[i] == header.fields[static_cast<std::size_t>(table.column(key))]
                    ? ""
                    : ": case and spaces make no difference");
  }
  for (const std::string& name : required) {
    if (table.column(name) >= 0) continue;
    const std::string nearest = nearest_name(name, header.fields);
    throw Error(ExitCode::data, "{}:{}: there is no column '{}'{}", table.path.string(), header.line, name,
                nearest.empty() ? "" : fmt::format(" (nearest: '{}')", nearest));
  }
}

// Makes every row as long as the header, where that loses nothing.
void fit_rows(CsvTable& table, const std::vector<std::string>& required) {
  int needed = required.empty() ? static_cast<int>(table.header.size()) : 0;
  for (const std::string& name : required) needed = std::max(needed, table.column(name) + 1);
  std::int64_t cut_off = 0, first_cut = 0;
  for (CsvRow& row : table.rows) {
    while (row.fields.size() > table.header.size() && trimmed(row.fields.back()).empty())
      row.fields.pop_back();
    const std::size_t got = row.fields.size();
    if (got > table.header.size() || got < static_cast<std::size_t>(needed)) {
      const std::string separator = table.separator == '\t' ? "a tab" : fmt::format("'{}'", table.separator);
      throw Error(ExitCode::data, "{}:{}: expected {} fields as in the header, got {} ({})",
                  table.path.string(), row.line, table.header.size(), got,
                  got > table.header.size() ? fmt::format("a field that holds {} needs quotes", separator)
                                            : fmt::format("{} separates them", separator));
    }
    if (got < table.header.size() && cut_off++ == 0) first_cut = row.line;
    row.fields.resize(table.header.size());
  }
  if (cut_off == 0) return;
  table.notes.push_back(
      fmt::format("{}:{}: {} rows end before the header does: the fields that they lack are empty",
                  table.path.string(), first_cut, cut_off));
}

void note_unnamed(CsvTable& table) {
  for (std::size_t i = 1; i < table.header.size(); ++i) {  // an unnamed first column is the index of pandas
    if (!table.header[i].empty()) continue;
    const auto row = std::find_if(table.rows.begin(), table.rows.end(),
                                  [&](const CsvRow& r) { return !trimmed(r.fields[i]).empty(); });
    if (row == table.rows.end()) continue;
    table.notes.push_back(
        fmt::format("{}:{}: column {} has no name in the header and is ignored: it holds '{}'",
                    table.path.string(), row->line, i + 1, row->fields[i]));
  }
}

}  // namespace

int CsvTable::column(std::string_view name) const {
  const auto found = std::find(header.begin(), header.end(), name);
  return found == header.end() ? -1 : static_cast<int>(found - header.begin());
}

std::string column_key(std::string_view name) {
  std::string key = appearance(name);
  std::replace(key.begin(), key.end(), ' ', '_');
  return key;
}

CsvTable read_csv(const std::filesystem::path& path, const std::vector<std::string>& required) {
  const std::string name = path.string(), text = read_text_file(path, ExitCode::data);
  const std::string first = text.substr(0, text.find('\n'));
  CsvTable table{
      .path = path, .separator = declared_separator(first, name), .header = {}, .rows = {}, .notes = {}};
  if (table.separator != 0) {
    table.rows = parse(std::string_view(text).substr(std::min(first.size() + 1, text.size())),
                       table.separator, 2, name);
  } else {
    const auto [header, line] = header_line(text);
    table.separator = separator_of(header, line, required, name);
    table.rows = parse(text, table.separator, 1, name);
  }
  std::erase_if(table.rows, is_empty);
  if (table.rows.empty()) throw Error(ExitCode::data, "{}: is empty: expected a header row", name);
  const CsvRow header = std::move(table.rows.front());
  table.rows.erase(table.rows.begin());
  table.header = column_keys(header.fields);
  check_header(table, header, required);
  fit_rows(table, required);
  note_unnamed(table);
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
