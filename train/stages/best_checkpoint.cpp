#include "train/stages/best_checkpoint.h"

#include <fmt/core.h>

#include <cmath>

namespace mg {

namespace {

constexpr const char* kBest = "best";

bool better(const StageFigures& a, const StageFigures& b) {
  if (a.top1 != b.top1) return a.top1 > b.top1;
  return a.loss && b.loss && *a.loss < *b.loss;
}

std::string figures_text(const StageFigures& figures) {
  return fmt::format("top-1 {:.1f} %", figures.top1) +
         (figures.loss ? fmt::format(", loss {:.4f}", *figures.loss) : "");
}

}  // namespace

void BestCheckpoint::offer(const StageFigures& figures, std::int64_t step, std::int64_t epoch,
                           const std::function<CheckpointData()>& data) {
  if (!keep_ || (best_ && !better(figures, best_->figures))) return;
  best_ = Best{figures, step, epoch};
  save_checkpoint(checkpoints_ / kBest, data());
}

std::string BestCheckpoint::summary(const std::optional<StageFigures>& last) const {
  if (!best_) return "";
  const std::string best =
      fmt::format("best on val after epoch {}: {}", best_->epoch, figures_text(best_->figures));
  if (!last) return best + "; --checkpoint best uses it";
  if (!better(best_->figures, *last)) return best + ", no better than the last epoch";
  return fmt::format("{}; after the last: {}; --checkpoint best uses the best", best, figures_text(*last));
}

nlohmann::json BestCheckpoint::state() const {
  if (!best_) return nullptr;
  nlohmann::json state{{"step", best_->step}, {"epoch", best_->epoch}, {"top1", best_->figures.top1}};
  if (best_->figures.loss && std::isfinite(*best_->figures.loss)) state["loss"] = *best_->figures.loss;
  return state;
}

void BestCheckpoint::restore(const nlohmann::json& state, const std::string& source) {
  best_.reset();
  if (!keep_ || state.is_null()) return;
  try {
    Best best{};
    state.at("step").get_to(best.step);
    state.at("epoch").get_to(best.epoch);
    state.at("top1").get_to(best.figures.top1);
    if (state.contains("loss")) best.figures.loss = state["loss"].get<double>();
    best_ = best;
  } catch (const nlohmann::json::exception& e) {
    throw Error(ExitCode::checkpoint, "{}: expected the figures of the best checkpoint: {}", source,
                e.what());
  }
}

CheckpointData best_checkpoint(const std::filesystem::path& checkpoints, const nlohmann::json& state) {
  const std::filesystem::path folder = checkpoints / kBest;
  if (state.is_null() || !std::filesystem::exists(folder)) {
    throw Error(ExitCode::checkpoint,
                "{}: there is no best checkpoint: one is kept in training with a val split (and the key "
                "checkpoint.best)",
                folder.string());
  }
  CheckpointData data = load_checkpoint(folder);
  const auto step_of = [](const nlohmann::json& of) { return of.value("step", std::int64_t{-1}); };
  if (step_of(data.state) != step_of(state)) {
    throw Error(ExitCode::checkpoint,
                "{}: expected the checkpoint of step {}, as the last one says, got step {}", folder.string(),
                step_of(state), step_of(data.state));
  }
  return data;
}

}  // namespace mg
