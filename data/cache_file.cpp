#include "data/cache_file.h"

#include <fcntl.h>
#include <hdf5.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <mutex>

#include "engine/error.h"

namespace mg {

namespace fs = std::filesystem;

namespace {

constexpr const char* kFormat = "mg frame cache";
constexpr std::int64_t kSchema = 1;
constexpr std::size_t kMaxText = 60000;  // an attribute's limit is 64 KiB
constexpr std::int64_t kMaxClips = 100'000'000;

// Owns an identifier of HDF5.
template <herr_t (*close)(hid_t)>
class Hdf5Id {
 public:
  explicit Hdf5Id(hid_t id = H5I_INVALID_HID) : id_(id) {}
  Hdf5Id(Hdf5Id&& other) noexcept : id_(std::exchange(other.id_, H5I_INVALID_HID)) {}
  Hdf5Id& operator=(Hdf5Id&& other) noexcept {
    std::swap(id_, other.id_);
    return *this;
  }
  ~Hdf5Id() { reset(); }
  herr_t reset() { return id_ < 0 ? 0 : close(std::exchange(id_, H5I_INVALID_HID)); }
  hid_t get() const { return id_; }

 private:
  hid_t id_;
};
using FileId = Hdf5Id<H5Fclose>;
using GroupId = Hdf5Id<H5Gclose>;
using DatasetId = Hdf5Id<H5Dclose>;
using SpaceId = Hdf5Id<H5Sclose>;
using TypeId = Hdf5Id<H5Tclose>;
using AttributeId = Hdf5Id<H5Aclose>;
using PropertiesId = Hdf5Id<H5Pclose>;

// Held over each group of calls. The first to lock it sets the library up.
std::unique_lock<std::mutex> lock_hdf5() {
  static std::mutex mutex;
  static bool ready = false;
  std::unique_lock lock(mutex);
  if (!ready) {
    H5open();
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);  // it prints nothing; errors come as Error
    H5PLset_loading_state(0);                     // a file must not make the library load plugins
    ready = true;
  }
  return lock;
}

// The innermost message on the library's stack of errors.
std::string hdf5_reason() {
  std::string reason;
  H5Ewalk2(
      H5E_DEFAULT, H5E_WALK_UPWARD,
      [](unsigned depth, const H5E_error2_t* error, void* text) -> herr_t {
        if (depth == 0 && error->desc != nullptr) *static_cast<std::string*>(text) = error->desc;
        return 0;
      },
      &reason);
  H5Eclear2(H5E_DEFAULT);
  return reason.empty() ? "HDF5 gives no reason" : reason;
}

PropertiesId file_access() {
  PropertiesId access(H5Pcreate(H5P_FILE_ACCESS));
  // Version 1.10's format has checksums on its metadata. HDF5's own locks fail on network file systems; a
  // cache is written under a lock of ours and appears under its name complete.
  H5Pset_libver_bounds(access.get(), H5F_LIBVER_V110, H5F_LIBVER_V110);
  H5Pset_file_locking(access.get(), 0, 1);
  return access;
}

// Creation properties without times, so that equal clips make equal files.
PropertiesId without_times(hid_t kind) {
  PropertiesId creation(H5Pcreate(kind));
  H5Pset_obj_track_times(creation.get(), false);
  return creation;
}

TypeId text_type(std::size_t bytes) {
  TypeId type(H5Tcopy(H5T_C_S1));
  H5Tset_size(type.get(), std::max<std::size_t>(bytes, 1));
  H5Tset_cset(type.get(), H5T_CSET_UTF8);
  H5Tset_strpad(type.get(), H5T_STR_NULLPAD);
  return type;
}

// ---- reading ----

class Reader {
 public:
  explicit Reader(const fs::path& path) : path_(path.string()) {}

  template <class... Args>
  [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) const {
    throw Error(ExitCode::data, "{}: {}", path_, fmt::format(format, std::forward<Args>(args)...));
  }
  hid_t check(hid_t id, const std::string& what) const {
    if (id < 0) fail("is damaged: {}: {}", what, hdf5_reason());
    return id;
  }

  AttributeId attribute(hid_t object, const char* name, H5T_class_t wanted, std::size_t& bytes) const {
    AttributeId attribute(check(H5Aopen(object, name, H5P_DEFAULT), name));
    const TypeId type(check(H5Aget_type(attribute.get()), name));
    const SpaceId space(check(H5Aget_space(attribute.get()), name));
    bytes = H5Tget_size(type.get());
    if (H5Tget_class(type.get()) != wanted || H5Sget_simple_extent_npoints(space.get()) != 1 || bytes == 0 ||
        bytes > kMaxText || (wanted == H5T_STRING && H5Tis_variable_str(type.get()) != 0)) {
      fail("is damaged: the attribute {} is of another type", name);
    }
    return attribute;
  }
  template <class Number>
  Number number(hid_t object, const char* name) const {
    constexpr bool kWhole = std::is_integral_v<Number>;
    std::size_t bytes = 0;
    const AttributeId id = attribute(object, name, kWhole ? H5T_INTEGER : H5T_FLOAT, bytes);
    Number value{};
    check(H5Aread(id.get(), kWhole ? H5T_NATIVE_INT64 : H5T_NATIVE_DOUBLE, &value), name);
    return value;
  }
  std::string text(hid_t object, const char* name) const {
    std::size_t bytes = 0;
    const AttributeId id = attribute(object, name, H5T_STRING, bytes);
    std::string value(bytes, '\0');
    check(H5Aread(id.get(), text_type(bytes).get(), value.data()), name);
    value.resize(std::strlen(value.c_str()));
    return value;
  }

