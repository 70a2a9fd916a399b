// The one reader of text that people write: manifests, lists of labels, vocabularies, configurations.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "engine/error.h"

namespace mg {

// The file's text in UTF-8, without a byte order mark, every line end (LF, CRLF, CR) as LF, and without the
// Ctrl-Z (0x1a) with which old editors end a file. UTF-8 is read with or without a byte order mark, UTF-16
// with one. Everything else (Latin-1, UTF-16 without a mark, a workbook, a picture) is an Error(code) that
// names file, line and byte and says how to save the file.
std::string read_text_file(const std::filesystem::path& path, ExitCode code);

// The same of bytes that came from the file `name`.
std::string decode_text(std::string_view bytes, const std::string& name, ExitCode code);

// The lines of such a text without their ends. What follows the last line end is a line only if it is not
// empty.
std::vector<std::string> lines_of(std::string_view text);

}  // namespace mg
