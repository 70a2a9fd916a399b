#include "data/picture_folder.h"

extern "C" {
#include <libavcodec/avcodec.h>
}

#include <algorithm>
#include <array>
#include <cctype>
#include <fstream>
#include <string>
#include <string_view>

#include "data/packet_source.h"
#include "data/video_formats.h"

namespace mg {

namespace fs = std::filesystem;

namespace {

constexpr std::array<std::string_view, 4> kRead{".bmp", ".jpeg", ".jpg", ".png"};
constexpr std::array<std::string_view, 9> kNotRead{".dng", ".exr", ".gif",  ".jp2", ".pgm",
                                                   ".ppm", ".tif", ".tiff", ".webp"};
constexpr std::uintmax_t kMaxPictureBytes = std::uintmax_t{256} << 20;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string kind_of(const fs::path& file) {
  std::string kind = file.extension().string();
  for (char& c : kind) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return kind;
}

// A file's name: the texts between its numbers, and the numbers without their leading zeros.
struct NumberedName {
  fs::path file;
  std::string texts;                 // with # for each number
  std::vector<std::string> numbers;  // longer is larger
};

NumberedName parse(const fs::path& file) {
  NumberedName name{file, "", {}};
  const std::string text = file.stem().string();
  for (std::size_t i = 0; i < text.size();) {
    std::size_t end = i;
    while (end < text.size() && is_digit(text[end])) ++end;
    if (end == i) {
      name.texts += text[i++];
      continue;
    }
    while (i + 1 < end && text[i] == '0') ++i;
    name.numbers.push_back(text.substr(i, end - i));
    name.texts += '#';
    i = end;
  }
  return name;
}

bool less(const std::string& a, const std::string& b) {
  return a.size() != b.size() ? a.size() < b.size() : a < b;
}
bool before(const NumberedName& a, const NumberedName& b) {
  return std::lexicographical_compare(a.numbers.begin(), a.numbers.end(), b.numbers.begin(), b.numbers.end(),
                                      less);
}

[[noreturn]] void fail(const fs::path& folder, const std::string& what) {
  throw Error(ExitCode::data, "{}: {}", folder.string(), what);
}

// ls -v has the order of the numbers, with zeros before them or without; ffmpeg's own patterns have not.
std::string conversion(const fs::path& folder, const fs::path& picture) {
  const fs::path whole = folder.has_filename() ? folder : folder.parent_path();
  return fmt::format(
      "ls -v {}/*{} | while IFS= read -r picture; do cat \"$picture\"; done | ffmpeg -framerate 25 -f "
      "image2pipe -i - -c:v libx264 -crf 10 -pix_fmt yuv444p {}",
      shell_word(whole.string()), picture.extension().string(), shell_word(whole.string() + ".mp4"));
}

std::vector<fs::path> list_pictures(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code status;
  fs::path other;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, status)) {
    const fs::path& file = entry.path();
    if (file.filename().string().front() == '.' || !entry.is_regular_file(status)) continue;
    const std::string kind = kind_of(file);
    if (std::find(kRead.begin(), kRead.end(), kind) != kRead.end()) files.push_back(file);
    if (std::find(kNotRead.begin(), kNotRead.end(), kind) != kNotRead.end()) other = file;
  }
  if (status) fail(folder, "cannot be read: " + status.message());
  if (!files.empty()) return files;
  if (other.empty())
    fail(folder,
         "is a folder without pictures (.jpg, .png, .bmp): expected a video file or a folder of pictures");
  fail(folder, fmt::format("pictures of kind {} are not read: convert them first: {}",
                           other.extension().string(), conversion(folder, other)));
}

// Numbers up to 18 digits; longer ones are times, not counts.
std::int64_t value_of(const std::string& number) { return number.size() > 18 ? -1 : std::stoll(number); }

// Where one number varies and it counts by one in most places, it has to in all.
void check_gaps(const fs::path& folder, const std::vector<NumberedName>& names) {
  std::vector<std::size_t> varying;
  for (std::size_t k = 0; k < names.front().numbers.size(); ++k) {
    const bool varies = std::any_of(names.begin(), names.end(), [&](const NumberedName& name) {
      return name.numbers[k] != names.front().numbers[k];
    });
    if (varies) varying.push_back(k);
  }
  if (varying.size() != 1) return;
  const NumberedName* gap = nullptr;
  std::size_t consecutive = 0;
  for (std::size_t i = 1; i < names.size(); ++i) {
    const std::int64_t a = value_of(names[i - 1].numbers[varying[0]]),
                       b = value_of(names[i].numbers[varying[0]]);
    if (a < 0 || b < 0) return;
    consecutive += b == a + 1 ? 1 : 0;
    if (b != a + 1 && gap == nullptr) gap = &names[i - 1];
  }
  if (gap != nullptr && consecutive > 0 && consecutive >= (names.size() - 1) / 2) {
    fail(folder, fmt::format("the picture after {} is missing: its number is left out",
                             gap->file.filename().string()));
  }
}

