#include "data/frame_cache.h"

#include <hdf5.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "engine/file_lock.h"
#include "kernels/philox.h"
#include "tests/data/fixtures.h"

namespace mg {

using namespace test;

namespace {

constexpr DecodeSpec kSpec{24, 32, ResizeFilter::area, 0};

// Three videos: two clips of the first, all of the others.
struct VideoSet {
  TemporaryFolder folder;
  fs::path cache = folder.path / "cache.h5";
  CacheBuild build;

  mutable std::string said;  // the lines of the last open()

  VideoSet() {
    build.report = [this](const std::string& line) { said += line + "\n"; };
    for (const char* name : {"a.mp4", "b.mp4", "c.mp4"}) make(name, 12);
    build.manifest = "list.csv";
    build.spec = kSpec;
    build.threads = 2;
    build.clips = {clip_of(folder.path / "a.mp4", 2), clip_of(folder.path / "b.mp4", 3),
                   clip_of(folder.path / "a.mp4", 4), clip_of(folder.path / "c.mp4", 5)};
    build.clips[0].frames = FrameRange{0, 4};
    build.clips[2].frames = FrameRange{3, 9};
  }
  void make(const std::string& name, int frames) const {
    const std::string picture = name == "a.mp4" ? "testsrc2" : name == "b.mp4" ? "testsrc" : "smptebars";
    make_video(
        folder.path / name,
        fmt::format("-f lavfi -i {}=size=64x48:rate=25 -frames:v {} -c:v libx264 -bf 2", picture, frames));
  }
  FrameCache open() const {
    said.clear();
    return FrameCache::open(cache, build);
  }
  std::string error() const {
    return data_error([&] { open(); });
  }
};

void check_frames(const FrameCache& cache, const std::vector<Clip>& clips) {
  REQUIRE(cache.clips() == static_cast<std::int64_t>(clips.size()));
  for (std::size_t i = 0; i < clips.size(); ++i) {
    CAPTURE(i);
    const auto number = static_cast<std::int64_t>(i);
    const Frames expected = decode_clip(clips[i], kSpec);
    const Frames got = cache.read(number);
    CHECK(got.count == expected.count);
    CHECK(got.fps == expected.fps);
    CHECK((got.rgb == expected.rgb));
    CHECK(cache.frame_count(number) == expected.count);
    const std::vector<std::int64_t> numbers{expected.count - 1, 0, 0, expected.count / 2};
    CHECK((cache.read_frames(number, numbers).rgb == select_frames(expected, numbers).rgb));
  }
}

std::string bytes_of(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

// A later time of change, which a file system with coarse times shows as well.
void touch(const fs::path& file) {
  fs::last_write_time(file, fs::last_write_time(file) + std::chrono::hours(1));
}

}  // namespace

TEST_CASE("cache: holds what decoding gives, and is taken as it is the next time") {
  VideoSet set;
  std::int64_t last_done = 0, calls = 0;
  set.build.progress = [&](std::int64_t done, std::int64_t total) {
    CHECK(total == 4);
    CHECK(done == ++calls);
    last_done = done;
  };
  {
    const FrameCache cache = set.open();
    CHECK(cache.built());
    CHECK(last_done == 4);
    CHECK(cache.bad_clips().empty());
    check_frames(cache, set.build.clips);
  }
  CHECK_FALSE(fs::exists(set.cache.string() + ".tmp"));
  const std::string before = bytes_of(set.cache);
  const FrameCache again = set.open();
  CHECK_FALSE(again.built());
  check_frames(again, set.build.clips);
  CHECK((bytes_of(set.cache) == before));
}

TEST_CASE("cache: the same file at any number of threads and at any time") {
  VideoSet set;
  set.build.threads = 1;
  set.open();
  const std::string one = bytes_of(set.cache);
  fs::remove(set.cache);
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // HDF5's times are whole seconds
  set.build.threads = 4;
  set.open();
  CHECK((bytes_of(set.cache) == one));
}

TEST_CASE("cache: another list keeps what is there, and a touched source is still the same") {
  VideoSet set;
  const std::vector<Clip> all = set.build.clips;
  set.build.clips = {all[1], all[0]};
  CHECK(set.open().built());
  touch(set.folder.path / "b.mp4");
  set.build.clips = all;
  {
    const FrameCache grown = set.open();
    CHECK(grown.built());
    check_frames(grown, all);
  }
  touch(set.folder.path / "a.mp4");
  set.build.clips = {all[2], all[3], all[2]};
  const FrameCache part = set.open();
  CHECK_FALSE(part.built());
  check_frames(part, set.build.clips);
}

TEST_CASE("cache: a changed source is decoded anew, and nothing else") {
  VideoSet set;
  set.open();
  set.make("b.mp4", 7);
  touch(set.folder.path / "b.mp4");
  const FrameCache cache = set.open();
  CHECK(cache.built());
  CHECK(cache.frame_count(1) == 7);
  check_frames(cache, set.build.clips);
}

TEST_CASE("cache: a change that keeps the size is seen by the time, and told from none by the content") {
  VideoSet set;
  const fs::path file = set.folder.path / "raw.avi";
  auto make_raw = [&](const std::string& picture) {
    make_video(
        file,
        fmt::format("-f lavfi -i {}=size=64x48:rate=25 -frames:v 5 -c:v rawvideo -pix_fmt yuv420p", picture));
    return fs::file_size(file);
  };
  const auto bytes = make_raw("testsrc2");
  set.build.clips = {clip_of(file)};
  set.open();
  touch(file);
  CHECK_FALSE(set.open().built());
  REQUIRE(make_raw("smptebars") == bytes);
  fs::last_write_time(file, fs::last_write_time(file) + std::chrono::hours(2));
  const FrameCache cache = set.open();
  CHECK(cache.built());
  check_frames(cache, set.build.clips);
}

TEST_CASE("cache: a source that was moved is known by its content") {
  VideoSet set;
  set.open();
  fs::rename(set.folder.path / "c.mp4", set.folder.path / "moved.mp4");
  set.build.clips[3] = clip_of(set.folder.path / "moved.mp4", 5);
  const FrameCache cache = set.open();
  CHECK_FALSE(cache.built());
  check_frames(cache, set.build.clips);
}

TEST_CASE("cache: a bad clip stops with manifest line and name, or is skipped and named") {
  VideoSet set;
  write_text(set.folder.path / "b.mp4", "no video");
  set.build.clips[3].frames = FrameRange{5, 12};
  const std::string error = set.error();
  CHECK_MESSAGE(contains(error, "list.csv:3: " + (set.folder.path / "b.mp4").string() + ": "), error);
  CHECK_FALSE(fs::exists(set.cache));
  CHECK_FALSE(fs::exists(set.cache.string() + ".tmp"));

  set.build.on_bad = OnBad::skip;
  for (const bool built : {true, false}) {
    const FrameCache cache = set.open();
    CHECK(cache.built() == built);
    REQUIRE(cache.bad_clips().size() == 2);
    CHECK(cache.bad_clips()[0].line == 3);
    CHECK(cache.bad_clips()[0].name == "b.mp4");
    CHECK(contains(cache.bad_clips()[0].reason, "cannot be opened"));
    CHECK(contains(cache.bad_clips()[1].reason, "but the video has 12 frames"));
    CHECK(cache.frame_count(1) == 0);
    CHECK(cache.read(2).count == 7);
    CHECK(contains(data_error([&] { cache.read(1); }), "clip b.mp4 was skipped"));
  }
  set.build.on_bad = OnBad::stop;
  CHECK(contains(set.error(), "list.csv:3: " + (set.folder.path / "b.mp4").string() + ": "));
  // The file is mended: the clip is tried again.
  set.make("b.mp4", 5);
  set.build.clips.pop_back();
  CHECK(set.open().read(1).count == 5);
}

TEST_CASE("cache: nothing that can be decoded is an error") {
  VideoSet set;
  set.build.clips = {clip_of(set.folder.path / "none.mp4", 2)};
  set.build.on_bad = OnBad::skip;
  CHECK(contains(set.error(), "none of the 1 clips can be decoded; the first: "));
  CHECK_FALSE(fs::exists(set.cache));
  set.build.clips.clear();
  CHECK(contains(set.error(), "there are no clips"));
}

TEST_CASE("cache: what is no cache, or another one, is refused and left alone") {
  VideoSet set;
  set.open();
  const std::string good = bytes_of(set.cache);
  const auto refused = [&](const std::string& bytes, const std::string& message) {
    write_text(set.cache, bytes);
    const std::string error = set.error();
    CHECK_MESSAGE(contains(error, set.cache.string()), error);
    CHECK_MESSAGE(contains(error, message), error);
    CHECK((bytes_of(set.cache) == bytes));
  };
  refused("", "is empty: remove it, or name another cache");
  refused("clip,label\n", "not an HDF5 file");
  refused(good.substr(0, 100), "is cut so short that it cannot be told what it was");
  write_text(set.cache, good);
  set.build.spec.width = 33;
  refused(good, "holds frames of 24x32 area every frame: expected 24x33 area every frame");
  set.build.spec = kSpec;
  CHECK_FALSE(set.open().built());
  fs::remove(set.cache);
  fs::create_directory(set.cache);
  CHECK(contains(set.error(), "is no frame cache"));
  fs::remove(set.cache);
  H5Fclose(H5Fcreate(set.cache.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT));
  std::string theirs = bytes_of(set.cache);
  theirs.resize(5000);
  refused(theirs, "is an HDF5 file, but no frame cache");
}

TEST_CASE("cache: one that is cut or damaged is made anew, and says so") {
  VideoSet set;
  set.build.clips = {set.build.clips[0], set.build.clips[3]};
  set.open();
  const std::string good = bytes_of(set.cache);
  const auto renewed = [&](const std::string& bytes, const std::string& message) {
    write_text(set.cache, bytes);
    CHECK(set.open().built());
    CHECK_MESSAGE(contains(set.said, set.cache.string() + ": the frame cache " + message), set.said);
    CHECK((bytes_of(set.cache) == good));
  };
  for (const std::size_t length : {good.size() - 1, good.size() / 2, good.size() / 10, std::size_t{300}})
    renewed(good.substr(0, length), "is cut short, or of an earlier version: it is made anew");
  renewed(good + "x", "is cut short");
  for (const char* place : {"source_mtime", "checks", "mg frame cache index 0"}) {
    std::string changed = good;
    changed[changed.rfind(place) + std::strlen(place) + 1] ^= 1;
    renewed(changed, "is damaged: it is made anew");
  }
  std::string open_in_hdf5 = good;  // the superblock's flag of a file that was not closed
  open_in_hdf5[11] = 1;
  renewed(open_in_hdf5, "is damaged");
}

TEST_CASE("cache: whatever byte is wrong, it is made anew, refused, or the frame is an error") {
  VideoSet set;
  set.build.spec = {4, 4, ResizeFilter::area, 0};
  set.build.clips = {set.build.clips[0], set.build.clips[3]};
  set.open();
  const std::string good = bytes_of(set.cache);
  std::vector<Frames> expected;
  for (std::int64_t i = 0; i < 2; ++i) expected.push_back(set.open().read(i));
  const RandomKey key{7, 0, random_site("mutations")};
  int renewed = 0, refused = 0, damaged = 0;
  for (std::uint32_t k = 0; k < 400; ++k) {
    CAPTURE(k);
    const Philox4 bits = key.draw(k, 0);
    std::string bytes = good;
    const std::size_t at = bits.v[0] % bytes.size(), length = 1 + bits.v[1] % 64;
    switch (bits.v[2] % 4) {
      case 0:
        bytes[at] ^= static_cast<char>(1 << bits.v[1] % 8);
        break;
      case 1:
        bytes.resize(at);
        break;
      case 2:
        bytes.erase(at, length);
        break;
      default:
        for (std::size_t i = at; i < std::min(at + length, bytes.size()); ++i)
          bytes[i] = static_cast<char>(bits.v[3] >> (i % 4 * 8));
    }
    if (bytes == good) continue;
    write_text(set.cache, bytes);
    try {
      const FrameCache cache = set.open();
      renewed += cache.built() ? 1 : 0;
      const bool same = cache.read(0).rgb == expected[0].rgb && cache.read(1).rgb == expected[1].rgb;
      CHECK(same);
      CHECK(cache.built());
    } catch (const Error& e) {
      CHECK(e.code() == ExitCode::data);
      const bool in_pixels = contains(e.what(), "is not what was written: remove the file");
      (in_pixels ? damaged : refused) += 1;
      CHECK_MESSAGE((in_pixels || contains(e.what(), "remove it, or name another cache")),
                    std::string(e.what()));
    }
  }
  CHECK(renewed > 100);
  CHECK(refused > 0);
  CHECK(damaged > 0);
}

TEST_CASE("cache: opens in HDF5's own library") {
  VideoSet set;
  const FrameCache cache = set.open();
  const hid_t file = H5Fopen(set.cache.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
  REQUIRE(file >= 0);
  for (std::int64_t i = 0; i < cache.clips(); ++i) {
    const hid_t clip = H5Dopen2(file, fmt::format("/clips/{:08}", i).c_str(), H5P_DEFAULT);
    REQUIRE(clip >= 0);
    std::vector<std::uint8_t> rgb(H5Dget_storage_size(clip));
    CHECK(H5Dread(clip, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, rgb.data()) >= 0);
    // Clips of one file lie together.
    CHECK((rgb == cache.read(std::vector<std::int64_t>{0, 2, 1, 3}[static_cast<std::size_t>(i)]).rgb));
    CHECK(H5Aexists(clip, "source_hash") > 0);
    H5Dclose(clip);
  }
  H5Fclose(file);
}

TEST_CASE("cache: a signal keeps what is decoded, and the next call goes on from there") {
  VideoSet set;
  set.build.threads = 1;
  std::atomic<int> signal{0};
  set.build.stop = [&] { return signal.load(); };
  set.build.progress = [&](std::int64_t done, std::int64_t) {
    if (done == 2) signal = SIGTERM;
  };
  try {
    set.open();
    FAIL("it was not stopped");
  } catch (const Error& e) {
    CHECK(e.code() == ExitCode::terminated);
    CHECK_MESSAGE(contains(e.what(), "stopped while decoding: "), std::string(e.what()));
    CHECK_MESSAGE(contains(e.what(), " of 4 clips are kept in " + set.cache.string()), std::string(e.what()));
  }
  CHECK(fs::exists(set.cache));
  CHECK_FALSE(fs::exists(set.cache.string() + ".tmp"));
  signal = 0;
  const std::vector<Clip> all = set.build.clips;
  set.build.clips = {all[0], all[2]};
  CHECK_FALSE(set.open().built());
  set.build.clips = all;
  set.build.progress = {};
  const FrameCache cache = set.open();
  CHECK(cache.built());
  check_frames(cache, all);
  // Before the first clip there is nothing to keep.
  fs::remove(set.cache);
  signal = SIGINT;
  CHECK_THROWS_WITH_AS(set.open(), "stopped while looking for changes of the videos", Error);
  CHECK_FALSE(fs::exists(set.cache));
}

TEST_CASE("cache: who waits says for whom, and can be stopped") {
  VideoSet set;
  FileLock lock(set.cache.string() + ".lock");
  REQUIRE(lock.try_take());
  std::atomic<int> asked{0};
  // Each clip is asked about once, then each tenth of a second.
  set.build.stop = [&] { return ++asked > 25 ? SIGINT : 0; };
  try {
    set.open();
    FAIL("it did not wait");
  } catch (const Error& e) {
    CHECK(e.code() == ExitCode::interrupted);
    CHECK(contains(e.what(), "stopped while waiting for process "));
  }
  CHECK_MESSAGE(contains(set.said, fmt::format("waiting for process {} on the machine ", ::getpid())),
                set.said);
}

TEST_CASE("cache: moved together with its videos it is right as it is") {
  VideoSet set;
  set.open();
  const TemporaryFolder other;
  for (const auto& entry : fs::directory_iterator(set.folder.path)) {
    fs::copy(entry.path(), other.path / entry.path().filename());
    fs::last_write_time(other.path / entry.path().filename(), fs::last_write_time(entry.path()));
    fs::remove(entry.path());
  }
  for (Clip& clip : set.build.clips) clip.path = other.path / clip.name;
  const FrameCache cache = FrameCache::open(other.path / "cache.h5", set.build);
  CHECK_FALSE(cache.built());
  check_frames(cache, set.build.clips);
}

TEST_CASE("cache: read from many threads, and a file that shrinks is an error") {
  VideoSet set;
  const FrameCache cache = set.open();
  const Frames expected = cache.read(3);
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) wrong += cache.read(3).rgb == expected.rgb ? 0 : 1;
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  fs::resize_file(set.cache, 100);
  CHECK(contains(data_error([&] { cache.read(3); }), "cache.h5: cannot read: it has become shorter"));
  CHECK_THROWS_AS(cache.read(4), Error);
  CHECK_THROWS_AS(cache.read_frames(3, {12}), Error);
}

TEST_CASE("cache: two builders at once make one cache") {
  VideoSet set;
  std::vector<std::thread> threads;
  std::atomic<int> built{0}, failed{0};
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      try {
        built += set.open().built() ? 1 : 0;
      } catch (...) {
        ++failed;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(failed == 0);
  CHECK(built == 1);
  check_frames(set.open(), set.build.clips);
}

TEST_CASE("cache: clips of WLASL") {
  const char* root = std::getenv("MG_DATA_DIR");
  if (root == nullptr || !fs::exists(fs::path(root) / "wlasl_demo/manifest.csv")) {
    MESSAGE("skipped: MG_DATA_DIR does not lead to wlasl_demo/manifest.csv");
    return;
  }
  const TemporaryFolder folder;
  const Manifest manifest = read_manifest(fs::path(root) / "wlasl_demo/manifest.csv");
  CHECK(manifest.clips.size() == 391);
  CacheBuild build;
  for (std::size_t i = 0; i < manifest.clips.size(); i += 40) build.clips.push_back(manifest.clips[i]);
  const FrameCache cache = FrameCache::open(folder.path / "w.h5", build);
  for (std::int64_t i = 0; i < cache.clips(); ++i) {
    const Clip& clip = build.clips[static_cast<std::size_t>(i)];
    CAPTURE(clip.name);
    const std::size_t bytes = ffmpeg_rgb(clip.path).size();
    VideoReader reader(clip.path);
    const std::size_t frame =
        static_cast<std::size_t>(reader.info().width) * static_cast<std::size_t>(reader.info().height) * 3;
    CHECK(bytes == frame * static_cast<std::size_t>(cache.frame_count(i)));
    CHECK(cache.read(i).rgb.size() ==
          std::size_t{128} * 171 * 3 * static_cast<std::size_t>(cache.frame_count(i)));
  }
}

}  // namespace mg