  CacheFile read();
  CacheEntry entry(hid_t group, const std::string& name, std::uint64_t file_bytes) const;
  void place_pixels(hid_t dataset, const std::string& name, std::uint64_t file_bytes, CacheEntry& e) const;

 private:
  std::string path_;
};

// Where the pixels lie, and that they do: contiguous bytes inside this file.
void Reader::place_pixels(hid_t dataset, const std::string& name, std::uint64_t file_bytes,
                          CacheEntry& e) const {
  const SpaceId space(check(H5Dget_space(dataset), name));
  const TypeId type(check(H5Dget_type(dataset), name));
  const PropertiesId creation(check(H5Dget_create_plist(dataset), name));
  std::array<hsize_t, 4> dims{};
  if (H5Sget_simple_extent_ndims(space.get()) != 4 ||
      H5Sget_simple_extent_dims(space.get(), dims.data(), nullptr) != 4 || dims[0] > (1u << 30) ||
      dims[1] < 1 || dims[1] > 8192 || dims[2] < 1 || dims[2] > 8192 || dims[3] != 3 ||
      H5Tequal(type.get(), H5T_STD_U8LE) <= 0 || H5Pget_layout(creation.get()) != H5D_CONTIGUOUS ||
      H5Pget_external_count(creation.get()) != 0) {
    fail("is damaged: {} does not hold frames", name);
  }
  e.count = static_cast<std::int64_t>(dims[0]);
  e.height = static_cast<int>(dims[1]);
  e.width = static_cast<int>(dims[2]);
  if (e.count == 0) return;
  const haddr_t offset = H5Dget_offset(dataset);
  const std::uint64_t bytes = dims[0] * e.frame_bytes();
  if (offset == HADDR_UNDEF || H5Dget_storage_size(dataset) != bytes || bytes > file_bytes ||
      offset > file_bytes - bytes) {
    fail("is damaged: the frames of {} are not in it", name);
  }
  e.offset = offset;
}

CacheEntry Reader::entry(hid_t group, const std::string& name, std::uint64_t file_bytes) const {
  H5L_info_t link{};
  check(H5Lget_info(group, name.c_str(), &link, H5P_DEFAULT), name);
  if (link.type != H5L_TYPE_HARD) fail("is no cache of ours: {} is a link", name);
  const DatasetId dataset(check(H5Dopen2(group, name.c_str(), H5P_DEFAULT), name));
  const hid_t d = dataset.get();
  CacheEntry e;
  e.name = text(d, "name");
  e.range = text(d, "range");
  e.source = text(d, "source");
  e.source_hash = text(d, "source_hash");
  e.source_bytes = number<std::int64_t>(d, "source_bytes");
  e.source_mtime = number<std::int64_t>(d, "source_mtime");
  e.fps = number<double>(d, "fps");
  e.decoder = text(d, "decoder");
  e.fault = text(d, "fault");
  place_pixels(d, name, file_bytes, e);
  if (e.fault.empty() != (e.count > 0)) fail("is damaged: {} has {} frames", name, e.count);
  return e;
}

CacheFile Reader::read() {
  std::error_code status;
  const std::uint64_t file_bytes = fs::file_size(path_, status);
  if (status) fail("cannot be read: {}", status.message());
  // A cut file is still one by its first bytes, but does not open.
  if (H5Fis_hdf5(path_.c_str()) <= 0) fail("is no frame cache: not an HDF5 file");
  const FileId file(H5Fopen(path_.c_str(), H5F_ACC_RDONLY, file_access().get()));
  if (file.get() < 0) fail("is no whole frame cache: {}", hdf5_reason());
  const hid_t f = file.get();
  if (H5Aexists(f, "format") <= 0 || text(f, "format") != kFormat)
    fail("is an HDF5 file, but no frame cache");
  const auto schema = number<std::int64_t>(f, "schema");
  if (schema != kSchema) fail("is a frame cache of schema {}: expected {}", schema, kSchema);
  if (H5Aexists(f, "complete") <= 0) fail("is an incomplete frame cache: its making was interrupted");
  CacheFile cache{text(f, "decode"), {}};
  const auto clips = number<std::int64_t>(f, "clips");
  if (clips < 0 || clips > kMaxClips) fail("is damaged: it says that it holds {} clips", clips);
  H5L_info_t link{};
  check(H5Lget_info(f, "clips", &link, H5P_DEFAULT), "clips");
  if (link.type != H5L_TYPE_HARD) fail("is no cache of ours: /clips is a link");
  const GroupId group(check(H5Gopen2(f, "clips", H5P_DEFAULT), "clips"));
  for (std::int64_t i = 0; i < clips; ++i) {
    cache.entries.push_back(entry(group.get(), fmt::format("{:08}", i), file_bytes));
  }
  return cache;
}

// ---- writing ----

void sync_file(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const bool synced = descriptor >= 0 && ::fsync(descriptor) == 0;
  const int reason = errno;
  if (descriptor >= 0) ::close(descriptor);
  if (!synced) throw Error(ExitCode::failure, "{}: cannot sync: {}", path, std::strerror(reason));
}

}  // namespace