class PictureFolder : public PacketSource {
 public:
  explicit PictureFolder(const fs::path& folder) : PacketSource(folder), files_(picture_files(folder)) {
    parameters_ = avcodec_parameters_alloc();
    if (parameters_ == nullptr) fail("out of memory");
    parameters_->codec_type = AVMEDIA_TYPE_VIDEO;
    const std::string kind = kind_of(files_.front());
    parameters_->codec_id = kind == ".png"   ? AV_CODEC_ID_PNG
                            : kind == ".bmp" ? AV_CODEC_ID_BMP
                                             : AV_CODEC_ID_MJPEG;
    facts_.timed = false;
  }
  ~PictureFolder() override { avcodec_parameters_free(&parameters_); }

  const AVCodecParameters& parameters() const override { return *parameters_; }
  void set_up(AVCodecContext& decoder) const override { decoder.err_recognition |= AV_EF_CRCCHECK; }
  const StreamFacts& facts() const override { return facts_; }

  bool next(AVPacket& packet) override {
    if (next_ == files_.size()) return false;
    const fs::path& file = files_[next_++];
    std::error_code status;
    const std::uintmax_t bytes = fs::file_size(file, status);
    const std::string picture = file.filename().string();
    if (status) fail(fmt::format("{}: cannot be read: {}", picture, status.message()));
    if (bytes == 0) fail(picture + ": is empty (0 bytes)");
    if (bytes > kMaxPictureBytes) fail(picture + ": has more than 256 MiB");
    if (av_new_packet(&packet, static_cast<int>(bytes)) < 0) fail("out of memory");
    std::ifstream stream(file, std::ios::binary);
    if (!stream.read(reinterpret_cast<char*>(packet.data), packet.size)) fail(picture + ": cannot be read");
    if (!is_whole({reinterpret_cast<const char*>(packet.data), static_cast<std::size_t>(packet.size)})) {
      fail(picture + ": is truncated or no picture of this kind");
    }
    packet.flags |= AV_PKT_FLAG_KEY;
    return true;
  }

  // Each file is a frame.
  std::string place() const override { return "at " + frame_name(frames()); }
  std::string frame_name(std::int64_t frame) const override {
    const auto i = static_cast<std::size_t>(frame);
    return i < files_.size() ? fmt::format("frame {} ({})", frame, files_[i].filename().string())
                             : fmt::format("frame {}", frame);
  }

 private:
  // The decoders make a picture of what there is, also of the first half of a file.
  bool is_whole(std::string_view bytes) const {
    if (parameters_->codec_id == AV_CODEC_ID_PNG) return bytes.rfind("IEND") != std::string_view::npos;
    if (parameters_->codec_id == AV_CODEC_ID_BMP) return bytes.substr(0, 2) == "BM";
    // The end of the image comes after the last scan begins; one within a thumbnail comes before.
    const std::size_t end = bytes.rfind("\xff\xd9"), scan = bytes.rfind("\xff\xda");
    return end != std::string_view::npos && scan != std::string_view::npos && end > scan;
  }

  std::vector<fs::path> files_;
  std::size_t next_ = 0;
  AVCodecParameters* parameters_ = nullptr;
  StreamFacts facts_;
};

}  // namespace

std::vector<fs::path> picture_files(const fs::path& folder) {
  std::vector<NumberedName> names;
  for (const fs::path& file : list_pictures(folder)) names.push_back(parse(file));
  std::sort(names.begin(), names.end(), [](const auto& a, const auto& b) { return a.file < b.file; });
  const auto text = [](const NumberedName& name) { return name.file.filename().string(); };
  const NumberedName& first = names.front();
  for (const NumberedName& name : names) {
    if (kind_of(name.file) != kind_of(first.file)) {
      fail(folder, fmt::format("holds pictures of two kinds: {} and {}", text(first), text(name)));
    }
    if (name.texts != first.texts) {
      fail(folder,
           fmt::format("holds more than one row of pictures: the names of {} and {} differ by more than "
                       "their numbers",
                       text(first), text(name)));
    }
  }
  std::sort(names.begin(), names.end(), before);
  for (std::size_t i = 1; i < names.size(); ++i) {
    if (names[i].numbers == names[i - 1].numbers) {
      fail(folder, fmt::format("{} and {} have the same number", text(names[i - 1]), text(names[i])));
    }
  }
  check_gaps(folder, names);
  std::vector<fs::path> files;
  files.reserve(names.size());
  for (const NumberedName& name : names) files.push_back(name.file);
  return files;
}

std::string picture_folder_conversion(const fs::path& folder) {
  return conversion(folder, picture_files(folder).front());
}

std::unique_ptr<PacketSource> open_picture_folder(const fs::path& folder) {
  return std::make_unique<PictureFolder>(folder);
}

}  // namespace mg
