#include "data/hdf5_image.h"

#include <hdf5.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <mutex>
#include <utility>

#include "engine/error.h"

namespace mg {

namespace {

constexpr std::size_t kMaxText = 60000;  // an attribute's limit is 64 KiB

// ---- the driver: a file in memory, but for its pixels ----

struct Image {
  Hdf5Image bytes;
  haddr_t rest_begin = 0, end = 0;  // end: of what is allocated behind the pixels; 0: a new file
  haddr_t front_used = 0;
  haddr_t pixels = 0;  // where those of the next data set lie
  bool begun = false;

  // The bytes at an address, which exist from then on.
  char* at(haddr_t address, std::size_t size) {
    begun = true;
    const bool in_front = address < bytes.front.size();
    std::string& block = in_front ? bytes.front : bytes.rest;
    const haddr_t begin = in_front ? address : address - rest_begin;
    if (begin + size > block.size()) block.resize(begin + size);
    return block.data() + begin;
  }
};

struct OpenImage {
  H5FD_t base;
  Image* image;
};
Image& image_of(const H5FD_t* file) { return *reinterpret_cast<const OpenImage*>(file)->image; }

H5FD_t* open_image(const char*, unsigned, hid_t access, haddr_t) {
  Image* const* image = static_cast<Image* const*>(H5Pget_driver_info(access));
  return image == nullptr ? nullptr : reinterpret_cast<H5FD_t*>(new OpenImage{{}, *image});
}
herr_t close_image(H5FD_t* file) {
  delete reinterpret_cast<OpenImage*>(file);
  return 0;
}
haddr_t allocate(H5FD_t* file, H5FD_mem_t type, hid_t, hsize_t size) {
  Image& image = image_of(file);
  if (type == H5FD_MEM_DRAW) return image.pixels;
  image.end = std::max(image.end, image.rest_begin);
  const bool in_front = image.front_used + size <= image.bytes.front.size();
  haddr_t& used = in_front ? image.front_used : image.end;
  return std::exchange(used, used + size);
}
herr_t release(H5FD_t*, H5FD_mem_t, hid_t, haddr_t, hsize_t) { return 0; }
haddr_t end_of_allocation(const H5FD_t* file, H5FD_mem_t) { return image_of(file).end; }
herr_t set_end_of_allocation(H5FD_t* file, H5FD_mem_t, haddr_t end) {
  Image& image = image_of(file);
  image.end = end == 0 ? 0 : std::max(end, image.rest_begin);
  return 0;
}
haddr_t end_of_file(const H5FD_t* file, H5FD_mem_t) {
  const Image& image = image_of(file);
  return image.begun ? image.rest_begin + image.bytes.rest.size() : 0;
}
herr_t read_image(H5FD_t* file, H5FD_mem_t, hid_t, haddr_t address, std::size_t size, void* to) {
  std::memcpy(to, image_of(file).at(address, size), size);
  return 0;
}
herr_t write_image(H5FD_t* file, H5FD_mem_t, hid_t, haddr_t address, std::size_t size, const void* from) {
  std::memcpy(image_of(file).at(address, size), from, size);
  return 0;
}
herr_t truncate_image(H5FD_t* file, hid_t, hbool_t) {
  Image& image = image_of(file);
  image.bytes.rest.resize(image.end - std::min(image.end, image.rest_begin));
  return 0;
}

hid_t driver() {
  static const hid_t id = [] {
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);  // it prints nothing; errors come as Error
    static H5FD_class_t driver{};
    driver.name = "mg_image";
    driver.maxaddr = HADDR_MAX;
    driver.fc_degree = H5F_CLOSE_STRONG;
    driver.fapl_size = sizeof(void*);  // an Image*
    driver.open = open_image;
    driver.close = close_image;
    driver.alloc = allocate;
    driver.free = release;
    driver.get_eoa = end_of_allocation;
    driver.set_eoa = set_end_of_allocation;
    driver.get_eof = end_of_file;
    driver.read = read_image;
    driver.write = write_image;
    driver.truncate = truncate_image;
    return H5FDregister(&driver);
  }();
  return id;
}

// ---- what is written ----

// Owns an identifier of HDF5.
template <herr_t (*close)(hid_t)>
class Hdf5Id {
 public:
  explicit Hdf5Id(hid_t id) : id_(id) {}
  Hdf5Id(const Hdf5Id&) = delete;
  Hdf5Id& operator=(const Hdf5Id&) = delete;
  ~Hdf5Id() {
    if (id_ >= 0) close(id_);
  }
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
  return reason.empty() ? "HDF5 gives no reason" : reason;
}

hid_t check(hid_t id) {
  expect(id >= 0, "the frame cache cannot be described: {}", hdf5_reason());
  return id;
}

void write_attribute(hid_t object, const char* name, hid_t type, const void* value) {
  const SpaceId space(check(H5Screate(H5S_SCALAR)));
  const AttributeId id(check(H5Acreate2(object, name, type, space.get(), H5P_DEFAULT, H5P_DEFAULT)));
  check(H5Awrite(id.get(), type, value));
}
void write(hid_t object, const char* name, std::int64_t value) {
  write_attribute(object, name, H5T_STD_I64LE, &value);
}
void write(hid_t object, const char* name, double value) {
  write_attribute(object, name, H5T_IEEE_F64LE, &value);
}
void write(hid_t object, const char* name, const std::string& value) {
  const TypeId type(check(H5Tcopy(H5T_C_S1)));
  check(H5Tset_size(type.get(), std::clamp<std::size_t>(value.size(), 1, kMaxText)));
  H5Tset_cset(type.get(), H5T_CSET_UTF8);
  H5Tset_strpad(type.get(), H5T_STR_NULLPAD);
  write_attribute(object, name, type.get(), value.c_str());
}

void write_clip(hid_t clips, std::size_t number, const CacheEntry& e, Image& image) {
  const std::array<hsize_t, 4> dims{static_cast<hsize_t>(e.count), static_cast<hsize_t>(e.height),
                                    static_cast<hsize_t>(e.width), 3};
  const SpaceId space(check(H5Screate_simple(4, dims.data(), nullptr)));
  const PropertiesId creation(check(H5Pcreate(H5P_DATASET_CREATE)));
  H5Pset_obj_track_times(creation.get(), false);  // equal clips make equal files
  H5Pset_layout(creation.get(), H5D_CONTIGUOUS);
  H5Pset_alloc_time(creation.get(), H5D_ALLOC_TIME_EARLY);
  H5Pset_fill_time(creation.get(), H5D_FILL_TIME_NEVER);
  H5Pset_attr_phase_change(creation.get(), 32, 16);  // all of them in the header: small
  image.pixels = e.offset;
  const DatasetId dataset(check(H5Dcreate2(clips, fmt::format("{:08}", number).c_str(), H5T_STD_U8LE,
                                           space.get(), H5P_DEFAULT, creation.get(), H5P_DEFAULT)));
  const hid_t d = dataset.get();
  expect(e.count == 0 || H5Dget_offset(d) == e.offset, "the frame cache cannot be described: HDF5 moved {}",
         e.name);
  write(d, "name", e.name);
  write(d, "range", e.range);
  write(d, "source", e.source);
  write(d, "source_hash", e.source_hash);
  write(d, "source_bytes", e.source_bytes);
  write(d, "source_mtime", e.source_mtime);
  write(d, "fps", e.fps);
  write(d, "decoder", e.decoder);
  write(d, "fault", e.fault);
}

void write_file(const std::string& decode, const std::vector<CacheEntry>& entries, Image& image) {
  const PropertiesId access(check(H5Pcreate(H5P_FILE_ACCESS)));
  Image* address = &image;
  check(H5Pset_driver(access.get(), check(driver()), &address));
  H5Pset_libver_bounds(access.get(), H5F_LIBVER_V110, H5F_LIBVER_V110);  // its metadata has checksums
  const PropertiesId file_creation(check(H5Pcreate(H5P_FILE_CREATE))),
      group_creation(check(H5Pcreate(H5P_GROUP_CREATE)));
  H5Pset_obj_track_times(file_creation.get(), false);
  H5Pset_obj_track_times(group_creation.get(), false);
  const FileId file(check(H5Fcreate("frame cache", H5F_ACC_TRUNC, file_creation.get(), access.get())));
  const hid_t f = file.get();
  write(f, "format", std::string(kCacheMark));
  write(f, "schema", kCacheSchema);
  write(f, "decode", decode);
  write(f, "clips", static_cast<std::int64_t>(entries.size()));
  write(f, "complete", std::int64_t{1});
  const GroupId clips(check(H5Gcreate2(f, "clips", H5P_DEFAULT, group_creation.get(), H5P_DEFAULT)));
  for (std::size_t i = 0; i < entries.size(); ++i) write_clip(clips.get(), i, entries[i], image);
  check(H5Fflush(f, H5F_SCOPE_GLOBAL));
}

}  // namespace

Hdf5Image hdf5_image(const std::string& decode, const std::vector<CacheEntry>& entries,
                     std::size_t front_bytes, std::uint64_t rest_begin) {
  static std::mutex mutex;  // the library is not built for threads
  const std::lock_guard lock(mutex);
  Image image;
  image.bytes.front.resize(front_bytes);
  image.rest_begin = rest_begin;
  write_file(decode, entries, image);
  return std::move(image.bytes);
}

}  // namespace mg
