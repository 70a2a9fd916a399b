// Tables as spreadsheets and pandas write them (RFC 4180 and its relatives): quoted fields may hold
// separators, quotes and line breaks; spaces and tabs around a field that is not quoted are dropped. The
// separator (comma, semicolon or tab) follows from the header, or from a first line "sep=;".
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
  char separator = ',';
  std::vector<std::string> header;  // as column_key() makes them
  std::vector<CsvRow> rows;         // each with as many fields as the header
  std::vector<std::string> notes;   // what was passed over, each with file and line

  // The column's number, or -1.
  int column(std::string_view name) const;
};

// The form in which names of columns are compared: lower case, no spaces at the ends, and an underscore where
// a name has a space or hyphen inside.
std::string column_key(std::string_view name);

// The first row is the header; it must have the required columns. Rows whose fields are all empty are
// skipped, and so are columns without a name, with a note where they hold something that is no index of
// pandas. A row may lack fields at its end, which spreadsheets cut off where they are empty, but not those of
// required columns: they are empty then, and a note counts such rows. A file that read_text_file does not
// take, is empty, lacks a required column (the nearest name is told), repeats a name, mixes separators in its
// header, or has a row that is too long or too short is an Error(ExitCode::data) that names file and line.
CsvTable read_csv(const std::filesystem::path& path, const std::vector<std::string>& required = {});

// One row as text with its line end, fields quoted where they must be.
std::string csv_line(const std::vector<std::string>& fields);

}  // namespace mg
