#include "data/csv.h"

#include "data/csv_number.h"
#include "tests/data/fixtures.h"

namespace mg {

using namespace test;

namespace {

using Fields = std::vector<std::string>;

}  // namespace

TEST_CASE("csv: quotes, line breaks, every line end, blank lines and empty rows; rows know their line") {
  const TemporaryFolder folder;
  const fs::path file = folder.path / "a.csv";
  for (const std::string line_end : {"\n", "\r\n", "\r"}) {
    std::string text = "\xEF\xBB\xBF";
    for (const char* line : {"clip,label", "", "a.mp4,\"touch, or \"\"rub\"\"\"", "b.mp4,\"two", "lines", "",
                             "\"", "  \t ", " c d.mp4\t,\" kept \"", ",", "\"\" ,\u00A0", "\"\",\xC3\xA9"}) {
      text += line + line_end;
    }
    write_text(file, text);
    const CsvTable table = read_csv(file);
    CHECK(table.header == Fields{"clip", "label"});
    CHECK(table.column("label") == 1);
    CHECK(table.column("none") == -1);
    REQUIRE(table.rows.size() == 4);
    CHECK(table.rows[0].fields == Fields{"a.mp4", "touch, or \"rub\""});
    CHECK(table.rows[1].fields == Fields{"b.mp4", "two\nlines\n\n"});
    CHECK(table.rows[2].fields == Fields{"c d.mp4", " kept "});
    CHECK(table.rows[3].fields == Fields{"", "\xC3\xA9"});
    const std::vector<std::int64_t> lines{3, 4, 9, 12};
    for (std::size_t i = 0; i < lines.size(); ++i) CHECK(table.rows[i].line == lines[i]);
    CHECK(table.notes.empty());
  }
}

TEST_CASE("csv: what is written is read") {
  const TemporaryFolder folder;
  const std::vector<Fields> rows{{"plain", "with space"},
                                 {"comma,", "quote\""},
                                 {" edge", "edge\t"},
                                 {"line\nbreak", "a;b"},
                                 {"ä", "\"\""}};
  std::string text = csv_line({"a", "b"});
  CHECK(text == "a,b\n");
  for (const Fields& row : rows) text += csv_line(row);
  write_text(folder.path / "x.csv", text);
  const CsvTable table = read_csv(folder.path / "x.csv");
  REQUIRE(table.rows.size() == rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) CHECK(table.rows[i].fields == rows[i]);
  CHECK(csv_line({""}) == "\"\"\n");
}

TEST_CASE("csv: the separator follows from the header") {
  const TemporaryFolder folder;
  const fs::path file = folder.path / "a.csv";
  const std::vector<std::pair<std::string, char>> texts{
      {"clip,label\na;b,x\n", ','},
      {"clip;label\na,b;x\n", ';'},
      {"clip\tlabel\na,b;c\tx\n", '\t'},
      {"sep=;\nclip;label\na;x\n", ';'},
      {"SEP=,\nclip,label\na,x\n", ','},
      {"\"sep=\t\"\nclip\tlabel\na\tx\n", '\t'},
      {"sep=;;;\nclip;label;\na;x;\n", ';'},
      {"\n,,\nclip,label\na,x\n", ','},
      {"clip,\"one; two\",label\na,b,x\n", ','},
      {"clip,label,notes; and more; and more\na,x,b\n", ','},
      {"clip;label;start,end\na;x;1\n", ';'},
      {" CLIP ; \"Label\" \na;x\n", ';'}};
  for (const auto& [text, separator] : texts) {
    CAPTURE(text);
    write_text(file, text);
    const CsvTable table = read_csv(file, {"clip", "label"});
    CHECK(table.separator == separator);
    REQUIRE(table.rows.size() == 1);
    CHECK(table.rows[0].fields.front().front() == 'a');
  }
}

TEST_CASE("csv: columns without a name, and rows without an end") {
  const TemporaryFolder folder;
  const fs::path file = folder.path / "a.csv";
  const auto read = [&](const std::string& text) {
    write_text(file, text);
    return read_csv(file, {"clip", "label"});
  };
  CHECK(read("clip,label,,\na,x,,\nb,y\n").notes ==
        Fields{file.string() + ":3: 1 rows end before the header does: the fields that they lack are empty"});
  CHECK(read("clip,label\na,x,,,\nb,y, \n").notes.empty());
  const CsvTable index = read(",clip,label\n0,a,x\n1,b,y\n");
  CHECK(index.column("clip") == 1);
  CHECK(index.notes.empty());
  CHECK(read("clip,label,,\na,x,,\nb,y,,z\n").notes ==
        Fields{file.string() + ":3: column 4 has no name in the header and is ignored: it holds 'z'"});
  const CsvTable cut = read("Clip,\uFEFFlabel,Start Frame,end-frame\na,x\nb,y,1\n");
  CHECK(cut.rows[1].fields == Fields{"b", "y", "1", ""});
  CHECK(cut.header == Fields{"clip", "label", "start_frame", "end_frame"});
}

TEST_CASE("csv: faults name file and line") {
  const TemporaryFolder folder;
  const fs::path file = folder.path / "bad.csv";
  const std::vector<std::pair<std::string, std::string>> faults{
      {"", ": is empty: expected a header row"},
      {"\n \n", ": is empty: expected a header row"},
      {"sep=;", ": is empty: expected a header row"},
      {"sep=|\na|b\n", ":1: sep=: expected a comma, a semicolon or a tab, got '|'"},
      {"a,b,a\n", ":1: the column 'a' is there twice"},
      {"a,b, A\n", ":1: the column 'a' is there twice: case and spaces make no difference"},
      {"b,c\n", ":1: there is no column 'a' (nearest: 'b')"},
      {"\na;b,c\n",
       ":2: the header mixes separators: expected a comma, a semicolon or a tab between all columns"},
      {"a,b\n1,2\n\n1,2,3\n",
       ":4: expected 2 fields as in the header, got 3 (a field that holds ',' needs quotes)"},
      {"a,b\n1;2\n", ":2: expected 2 fields as in the header, got 1 (',' separates them)"},
      {"a,b\n1,\"x\n\n", ":2: a quoted field that starts in this row does not end"},
      {"a,b\n1,2\n1,x\"y\"\n", ":3: a quote where none may be"},
      {"a,b\n\"x\"y,2\n", ":2: a quote where none may be"}};
  for (const auto& [text, message] : faults) {
    CAPTURE(text);
    write_text(file, text);
    CHECK(data_error([&] { read_csv(file, {"a", "b"}); }) == file.string() + message);
  }
  CHECK(contains(data_error([&] { read_csv(folder.path / "none.csv"); }), "none.csv: cannot read"));
  CHECK(contains(data_error([&] { read_csv(folder.path); }), "it is a folder"));
}

TEST_CASE("numbers: frames") {
  const std::vector<std::pair<std::string, std::int64_t>> good{{"3", 3},
                                                               {"3.0", 3},
                                                               {"12.00", 12},
                                                               {"+5", 5},
                                                               {"1e3", 1000},
                                                               {"1.5E1", 15},
                                                               {"-2", -2},
                                                               {"\u22122", -2},
                                                               {" 7\u00A0", 7},
                                                               {"3,0", 3},
                                                               {"-0.0", 0},
                                                               {"007", 7},
                                                               {"9007199254740992", 9007199254740992}};
  for (const auto& [text, value] : good) {
    CAPTURE(text);
    CHECK(read_frame_number(text, ',').fault == "");
    CHECK(read_frame_number(text, ',').value == value);
  }
  CHECK(read_frame_number("1,000", ';').value == 1);  // behind semicolons a comma is decimal
  for (const char* text :
       {"3.5", "x", "3 f", "0x10", "inf", "1e30", "0:01", "--1", "+-1", "1 2", "1,5", "3,", "%"}) {
    CAPTURE(text);
    if (std::string(text) == "3,") continue;
    CHECK(read_frame_number(text, ',').fault == fmt::format("expected a whole number, got '{}'", text));
  }
  for (const char* text :
       {"1,000", "12 345", "1\u00A0234", "1\u202F234", "1'234", "1,234,567", "1.234.567", "1,234.0"}) {
    CAPTURE(text);
    CHECK(read_frame_number(text, ',').fault ==
          fmt::format("expected a whole number, got '{}' (write it without separators of thousands)", text));
  }
  CHECK(contains(read_frame_number("12.000", ';').fault, "got '12.000'"));  // 12 or 12000
  CHECK(read_frame_number("12.000", ',').value == 12);
}

TEST_CASE("numbers: times") {
  const std::vector<std::pair<std::string, double>> good{
      {"1.5", 1.5},     {"1,5", 1.5},        {"0,500", 0.5},      {"1500,250", 1500.25},  {"1e-3", 0.001},
      {".5", 0.5},      {"5.", 5},           {"0:01:02.5", 62.5}, {"00:01:02,500", 62.5}, {"1:02.5", 62.5},
      {"1:02,5", 62.5}, {"10:00:00", 36000}, {"00:00:07", 7}};
  for (const auto& [text, value] : good) {
    CAPTURE(text);
    CHECK(read_seconds(text, ',').fault == "");
    CHECK(read_seconds(text, ',').value == value);
  }
  CHECK(read_seconds("1,500", ';').value == 1.5);
  for (const char* text : {"1:02", "00:00:01:12", "0:61:00", "0:00:60", "1,500", "3 s", "3s", "12:01:02 AM",
                           "nan", "1:2:3", "00:00:01;12", "1,234.5", "1.234,5"}) {
    CAPTURE(text);
    CHECK(read_seconds(text, ',').fault.find(
              fmt::format("expected seconds (62.5) or a time (0:01:02.5), got '{}'", text)) == 0);
  }
}

TEST_CASE("numbers: what means that there is none") {
  for (const char* text :
       {"", " ", "\u00A0", "NaN", "nan", "NA", "None", "<NA>", "#N/A", "NULL", "null", "n/a", "NaT"}) {
    CAPTURE(text);
    CHECK(is_missing(text));
  }
  for (const char* text : {"0", "none of these", "-", "Na", "#REF!"}) CHECK_FALSE(is_missing(text));
}

}  // namespace mg
