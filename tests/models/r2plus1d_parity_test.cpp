// torchvision's r2plus1d_18, at the sizes of training: logits, the output of each stage, running statistics.
#include "models/golden.h"
#include "models/proof.h"
#include "models/r2plus1d.h"

namespace mg {

namespace {

constexpr double kBound = 1e-4;

struct Size {
  std::int64_t frames, pixels;
};

#ifdef __SANITIZE_ADDRESS__
const std::vector<Size> kSizes{{16, 112}};
#else
const std::vector<Size> kSizes{{16, 112}, {32, 112}, {16, 224}, {32, 224}};
#endif

void compare(const nlohmann::json& cases, const Size& size, bool training) {
  const std::string name = fmt::format("{}x{} {}", size.frames, size.pixels, training ? "train" : "eval");
  const std::string key = name + " ";
  test::Proof proof("R(2+1)D-18 " + name);
  Context ctx(CpuStream(2));
  R2Plus1d net({.classes = 400});
  test::fill(net);
  ctx.training = training;
  std::vector<Value> stages;
  const Tensor frames = test::hashed_tensor(ctx, "frames", {1, size.frames, size.pixels, size.pixels, 3});
  const Value features = net.forward(ctx, frames, &stages);
  const std::vector<std::string> names{"stem", "layer1", "layer2", "layer3", "layer4"};
  REQUIRE(stages.size() == names.size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    proof.check(names[i], test::golden_error(cases.at(key + names[i]), stages[i].data), kBound);
  }
  proof.check("logits", test::golden_error(cases.at(key + "logits"), net.logits(ctx, features).data), kBound);
  if (!training) return;
  int buffers = 0;
  for (const NamedBuffer& b : net.buffers()) {
    const auto golden = cases.find(key + b.name);
    if (golden == cases.end()) continue;
    proof.check(b.name, test::golden_error(*golden, *b.tensor), kBound);
    ++buffers;
  }
  CHECK(buffers == 22);
}

}  // namespace

TEST_CASE("R(2+1)D-18 at the sizes of training is torchvision's r2plus1d_18") {
  const nlohmann::json cases = test::read_golden("r2plus1d.json")["cases"];
  for (const Size& size : kSizes) {
    compare(cases, size, false);
    compare(cases, size, true);
  }
#ifdef __SANITIZE_ADDRESS__
  MESSAGE("skipped: 32 frames and 224 pixels take too long under sanitizers");
#endif
}

TEST_CASE("R(2+1)D-18 with its classifier has torchvision's size; without it there are no logits") {
  CHECK(R2Plus1d({.classes = 400}).parameter_count() == 31'505'325);
  Context ctx(CpuStream(2));
  R2Plus1d net({.width = 8});
  CHECK_THROWS_WITH_AS(net.logits(ctx, test::hashed_tensor(ctx, "x", {1, 1, 1, 1, 64})),
                       "R2Plus1d: logits were asked of a network without a classifier", Error);
}

}  // namespace mg
