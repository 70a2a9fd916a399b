// Zip archives that are damaged, that lie about their sizes, or that would unpack outside their folder.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <vector>

#include "convert/pickle_writer.h"
#include "convert/read_error.h"
#include "convert/zip_writer.h"
#include "engine/file.h"
#include "temporary_folder.h"
#include "tools/convert/pickle.h"
#include "tools/convert/torch_file.h"
#include "tools/convert/weight_file.h"

namespace mg {

namespace fs = std::filesystem;
using test::PickleWriter;
using test::TemporaryFolder;
using test::ZipEntry;

namespace {

std::string honest_pickle() { return PickleWriter().op("}").text("w").tensor({4}, {1}, 0, 4).op("s").end(); }

std::string error_of(const std::string& bytes) {
  return test::read_error([&] { read_torch_file(bytes, "x.pth"); });
}

// An honest archive with some entries changed or added.
template <class Change>
std::string changed(Change change) {
  std::vector<ZipEntry> entries = test::torch_entries(honest_pickle());
  change(entries);
  return test::zip(entries);
}

std::string with_entry(const ZipEntry& entry) {
  return changed([&](auto& entries) { entries.push_back(entry); });
}

std::string without_entry(std::size_t i) {
  return changed([&](auto& entries) { entries.erase(entries.begin() + static_cast<std::ptrdiff_t>(i)); });
}

std::string golden(const std::string& name) {
  return read_whole_file(fs::path(MG_GOLDENS_DIR) / "torch_files" / name, ExitCode::failure);
}

struct Fault {
  std::string name, bytes, message = {};
};

std::vector<Fault> archive_faults() {
  const std::string honest = test::zip(test::torch_entries(honest_pickle()));
  const std::size_t directory = honest.find("PK\x01\x02");
  std::string nothing_but_end = "PK\x05\x06" + std::string(18, '\0');
  ZipEntry lying{"x/data/1", "1234"};
  lying.size = 0xfffffff0;
  ZipEntry bomb{"x/data/1", "1234", 8};
  bomb.size = 4000;
  ZipEntry wrong_crc{"x/data/0", std::string(16, '\x01')};
  wrong_crc.crc = 7;
  return {
      {"no byte", "", "expected an entry <name>/data.pkl"},
      {"no archive", std::string(1000, 'z'), "a damaged zip archive, or one that is cut off"},
      {"only an end", nothing_but_end, "expected an entry <name>/data.pkl"},
      {"no directory", honest.substr(0, directory), "a damaged zip archive, or one that is cut off"},
      {"half a directory", honest.substr(0, directory + 30), "a damaged zip archive, or one that is cut off"},
      {"no end", honest.substr(0, honest.size() - 22), "a damaged zip archive, or one that is cut off"},
      {"half an end", honest.substr(0, honest.size() - 4), "a damaged zip archive, or one that is cut off"},
      {"65535 entries said", test::zip(test::torch_entries(honest_pickle()), 65535), "a damaged zip archive"},
      {"2^40 entries said", test::zip64(test::torch_entries(honest_pickle()), std::uint64_t{1} << 40),
       "a damaged zip archive"},
      {"fewer entries said", test::zip(test::torch_entries(honest_pickle()), 1), "a damaged zip archive"},
      {"a path up", with_entry({"x/../../etc/passwd", "a"}), "'x/../../etc/passwd': expected a name inside"},
      {"an absolute path", with_entry({"/etc/passwd", "a"}), "'/etc/passwd': expected a name inside"},
      {"a path of Windows", with_entry({"x\\..\\y", "a"}), "'x\\..\\y': expected a name inside"},
      {"two folders", with_entry({"y/data.pkl", "a"}),
       "y/data.pkl: expected all entries in one folder, here x/"},
      {"no folder", test::zip({{"data.pkl", honest_pickle()}}),
       "data.pkl: expected all entries in one folder, got none"},
      {"an entry twice", with_entry({"x/data/0", "1234"}), "an entry is there twice"},
      {"a bomb", with_entry(bomb), "x/data/1: compressed (4000 bytes in 4), which torch.save never does"},
      {"a stored bomb", with_entry(lying), "x/data/1: compressed (4294967280 bytes in 4)"},
      {"encrypted", with_entry({"x/data/1", "1234", 0, 1}), "x/data/1: encrypted"},
      {"no pickle", without_entry(0), "expected an entry <name>/data.pkl"},
      {"no version", without_entry(3), "expected an entry x/version"},
      {"a version of the future", changed([](auto& e) { e[3].content = "11\n"; }),
       "x/version: expected a number of 1 to 10"},
      {"a version that is none", changed([](auto& e) { e[3].content = "new"; }),
       "x/version: expected a number of 1 to 10"},
      {"a long version", changed([](auto& e) { e[3].content = std::string(65, '3'); }),
       "x/version: 65 bytes are above"},
      {"big-endian", changed([](auto& e) { e[1].content = "big"; }),
       "x/byteorder: expected little, got 'big'"},
      {"TorchScript", with_entry({"x/constants.pkl", "a"}), "a TorchScript archive"},
      {"TorchScript's code", with_entry({"x/code/__torch__.py", "a"}), "a TorchScript archive"},
      {"a wrong CRC", changed([&](auto& e) { e[2] = wrong_crc; }), "x/data/0: damaged: CRC error"},
      {"a wrong CRC of the pickle", changed([&](auto& e) { e[0].crc = 7; }),
       "x/data.pkl: damaged: CRC error"},
      {"a storage of another size", changed([&](auto& e) { e[2].content.pop_back(); }),
       "w: expected 4 elements of F32 in its storage '0', but that has 15 bytes"},
  };
}

}  // namespace

TEST_CASE("archive: each fault has its own message") {
  REQUIRE(read_torch_file(test::zip(test::torch_entries(honest_pickle())), "x.pth").tensors.size() == 1);
  for (const Fault& fault : archive_faults()) {
    CAPTURE(fault.name);
    CAPTURE(fault.message);
    const std::string message = error_of(fault.bytes);
    CAPTURE(message);
    CHECK(message.starts_with("x.pth: "));
    CHECK(message.find(fault.message) != std::string::npos);
  }
  CHECK(read_torch_file(test::zip64(test::torch_entries(honest_pickle()), 4), "x.pth").tensors.size() == 1);
  // Entries inside each other, each sound by itself: from a few bytes they would fill any memory.
  std::vector<ZipEntry> nested = test::torch_entries(honest_pickle());
  ZipEntry inner{"x/data/10", std::string(10'000, 'z')};
  std::vector<ZipEntry> matryoshka{inner};
  for (int i = 11; i < 30; ++i) {
    inner = {"x/data/" + std::to_string(i), test::zip_file(inner)};
    matryoshka.push_back(inner);
  }
  std::uint32_t offset = static_cast<std::uint32_t>(test::zip_parts(nested).files.size());
  for (auto entry = matryoshka.rbegin(); entry != matryoshka.rend(); ++entry) {
    nested.push_back(*entry);
    if (entry != matryoshka.rbegin()) nested.back().offset = offset;
    offset += static_cast<std::uint32_t>(30 + entry->name.size());
  }
  CHECK(error_of(test::zip(nested)).find("bytes together in a file of") != std::string::npos);
  const std::string long_pickle = PickleWriter().op(std::string(kMaxPickle, 'N')).end();
  CHECK(error_of(test::zip(test::torch_entries(long_pickle))).find("are above the limit of 67108864") !=
        std::string::npos);
}

TEST_CASE("archive: a file cut off anywhere is refused") {
  const std::string whole = golden("views.pth");
  for (std::size_t length = 0; length < whole.size(); ++length) {
    CAPTURE(length);
    CHECK(error_of(whole.substr(0, length)) != "no error");
  }
}

TEST_CASE("archive: a flipped bit is found, or changes no number") {
  const std::string whole = golden("plain.pth");
  const StateDict sound = read_torch_file(whole, "x.pth");
  int found = 0;
  for (std::size_t i = 0; i < whole.size(); ++i) {
    CAPTURE(i);
    std::string flipped = whole;
    flipped[i] = static_cast<char>(flipped[i] ^ (1 << (i % 8)));
    StateDict read;
    if (test::read_error([&] { read = read_torch_file(flipped, "x.pth"); }) != "no error") {
      ++found;
      continue;
    }
    REQUIRE(read.tensors.size() == sound.tensors.size());
    for (const auto& [name, tensor] : sound.tensors) {
      CAPTURE(name);
      const Tensor& other = read.tensors.at(name);
      REQUIRE(other.bytes() == tensor.bytes());
      CHECK(std::memcmp(other.as<char>(), tensor.as<char>(), tensor.bytes()) == 0);
    }
  }
  CHECK(found > 1000);
}

TEST_CASE("weight file: formats that are not read are called by their names") {
  const TemporaryFolder folder;
  std::string tar(512, '\0');
  tar.replace(257, 5, "ustar");
  const std::vector<Fault> faults{
      {"nothing", "", "the file is empty"},
      {"lfs", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a pointer of Git LFS"},
      {"page", "\n<!doctype html><html>", "a web page in place of the weights"},
      {"half.incomplete", "PK\x03\x04", "a download that did not end"},
      {"text", "hello, world", "neither a safetensors file"},
      {"tar", tar, "a tar archive of PyTorch before 0.4, which is read by unpickling alone"},
      {"legacy", "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.",
       "PyTorch's format before 1.6, which is"},
      {"pickle", "\x80\x04\x95", "a bare pickle, which is read by unpickling alone"},
      {"gzip", "\x1f\x8b\x08", "compressed by gzip: unpack it first"},
      {"HDF5", "\x89HDF\r\n", "HDF5 (Keras?)"},
  };
  for (const Fault& fault : faults) {
    CAPTURE(fault.name);
    const fs::path file = folder / fault.name;
    std::ofstream(file, std::ios::binary) << fault.bytes;
    const std::string message = test::read_error([&] { read_weight_file(file); });
    CAPTURE(message);
    CHECK(message.starts_with(file.string() + ": "));
    CHECK(message.find(fault.message) != std::string::npos);
  }
  CHECK(test::read_error([&] { read_weight_file(folder / "absent"); }).find("cannot open") !=
        std::string::npos);
  CHECK(test::read_error([&] { read_weight_file("/dev/null"); }).find("expected a file or") !=
        std::string::npos);
}

#ifdef __SANITIZE_ADDRESS__
constexpr int kAllowedMib = 32;  // the sanitizer's own
#else
constexpr int kAllowedMib = 1;
#endif

// The growth of a process's address space while it reads bytes, in a process of its own: in MiB.
int growth_in_child(const std::string& bytes, const fs::path& file) {
  std::ofstream(file, std::ios::binary) << bytes;
  const auto peak = [] {
    std::ifstream status("/proc/self/status");
    std::string word;
    long kib = 0;
    while (status >> word && word != "VmPeak:") continue;
    status >> kib;
    return kib;
  };
  const pid_t child = ::fork();
  if (child == 0) {
    const long before = peak();
    try {
      read_weight_file(file);
      ::_exit(255);
    } catch (const Error&) {
      ::_exit(static_cast<int>(std::min<long>((peak() - before) / 1024, 254)));
    }
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

TEST_CASE("weight file: sizes that lie take no memory") {
  const TemporaryFolder folder;
  const auto header = [](std::uint64_t length, const std::string& text) {
    return PickleWriter::little(length, 8) + text;
  };
  ZipEntry pickle{"x/data.pkl", honest_pickle()};
  pickle.size = 0x7ffffff0;
  const std::vector<Fault> faults{
      {"a header of 99 MB", header(99'000'000, "{}")},
      {"a header of 2^63", header(std::uint64_t{1} << 63, "{}")},
      {"a tensor of 2^40",
       header(63, R"({"w":{"dtype":"U8","shape":[1099511627776],"data_offsets":[0,8]}})")},
      {"a pickle of 2 GB", test::zip({pickle})},
      {"a storage of 2^40",
       test::zip(test::torch_entries(
           PickleWriter().op("}").text("w").tensor({1L << 40}, {1}, 0, 1L << 40).op("s").end()))},
      {"a tensor of 2^40",
       test::zip(test::torch_entries(
           PickleWriter().op("}").text("w").tensor({1L << 40}, {0}, 0, 4).op("s").end()))},
      {"a text of 4 GB", test::zip(test::torch_entries(PickleWriter().op("X\xff\xff\xff\xff").end()))},
      {"2^40 entries", test::zip64(test::torch_entries(honest_pickle()), std::uint64_t{1} << 40)},
  };
  for (const Fault& fault : faults) {
    CAPTURE(fault.name);
    CHECK(growth_in_child(fault.bytes, folder / "x.safetensors") < kAllowedMib);
  }
}

}  // namespace mg