CacheFile read_cache_file(const fs::path& path) {
  const auto lock = lock_hdf5();
  return Reader(path).read();
}

struct CacheWriter::State {
  std::string path;
  FileId file;
  GroupId clips;
  std::int64_t count = 0;

  hid_t check(hid_t id) const {
    if (id < 0) throw Error(ExitCode::failure, "{}: cannot write: {}", path, hdf5_reason());
    return id;
  }
  void write_attribute(hid_t object, const char* name, hid_t type, const void* value) const {
    const SpaceId space(check(H5Screate(H5S_SCALAR)));
    const AttributeId id(check(H5Acreate2(object, name, type, space.get(), H5P_DEFAULT, H5P_DEFAULT)));
    check(H5Awrite(id.get(), type, value));
  }
  void write(hid_t object, const char* name, std::int64_t value) const {
    write_attribute(object, name, H5T_STD_I64LE, &value);
  }
  void write(hid_t object, const char* name, double value) const {
    write_attribute(object, name, H5T_IEEE_F64LE, &value);
  }
  void write(hid_t object, const char* name, const std::string& value) const {
    const std::size_t bytes = std::min(value.size(), kMaxText);
    write_attribute(object, name, text_type(bytes).get(), value.c_str());
  }
};

CacheWriter::CacheWriter(const fs::path& path, const std::string& decode) {
  const auto lock = lock_hdf5();
  auto state = std::make_unique<State>();  // closed under the lock, should the rest fail
  State& s = *state;
  s.path = path.string();
  s.file = FileId(s.check(
      H5Fcreate(s.path.c_str(), H5F_ACC_TRUNC, without_times(H5P_FILE_CREATE).get(), file_access().get())));
  s.clips = GroupId(s.check(
      H5Gcreate2(s.file.get(), "clips", H5P_DEFAULT, without_times(H5P_GROUP_CREATE).get(), H5P_DEFAULT)));
  s.write(s.file.get(), "format", std::string(kFormat));
  s.write(s.file.get(), "schema", kSchema);
  s.write(s.file.get(), "decode", decode);
  state_ = std::move(state);
}

CacheWriter::~CacheWriter() {
  const auto lock = lock_hdf5();
  state_.reset();
}

void CacheWriter::add(const CacheEntry& e, const std::uint8_t* rgb) {
  const auto lock = lock_hdf5();
  State& s = *state_;
  const std::array<hsize_t, 4> dims{static_cast<hsize_t>(e.count), static_cast<hsize_t>(e.height),
                                    static_cast<hsize_t>(e.width), 3};
  const SpaceId space(s.check(H5Screate_simple(4, dims.data(), nullptr)));
  const PropertiesId creation = without_times(H5P_DATASET_CREATE);
  H5Pset_layout(creation.get(), H5D_CONTIGUOUS);
  H5Pset_fill_time(creation.get(), H5D_FILL_TIME_NEVER);
  const DatasetId dataset(
      s.check(H5Dcreate2(s.clips.get(), fmt::format("{:08}", s.count).c_str(), H5T_STD_U8LE, space.get(),
                         H5P_DEFAULT, creation.get(), H5P_DEFAULT)));
  const hid_t d = dataset.get();
  s.write(d, "name", e.name);
  s.write(d, "range", e.range);
  s.write(d, "source", e.source);
  s.write(d, "source_hash", e.source_hash);
  s.write(d, "source_bytes", e.source_bytes);
  s.write(d, "source_mtime", e.source_mtime);
  s.write(d, "fps", e.fps);
  s.write(d, "decoder", e.decoder);
  s.write(d, "fault", e.fault);
  if (e.count > 0) s.check(H5Dwrite(d, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, rgb));
  ++s.count;
}

void CacheWriter::finish() {
  const auto lock = lock_hdf5();
  State& s = *state_;
  s.write(s.file.get(), "clips", s.count);
  s.check(H5Fflush(s.file.get(), H5F_SCOPE_GLOBAL));
  sync_file(s.path);
  s.write(s.file.get(), "complete", std::int64_t{1});
  s.check(s.clips.reset());
  s.check(s.file.reset());
  sync_file(s.path);
}

}  // namespace mg
