#include "tools/convert/certificate.h"

#include <cmath>
#include <limits>

#include "engine/sha256.h"

namespace mg {

namespace fs = std::filesystem;
using nlohmann::json;
using nlohmann::ordered_json;

namespace {

ordered_json tensor_table(const ConvertedModel& model, const Source& source) {
  ordered_json table = ordered_json::object();
  for (const auto& [ours, theirs] : model.keys.source_of) {
    const auto type = source.weights.stored_types.find(theirs);
    const bool changed = type != source.weights.stored_types.end() &&
                         (type->second == "F16" || type->second == "BF16" || type->second == "F64");
    table[ours] = changed ? ordered_json{{"name", theirs}, {"stored", type->second}} : ordered_json(theirs);
  }
  return table;
}

}  // namespace

ordered_json make_certificate(const ConvertedModel& model, const Source& source, const Probe& probe,
                              const fs::path& folder, const std::vector<std::string>& written) {
  ordered_json c{{"schema", 1}, {"tool", "mgconvert " MG_VERSION}, {"kind", model.kind}};
  c["source"] = ordered_json::array();
  for (const fs::path& file : source.files) {
    const bool inside = file != source.path && !file.lexically_relative(source.path).empty() &&
                        *file.lexically_relative(source.path).begin() != "..";
    const fs::path name = inside ? file.lexically_relative(source.path) : file.filename();
    c["source"].push_back({{"file", name.string()},
                           {"bytes", fs::file_size(file)},
                           {"sha256", sha256_of_file(file, ExitCode::checkpoint)}});
  }
  c["format"] = source.weights.format;
  c["tensors"] = tensor_table(model, source);
  c["dropped"] = ordered_json::array();
  for (const auto& [name, reason] : model.keys.dropped)
    c["dropped"].push_back({{"name", name}, {"reason", reason}});
  c["random"] = model.random;
  c["notes"] = model.notes;
  for (const auto& [name, values] : probe) c["probe"][name] = values;
  c["files"] = ordered_json::object();
  for (const std::string& name : written) c["files"][name] = sha256_of_file(folder / name, ExitCode::failure);
  return c;
}

double probe_distance(const json& certificate, const Probe& probe) {
  const json& stored = certificate.at("probe");
  double worst = 0;
  for (const auto& [name, values] : probe) {
    const auto found = stored.find(name);
    if (found == stored.end() || found->size() != values.size()) {
      throw Error(ExitCode::checkpoint, "the certificate's probe has no {} of {} values", name,
                  values.size());
    }
    double error = 0, norm = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const json& number = (*found)[i];
      const bool finite = std::isfinite(values[i]);
      if (number.is_null() && !finite) continue;  // JSON has no NaN and no infinity
      if (number.is_null() || !finite) return std::numeric_limits<double>::quiet_NaN();
      const auto expected = number.get<double>();
      error += (values[i] - expected) * (values[i] - expected);
      norm += expected * expected;
    }
    const double distance = error == 0 ? 0 : std::sqrt(error / norm);
    worst = std::isnan(distance) ? distance : std::max(worst, distance);
  }
  return worst;
}

}  // namespace mg
