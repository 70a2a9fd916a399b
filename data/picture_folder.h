// A folder of numbered pictures as a video: img_00001.jpg, img_00002.jpg, ...
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace mg {

// The folder's pictures in the order of their numbers, as numbers and not as text: 2 before 10. Pictures are
// .jpg, .jpeg, .png and .bmp, in any case; other files, and those that begin with a dot, are left aside.
// Throws Error(ExitCode::data) with the folder or the picture: none there, pictures of two kinds, names that
// differ by more than their numbers, a number twice, a number left out where most are consecutive, a kind of
// picture that is not read.
std::vector<std::filesystem::path> picture_files(const std::filesystem::path& folder);

// The command for a POSIX shell that makes a video of a folder's pictures, at 25 frames a second.
std::string picture_folder_conversion(const std::filesystem::path& folder);

}  // namespace mg
