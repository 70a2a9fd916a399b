#include "train/label_list.h"

#include <doctest/doctest.h>

#include "engine/file.h"
#include "temporary_folder.h"

namespace mg {

namespace {

using Labels = std::vector<std::string>;

}  // namespace

TEST_CASE("labels are read from lists and from tables") {
  const test::TemporaryFolder folder;
  const std::vector<std::string> same{"nod\ntouch, or rub\n",
                                      "\xEF\xBB\xBFnod\r\ntouch, or rub",
                                      "nod\rtouch, or rub\r\r",
                                      "\n nod\u00A0\n\n\"touch,  or rub\"\n\x1A",
                                      "label\nnod\n\"touch, or rub\"\n",
                                      "Label\nnod\n\"touch, or rub\"\n",
                                      "id,name\n0,nod\n1,\"touch, or rub\"\n",
                                      "id;NAME\n0;nod\n1;touch, or rub\n",
                                      "sep=;\nlabel;note\nnod;\ntouch, or rub;x\n",
                                      "id\tlabel\n0\tnod\n1.0\ttouch, or rub\n",
                                      "clip,label\na,nod\nb,\"touch, or rub\"\nc,nod\n"};
  for (const std::string& text : same) {
    CAPTURE(text);
    write_whole_file(folder / "l.txt", text);
    CHECK(read_label_list(folder / "l.txt") == Labels{"nod", "touch, or rub"});
  }
  write_whole_file(folder / "l.txt", "name\nclass\n[something] falls, quickly\n");
  CHECK(read_label_list(folder / "l.txt") == Labels{"name", "class", "[something] falls, quickly"});
}

TEST_CASE("a file that would rank garbage is one error with file and line") {
  const test::TemporaryFolder folder;
  const std::string file = folder / "l.txt";
  const std::vector<std::pair<std::string, std::string>> faults{
      {"", ": expected a label on each line, the file is empty"},
      {"\n \n", ": expected a label on each line, the file is empty"},
      {"nod\n", ": expected two labels at least, one a line, got only 'nod'"},
      {"nod,wave,shake\n", ":1: a table without a column called label"},
      {"nod\n\nwave\nnod \n", ":4: the label 'nod' is in line 1 already"},
      {"nod\nNod\n", ":2: the label 'Nod' differs from 'nod' in line 1 only in case"},
      {"id,name\n0,nod\n1,nod\n", ":3: the label 'nod' is in line 2 already"},
      {"id,name\n1,nod\n2,wave\n", ":2: id: expected 0, got '1'"},
      {"id,name\nx,nod\n1,wave\n", ":2: id: expected 0, got 'x'"},
      {"id,name\n0,nod\n1,\n", ":3: the label is empty"},
      {"0,nod\n1,wave\n", ":1: a table without a column called label: expected that, or one label a line"},
      {"clip;lable\na;nod\nb;wave\n", ":1: a table without a column called label"},
      {"nod\t0\nwave\t1\n", ":1: a table without a column called label"},
      {"[\"nod\", \"wave\"]\n", ":1: expected one label a line, this is JSON"},
      {"nod\n" + std::string(500, 'x') + "\n", ":2: expected one label a line, got a text of 500 bytes"},
      {"nod\ncaf\xE9\n", ":2: not UTF-8 (byte 0xe9"},
      {"PK\x03\x04", ":1: is a ZIP archive"}};
  for (const auto& [text, message] : faults) {
    CAPTURE(text);
    write_whole_file(file, text);
    try {
      read_label_list(file);
      FAIL_CHECK("expected an error");
    } catch (const Error& e) {
      CHECK(e.code() == ExitCode::data);
      CHECK_MESSAGE(std::string(e.what()).find(file + message) == 0, e.what());
    }
  }
}

}  // namespace mg
