// AdamW tensor by tensor against torch.optim.AdamW from the same gradients, and BatchNorm's running
// statistics: a loss shows neither a missing weight decay nor a biased variance.
#include "engine/layers.h"
#include "engine/optimizer.h"
#include "models/golden.h"
#include "models/proof.h"

namespace mg {

namespace {

// Not more than three times as far from fp64 as PyTorch's own fp32.
double bound(const nlohmann::json& golden) {
  return std::max(1e-6, 3 * golden["fp32_distance"].get<double>());
}

class Weights : public Module {
 public:
  explicit Weights(const nlohmann::json& groups) {
    for (const auto& group : groups) {
      for (const auto& [name, dims] : group["parameters"].items()) {
        Shape shape;
        for (const auto& dim : dims) shape.append(dim.get<std::int64_t>());
        add_parameter(name, shape, Init::zeros());
      }
    }
  }
};

std::vector<ParameterGroup> grouped(Module& weights, const nlohmann::json& groups) {
  std::vector<ParameterGroup> result;
  for (const auto& group : groups) {
    ParameterGroup some{group["name"], {}, group["lr"], group["weight_decay"]};
    for (const NamedParameter& p : weights.parameters()) {
      if (group["parameters"].contains(p.name)) some.parameters.push_back(p);
    }
    result.push_back(some);
  }
  return result;
}

bool has_gradient(const std::string& name, int step) {
  return name != "never.weight" && (name != "sometimes.weight" || step % 3 == 1);
}

// A dense tensor of the values that a name stands for, as parameters have them.
Tensor dense_hashed(const std::string& name, const Shape& shape) {
  Tensor t(heap_allocator(), shape, Layout::dense);
  const test::Hashed hashed(name);
  for (std::int64_t i = 0; i < t.count(); ++i) t.f32()[i] = static_cast<float>(hashed(i));
  return t;
}

void compare_adamw(const std::string& name, const nlohmann::json& groups, const nlohmann::json& run) {
  test::Proof proof("AdamW, " + name);
  Context ctx(CpuStream(2));
  Weights weights(groups), start(groups);
  test::fill(weights);
  test::fill(start);
  AdamW optimizer(grouped(weights, groups), {.max_norm = run["max_norm"]});
  int step = 0;
  for (const auto& factor : run["factors"]) {
    for (const NamedParameter& p : weights.parameters()) {
      if (!has_gradient(p.name, step)) continue;
      p.parameter->grad =
          dense_hashed(fmt::format("gradient {} {}", step, p.name), p.parameter->value.shape());
    }
    optimizer.step(ctx, factor);
    ++step;
  }
  const nlohmann::json& cases = run["cases"];
  const std::vector<NamedParameter> after = weights.parameters(), before = start.parameters();
  for (std::size_t i = 0; i < after.size(); ++i) {
    Tensor change = after[i].parameter->value;
    for (std::int64_t j = 0; j < change.count(); ++j) change.f32()[j] -= before[i].parameter->value.f32()[j];
    const nlohmann::json& golden = cases.at("change." + after[i].name);
    if (after[i].name == "never.weight") {  // no gradient: no decay either
      for (std::int64_t j = 0; j < change.count(); ++j) CHECK(change.f32()[j] == 0);
      continue;
    }
    proof.check("change of " + after[i].name, test::golden_error(golden, change), bound(golden));
  }
  for (const OptimizerState& state : optimizer.state()) {
    const auto golden = cases.find(state.name);
    if (golden == cases.end()) continue;
    proof.check(state.name, test::golden_error(*golden, *state.tensor), bound(*golden));
  }
}

}  // namespace

TEST_CASE("AdamW changes each tensor as torch.optim.AdamW does") {
  const nlohmann::json golden = test::read_golden("optimizer.json");
  for (const auto& [name, run] : golden["adamw"].items()) compare_adamw(name, golden["groups"], run);
}

TEST_CASE("BatchNorm's running statistics after steps of training are PyTorch's") {
  const nlohmann::json cases = test::read_golden("optimizer.json")["batch_norm"];
  test::Proof proof("BatchNorm, running statistics after 5 steps of training");
  struct Net : Module {
    Conv3d conv{3, 6, {.kernel = {1, 3, 3}, .stride = {1, 1, 1}, .padding = {0, 1, 1}}};
    BatchNorm norm{6};
    Net() {
      add_child("0", conv);
      add_child("1", norm);
    }
  } net;
  test::fill(net);
  Context ctx(CpuStream(2));
  AdamW optimizer({{"all", net.parameters(), 1e-2, 1e-3}}, {});
  const auto forward = [&](int step) {
    const Value x(test::hashed_tensor(ctx, fmt::format("x {}", step), {2, 1, 2, 2, 3}));
    return net.norm.forward(ctx, net.conv.forward(ctx, x));
  };
  for (int step = 0; step < 5; ++step) {
    Tape tape;
    const Restore<Tape*> recording(ctx.tape, &tape);
    const Restore<bool> training(ctx.training, true);
    const Value y = forward(step);
    tape.backward(ctx, y, test::hashed_tensor(ctx, fmt::format("dy {}", step), {2, 1, 2, 2, 6}));
    optimizer.step(ctx);
  }
  const TensorMap state = to_tensor_map(named_tensors(net));
  for (const std::string kind : {"running_mean", "running_var"}) {
    proof.check(kind, test::golden_error(cases[kind], state.at("1." + kind)), bound(cases[kind]));
  }
  proof.check("output in eval mode", test::golden_error(cases["eval"], forward(5).data),
              bound(cases["eval"]));
}

}  // namespace mg
