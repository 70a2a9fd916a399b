#include "tools/convert/torch_file.h"

#include "tools/convert/pickle.h"
#include "tools/convert/torch_archive.h"

namespace mg {

namespace {

StateDict read_archive(TorchArchive archive) {
  const std::string where = archive.name_of("data.pkl");
  const std::string bytes = archive.read_pickle();
  const Pickle pickle(bytes, where);
  return read_state_dict(pickle.root(), archive, where);
}

}  // namespace

StateDict read_torch_file(const std::filesystem::path& path) { return read_archive(TorchArchive(path)); }

StateDict read_torch_file(std::span<const char> bytes, const std::string& name) {
  return read_archive(TorchArchive(bytes, name));
}

}  // namespace mg
