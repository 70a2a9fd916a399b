// CSV files (RFC 4180): quoted fields may hold commas, quotes and line breaks; a byte order mark and CRLF are
// accepted; blank lines are skipped; spaces and tabs around a field that is not quoted are dropped.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace mg {

struct CsvRow {
  std::int64_t line;  // of the file, from 1, where the row starts
  std::vector<std::string> fields;
};

struct CsvTable {
  std::filesystem::path path;
  std::vector<std::string> header;
  std::vector<CsvRow> rows;  // each with as many fields as the header

  // The column's number, or -1.
  int column(std::string_view name) const;
};

// The first row is the header. A file that cannot be read, is empty, is not UTF-8, holds a NUL, repeats a
// header name, or has a row of another length is an Error(ExitCode::data) that names file and line.
CsvTable read_csv(const std::filesystem::path& path);

// One row as text with its line end, fields quoted where they must be.
std::string csv_line(const std::vector<std::string>& fields);

}  // namespace mg
