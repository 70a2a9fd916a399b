// AdamW over groups of named parameters, gradient clipping by the global norm, and learning-rate schedules.
#pragma once

#include <string>
#include <vector>

#include "engine/module.h"
#include "kernels/adamw.h"

namespace mg {

struct ParameterGroup {
  std::string name;
  std::vector<NamedParameter> parameters;
  double lr;
  double weight_decay = 0;
};

struct AdamWOptions {
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  double max_norm = 0;  // clip the gradient of all groups together to this L2 norm; 0: off
};

// A parameter's state under a name that a checkpoint stores it by.
struct OptimizerState {
  std::string name;
  Tensor* tensor;
};

class AdamW {
 public:
  // The parameters must be where they are trained: their state goes there too.
  AdamW(std::vector<ParameterGroup> groups, AdamWOptions options);

  // One step with each group's learning rate times lr_factor; drops the gradients. As in PyTorch, a parameter
  // that got no gradient is left alone entirely: no decay, no moments.
  Late<AdamWOutcome> step(Context& context, double lr_factor = 1);

  std::vector<OptimizerState> state();  // first and second moments and step counts by parameter name
  const std::vector<ParameterGroup>& groups() const { return groups_; }

 private:
  struct Slot {
    Parameter* parameter;
    std::string name;
    std::size_t group;
    Tensor first_moment, second_moment, steps;  // steps: i64 [1]
  };
  std::vector<ParameterGroup> groups_;
  AdamWOptions options_;
  std::vector<Slot> slots_;
};

enum class Schedule { constant, cosine };

// The factor on the learning rate in step (from 0) of total: linear warm-up over the first warmup steps, then
// constant or half a cosine down to 0.
double schedule_factor(Schedule schedule, std::int64_t step, std::int64_t total, std::int64_t warmup);

}  // namespace mg
