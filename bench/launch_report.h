// What the virtual GPU says of each launch: it appends a line of JSON to the file that VGPU_REPORT names.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace mg {

struct Launch {
  std::string kernel;  // conv3d_forward_kernel<float, 64>
  std::int64_t blocks = 0, threads = 0, shared_bytes = 0;
  std::map<std::string, double> counts;

  double count(const std::string& name) const;
};

class LaunchReport {
 public:
  // Reads the file that VGPU_REPORT names. Where it names none, this program starts itself again with one,
  // which goes with the object: the runtime reads the variable before main().
  explicit LaunchReport(char** arguments);
  ~LaunchReport();
  LaunchReport(const LaunchReport&) = delete;
  LaunchReport& operator=(const LaunchReport&) = delete;

  // The launches since the last call.
  std::vector<Launch> take();

 private:
  std::string path_;
  bool own_ = false;
  std::int64_t read_ = 0;
};

// What is counted of all launches of a run.
struct Counts {
  std::int64_t launches = 0;
  double l1_bytes = 0;  // asked for; what many lanes ask for at one address counts once
  double sectors = 0, least_sectors = 0, requests = 0;  // of 32 bytes
  double wavefronts = 0, least_wavefronts = 0;          // of shared memory
  double tensor_flops = 0, vector_flops = 0;

  // 1 where there is nothing to compare.
  double sectors_over_least() const { return least_sectors > 0 ? sectors / least_sectors : 1; }
  double wavefronts_over_least() const { return least_wavefronts > 0 ? wavefronts / least_wavefronts : 1; }
  double sectors_per_request() const { return requests > 0 ? sectors / requests : 0; }
  double tensor_share() const {
    return tensor_flops + vector_flops > 0 ? tensor_flops / (tensor_flops + vector_flops) : 0;
  }
};
Counts counts_of(const std::vector<Launch>& launches);

// mg::cuda::(anonymous namespace)::x_kernel<float>(float*) is x_kernel<float>.
std::string plain_kernel_name(const std::string& mangled);

}  // namespace mg
