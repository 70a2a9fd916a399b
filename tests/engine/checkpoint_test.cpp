#include "engine/checkpoint.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <limits>
#include <set>
#include <thread>

#include "engine/file.h"
#include "engine/layers.h"
#include "engine/optimizer.h"
#include "temporary_folder.h"

namespace mg {

namespace fs = std::filesystem;

using test::TemporaryFolder;

namespace {

// Two layers and an optimizer, trained for a step so that nothing is at its start.
class Small : public Module {
 public:
  explicit Small(std::uint64_t seed) : fc_(5, 4), norm_(4), optimizer_({{"all", parameters_of(), 0.1}}, {}) {
    add_child("fc", fc_);
    add_child("norm", norm_);
    initialize(seed);
  }
  float step(Context& ctx) {
    Tape tape;
    const Restore restore_tape(ctx.tape, &tape);
    const Restore restore_training(ctx.training, true);
    Tensor x = ctx.zeros({3, 5});
    for (std::int64_t i = 0; i < 15; ++i) x.f32()[i / 5 * x.pitch() + i % 5] = static_cast<float>(i % 4) - 1;
    Tensor targets = ctx.zeros({3, 4});
    for (std::int64_t r = 0; r < 3; ++r) targets.f32()[r * targets.pitch() + r] = 1;
    const Value loss = cross_entropy(ctx, norm_.forward(ctx, fc_.forward(ctx, x)), targets);
    tape.backward(ctx, loss);
    optimizer_.step(ctx);
    return loss.data.at(0);
  }
  CheckpointData data() {
    CheckpointData data{to_tensor_map(named_tensors(*this)), to_tensor_map(named_tensors(optimizer_)), {}};
    data.state["step"] = 7;
    data.state["seed"] = 18446744073709551615ull;
    return data;
  }
  void load(const CheckpointData& data) {
    load_tensors(named_tensors(*this), data.model, "model");
    load_tensors(named_tensors(optimizer_), data.training, "optimizer");
  }

 private:
  std::vector<NamedParameter> parameters_of() {
    std::vector<NamedParameter> all = fc_.parameters("fc.");
    for (const NamedParameter& p : norm_.parameters("norm.")) all.push_back(p);
    return all;
  }
  Linear fc_;
  BatchNorm norm_;
  AdamW optimizer_;
};

std::string bytes(const fs::path& path) { return read_whole_file(path, ExitCode::failure); }

std::set<std::string> names_in(const fs::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename().string());
  return names;
}

const std::set<std::string> kFiles{"manifest.json", "model.safetensors", "state.json",
                                   "training.safetensors"};

}  // namespace

TEST_CASE("checkpoint: training goes on bit by bit from a loaded one, and equal states are equal files") {
  const TemporaryFolder folder;
  Context ctx(CpuStream(1));
  Small first(1);
  first.step(ctx);
  save_checkpoint(folder.path / "step_1", first.data());
  CHECK(names_in(folder.path) == std::set<std::string>{"step_1"});
  CHECK(names_in(folder.path / "step_1") == kFiles);
  const CheckpointData data = load_checkpoint(folder.path / "step_1");
  CHECK(data.state == first.data().state);

  Small second(2);
  second.load(data);
  save_checkpoint(folder.path / "step_2", second.data());
  for (const std::string& name : kFiles) {
    CAPTURE(name);
    CHECK(bytes(folder.path / "step_1" / name) == bytes(folder.path / "step_2" / name));
  }
  for (int i = 0; i < 3; ++i) CHECK(first.step(ctx) == second.step(ctx));
}

TEST_CASE("checkpoint: saving under a name that exists replaces it") {
  const TemporaryFolder folder;
  Context ctx(CpuStream(1));
  Small model(1);
  save_checkpoint(folder.path / "step_1", model.data());
  const std::string before = bytes(folder.path / "step_1" / "model.safetensors");
  model.step(ctx);
  save_checkpoint(folder.path / "step_1", model.data());
  CHECK(names_in(folder.path) == std::set<std::string>{"step_1"});
  CHECK(bytes(folder.path / "step_1" / "model.safetensors") != before);
  load_checkpoint(folder.path / "step_1");
}

TEST_CASE("checkpoint: one flipped byte anywhere is detected, and the one before is taken") {
  const TemporaryFolder folder;
  Small model(1);
  save_checkpoint(folder.path / "step_9", model.data());
  save_checkpoint(folder.path / "step_10", model.data());
  std::vector<std::string> reports;
  auto report = [&](const std::string& line) { reports.push_back(line); };
  REQUIRE(latest_checkpoint(folder.path, report)->folder == folder.path / "step_10");
  CHECK(reports.empty());
  for (const std::string& name : kFiles) {
    const fs::path file = folder.path / "step_10" / name;
    const std::string good = bytes(file);
    for (std::size_t i = 0; i < 16; ++i) {
      std::string bad = good;
      // Spread over the file; the last position is its last byte but one (JSON files end in a line break).
      const std::size_t at = (good.size() - 2) * i / 15;
      bad[at] = static_cast<char>(bad[at] ^ 0x10);
      std::ofstream(file, std::ios::binary) << bad;
      CAPTURE(name);
      CAPTURE(at);
      reports.clear();
      const auto found = latest_checkpoint(folder.path, report);
      REQUIRE(found);
      CHECK(found->folder == folder.path / "step_9");
      REQUIRE(reports.size() == 1);
      CHECK(reports[0].find("step_10") != std::string::npos);
    }
    std::ofstream(file, std::ios::binary) << good;
  }
  REQUIRE(latest_checkpoint(folder.path, report)->folder == folder.path / "step_10");
}

