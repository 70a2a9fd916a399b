// A program as its users run it.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "engine/file.h"
#include "temporary_folder.h"

namespace mg::test {

struct Output {
  int code = -1;         // exit status; 128 + the signal that ended it
  std::string out, err;  // what it printed
};

inline pid_t start_program(const std::string& program, const std::vector<std::string>& arguments,
                           const std::filesystem::path& out, const std::filesystem::path& err) {
  std::vector<std::string> held{program};
  held.insert(held.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  argv.reserve(held.size() + 1);
  for (std::string& argument : held) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const pid_t child = ::fork();
  if (child != 0) return child;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a test that fails half-way leaves nothing running
  const auto redirect = [](const std::filesystem::path& path, int descriptor) {
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ::dup2(file, descriptor);
  };
  redirect(out, STDOUT_FILENO);
  redirect(err, STDERR_FILENO);
  ::execv(argv[0], argv.data());
  ::_exit(127);
}

inline Output output_of(int status, const std::filesystem::path& out, const std::filesystem::path& err) {
  return {WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status),
          read_whole_file(out, ExitCode::failure), read_whole_file(err, ExitCode::failure)};
}

// Runs the program and waits.
inline Output run_program(const std::string& program, const std::vector<std::string>& arguments) {
  const TemporaryFolder folder;
  int status = 0;
  ::waitpid(start_program(program, arguments, folder / "out", folder / "err"), &status, 0);
  return output_of(status, folder / "out", folder / "err");
}

}  // namespace mg::test
