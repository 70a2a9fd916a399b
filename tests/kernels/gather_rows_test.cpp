#include "kernels/gather_rows.h"

#include <map>

#include "reference.h"

using namespace mg;
using namespace mg::test;

namespace {

struct GatherCase {
  std::string name;
  std::int64_t table, channels;
  std::vector<std::int32_t> indices;
  bool pitched = true;
};

// count indices below table, of which the first `long_run` positions and some others want row `repeated`.
std::vector<std::int32_t> repeated_indices(std::int32_t table, int count, std::int32_t repeated, int every) {
  std::vector<std::int32_t> indices;
  for (int i = 0; i < count; ++i) indices.push_back(i % every == 0 ? repeated : (i * 7 + 3) % table);
  return indices;
}

std::vector<GatherCase> gather_cases() {
  return {
      {"one row of one number", 1, 1, {0}},
      {"rows left out, first and last wanted", 9, 45, {8, 0, 8, 3}},
      {"every row", 3, 17, {2, 1, 0, 0}, false},
      {"a token that occurs 500 times", 31, 768, repeated_indices(31, 700, 5, 2)},
      {"segments of 8 and 9, the last short and the first long one",
       4,
       144,
       {0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 2, 2, 2, 2, 2, 2, 2}},
      {"more columns than a block has", 5, 1100, {4, 1, 4}},
      {"dense, whole vectors", 40, 40, repeated_indices(40, 90, 0, 3), false},
      {"a long segment of odd width", 7, 101, repeated_indices(7, 200, 6, 4), false},
  };
}

struct Segments {
  Held<std::int32_t> rows, starts, order;
  std::int64_t count;
};

Segments segments_of(const std::vector<std::int32_t>& indices) {
  std::map<std::int32_t, std::vector<std::int32_t>> positions;
  for (std::size_t i = 0; i < indices.size(); ++i)
    positions[indices[i]].push_back(static_cast<std::int32_t>(i));
  std::vector<std::int32_t> rows, starts{0}, order;
  for (const auto& [row, where] : positions) {
    rows.push_back(row);
    order.insert(order.end(), where.begin(), where.end());
    starts.push_back(static_cast<std::int32_t>(order.size()));
  }
  const auto count = static_cast<std::int64_t>(rows.size());
  return {Held(rows), Held(starts), Held(order), count};
}

template <class Real>
std::vector<Real> gathered(const Buffer& x, const std::vector<std::int32_t>& indices) {
  std::vector<Real> y;
  for (const std::int32_t j : indices) {
    for (std::int64_t c = 0; c < x.shape().channels(); ++c) y.push_back(static_cast<Real>(x.at(j, c)));
  }
  return y;
}

template <class Real>
std::vector<Real> summed(const Buffer& dy, const std::vector<std::int32_t>& indices, std::int64_t table) {
  const std::int64_t channels = dy.shape().channels();
  std::vector<Real> dx(static_cast<std::size_t>(table * channels));
  for (std::size_t i = 0; i < indices.size(); ++i) {
    for (std::int64_t c = 0; c < channels; ++c) {
      dx[static_cast<std::size_t>(indices[i] * channels + c)] +=
          static_cast<Real>(dy.at(static_cast<std::int64_t>(i), c));
    }
  }
  return dx;
}

}  // namespace

TEST_CASE("rows by index and their gradient, tables of either type") {
  on_every_stream_and_type([&](auto& stream, DType type) {
    for (const DType table_type : {DType::f32, DType::bf16}) {
      std::uint32_t site = 6000;
      for (const GatherCase& t : gather_cases()) {
        CAPTURE(t.name);
        CAPTURE(size_of(table_type));
        const auto wanted = static_cast<std::int64_t>(t.indices.size());
        const std::int64_t pitch = t.pitched ? round_up(t.channels, kChannelAlign) : t.channels;
        Buffer x({t.table, t.channels}, pitch, table_type), dy({wanted, t.channels}, pitch, type);
        x.randomize(++site);
        dy.randomize(++site);
        Buffer y({wanted, t.channels}, pitch, type), dx({t.table, t.channels}, pitch, table_type);
        y.poison(on_cuda());
        dx.poison(on_cuda());
        Held<std::int32_t> indices(t.indices);
        gather_rows_forward({y.view(stream), x.const_view(stream), indices.on(stream)}, stream);
        check_both("y", y, [&]<class Real>(Real) { return gathered<Real>(x, t.indices); });
        Segments s = segments_of(t.indices);
        gather_rows_backward({dx.view(stream),
                              dy.const_view(stream),
                              {s.rows.on(stream), s.starts.on(stream), s.order.on(stream), s.count}},
                             stream);
        check_both("dx", dx, [&]<class Real>(Real) { return summed<Real>(dy, t.indices, t.table); });
        for (std::int64_t j = 0; j < t.table; ++j) {  // rows that nobody wants: zero, not nearly
          if (std::count(t.indices.begin(), t.indices.end(), j) > 0) continue;
          for (std::int64_t c = 0; c < t.channels; ++c) REQUIRE(dx.at(j, c) == 0.0f);
        }
      }
    }
  });
}
