#include "bench/launch_report.h"

#include <cxxabi.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <regex>

#include "engine/error.h"

namespace mg {

double Launch::count(const std::string& name) const {
  const auto found = counts.find(name);
  return found == counts.end() ? 0 : found->second;
}

LaunchReport::LaunchReport(char** arguments) {
  const std::string own =
      (std::filesystem::temp_directory_path() / fmt::format("mgbench-{}.jsonl", getpid())).string();
  if (std::getenv("VGPU_REPORT") == nullptr) {
    setenv("VGPU_REPORT", own.c_str(), 1);
    execv("/proc/self/exe", arguments);
    throw Error(ExitCode::failure, "cannot start this program again with VGPU_REPORT set: set it to a file");
  }
  path_ = std::getenv("VGPU_REPORT");
  own_ = path_ == own;  // the process is the same after its second start
  std::error_code none;
  const auto size = std::filesystem::file_size(path_, none);
  read_ = none ? 0 : static_cast<std::int64_t>(size);
}

LaunchReport::~LaunchReport() {
  std::error_code ignored;
  if (own_) std::filesystem::remove(path_, ignored);
}

std::vector<Launch> LaunchReport::take() {
  std::vector<Launch> launches;
  std::ifstream file(path_);
  if (!file) return launches;
  file.seekg(read_);
  for (std::string line; std::getline(file, line);) {
    read_ += static_cast<std::int64_t>(line.size()) + 1;
    const auto json = nlohmann::json::parse(line);
    Launch launch;
    launch.kernel = plain_kernel_name(json.at("kernel"));
    const auto product = [&](const char* key) {
      const auto& v = json.at(key);
      return v[0].get<std::int64_t>() * v[1].get<std::int64_t>() * v[2].get<std::int64_t>();
    };
    launch.blocks = product("grid");
    launch.threads = product("block");
    launch.shared_bytes = json.at("shared");
    for (const auto& [key, value] : json.at("result").items()) {
      if (value.is_number()) launch.counts[key] = value.get<double>();
    }
    launches.push_back(std::move(launch));
  }
  return launches;
}

Counts counts_of(const std::vector<Launch>& launches) {
  Counts c;
  for (const Launch& l : launches) {
    ++c.launches;
    c.requests += l.count("globalLoadRequests") + l.count("globalStoreRequests") + l.count("cpAsyncRequests");
    const double sectors =
        l.count("globalLoadSectors") + l.count("globalStoreSectors") + l.count("cpAsyncSectors");
    c.sectors += sectors;
    c.least_sectors +=
        l.count("globalLoadIdealSectors") + l.count("globalStoreIdealSectors") + l.count("cpAsyncBytes") / 32;
    // Bytes count for each lane, also where many ask for one address; sectors count whole, also where part is
    // asked for.
    const double bytes = l.count("globalLoadBytes") + l.count("globalStoreBytes") + l.count("cpAsyncBytes");
    c.l1_bytes += std::min(bytes, 32 * sectors);
    c.wavefronts += l.count("sharedLoadWavefronts") + l.count("sharedStoreWavefronts");
    c.least_wavefronts += l.count("sharedLoadIdeal") + l.count("sharedStoreIdeal");
    c.tensor_flops += l.count("mmaFlops");
    c.vector_flops += l.count("flops32");
  }
  return c;
}

std::string plain_kernel_name(const std::string& mangled) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> text(
      abi::__cxa_demangle(mangled.c_str(), nullptr, nullptr, &status), &std::free);
  if (status != 0) return mangled;
  std::string name = text.get();
  static const std::regex scopes(R"(\(anonymous namespace\)::|\b_GLOBAL__N__\w+::|\bmg::(cuda::)?)"),
      casts(R"(\((bool|int|unsigned int|long|[\w:]+)\)(?=[\w-]))"), bf16("__nv_bfloat16");
  name = std::regex_replace(name, bf16, "bf16");
  name = std::regex_replace(name, scopes, "");
  name = std::regex_replace(name, casts, "");
  int depth = 0;
  for (std::size_t i = 0; i < name.size(); ++i) {
    depth += (name[i] == '<') - (name[i] == '>');
    if (name[i] == '(' && depth == 0) name.resize(i);
  }
  return name.rfind("void ", 0) == 0 ? name.substr(5) : name;
}

}  // namespace mg