TEST_CASE("checkpoint: a missing file or another schema is an error that names the file") {
  const TemporaryFolder folder;
  Small model(1);
  for (const std::string& name : kFiles) {
    save_checkpoint(folder.path / "step_1", model.data());
    fs::remove(folder.path / "step_1" / name);
    CAPTURE(name);
    try {
      load_checkpoint(folder.path / "step_1");
      FAIL("loaded");
    } catch (const Error& e) {
      CHECK(e.code() == ExitCode::checkpoint);
      CHECK(std::string(e.what()).find(name) != std::string::npos);
    }
  }
  save_checkpoint(folder.path / "step_1", model.data());
  std::ofstream(folder.path / "step_1" / "manifest.json") << R"({"schema": 99, "xxh3_128": {}})";
  CHECK_THROWS_WITH_AS(load_checkpoint(folder.path / "step_1"),
                       doctest::Contains("expected schema 1, got 99"), Error);
  CHECK_FALSE(latest_checkpoint(folder.path / "absent", [](const std::string&) {}));
}

TEST_CASE("checkpoint: a process killed at any time leaves only complete ones under their names") {
  const TemporaryFolder folder;
  for (int round = 0; round < 12; ++round) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      try {
        Small model(1);
        for (int step = 0;; ++step) {
          save_checkpoint(folder.path / ("step_" + std::to_string(step % 5)), model.data());
        }
      } catch (...) {
        ::_exit(1);
      }
    }
    std::this_thread::sleep_for(std::chrono::microseconds(3000 + 1700 * round));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    CHECK(WIFSIGNALED(status));
    for (const auto& entry : fs::directory_iterator(folder.path)) {
      CAPTURE(entry.path().string());
      if (!entry.path().string().ends_with(".tmp")) CHECK_NOTHROW(load_checkpoint(entry.path()));
    }
  }
  Small model(1);
  save_checkpoint(folder.path / "step_7", model.data());
  prune_checkpoints(folder.path, 1);
  CHECK(names_in(folder.path) == std::set<std::string>{"step_7"});
}

TEST_CASE("checkpoint: pruning keeps the newest by number and leaves other names alone") {
  const TemporaryFolder folder;
  Small model(1);
  for (const char* name : {"step_2", "step_10", "step_9", "best"})
    save_checkpoint(folder.path / name, model.data());
  prune_checkpoints(folder.path, 2);
  CHECK(names_in(folder.path) == std::set<std::string>{"step_10", "step_9", "best"});
  CHECK_THROWS_AS(prune_checkpoints(folder.path, 0), Error);
}

TEST_CASE(
    "load_tensors lists what is missing, extra and mis-shaped, with the nearest names, and copies nothing") {
  Small model(1);
  TensorMap stored = model.data().model;
  stored.emplace("fc.weigth", stored.at("fc.weight"));
  stored.erase("fc.weight");
  Tensor wrong = Tensor::zeros(heap_allocator(), {5}, Layout::dense);
  stored.at("norm.bias") = wrong;
  Small other(2);
  const float before = other.data().model.at("fc.bias").at(0);
  try {
    load_tensors(named_tensors(other), stored, "model.safetensors");
    FAIL("loaded");
  } catch (const Error& e) {
    CHECK(e.code() == ExitCode::checkpoint);
    CHECK(std::string(e.what()) ==
          "model.safetensors: the tensors do not fit: 1 missing, 1 extra, 1 of another type or shape\n"
          "  missing fc.weight (nearest: fc.weigth)\n"
          "  extra fc.weigth (nearest: fc.weight)\n"
          "  norm.bias: expected f32 [4], got f32 [5]");
  }
  CHECK(other.data().model.at("fc.bias").at(0) == before);

  stored.erase("norm.bias");
  load_tensors(named_tensors(other), stored, "model.safetensors",
               {.allow_missing = true, .allow_extra = true});
  CHECK(other.data().model.at("fc.bias").at(0) == stored.at("fc.bias").at(0));

  Tensor broken(heap_allocator(), {4}, Layout::dense);
  for (int i = 0; i < 4; ++i) broken.f32()[i] = i < 2 ? 1.0f : std::numeric_limits<float>::quiet_NaN();
  stored["norm.bias"] = broken;
  CHECK_THROWS_WITH_AS(
      load_tensors(named_tensors(other), stored, "x", {.allow_missing = true, .allow_extra = true}),
      doctest::Contains("norm.bias [2] is nan, and 1 more of its 4 numbers is not finite"), Error);

  TensorMap many = model.data().model;
  for (int i = 0; i < 30; ++i) many.emplace("extra." + std::to_string(i), wrong);
  CHECK_THROWS_WITH_AS(load_tensors(named_tensors(other), many, "x"), doctest::Contains("\n  and 10 more"),
                       Error);
}

}  // namespace mg
