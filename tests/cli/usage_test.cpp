// A slip in a command line is answered with what was meant, by every program.
#include <doctest/doctest.h>

#include <sstream>

#include "cli/mgtrain_command.h"

namespace mg::test {

namespace {

struct Case {
  std::string arguments;  // with blanks between them
  int code;
  std::vector<std::string> parts;
};

void check(const std::string& program, const std::string& name, const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    CAPTURE(c.arguments);
    std::istringstream words(c.arguments);
    std::vector<std::string> arguments;
    for (std::string word; words >> word;) arguments.push_back(word);
    const Output output = run_program(program, arguments);
    INFO(output.err);
    CHECK(output.code == c.code);
    CHECK(output.out.empty());
    CHECK(output.err.starts_with(name + ": "));
    CHECK(output.err.find("device: the") == std::string::npos);
    for (const std::string& part : c.parts) {
      CAPTURE(part);
      CHECK(output.err.find(part) != std::string::npos);
    }
  }
}

}  // namespace

TEST_CASE("mgtrain says what was meant by a wrong command or option") {
  check(MG_MGTRAIN, "mgtrain",
        {{"", 2, {"a command is expected", "train, eval, predict"}},
         {"trian", 2, {"unknown command 'trian', did you mean 'train'?"}},
         {"tarin", 2, {"did you mean 'train'?"}},
         {"Train", 2, {"did you mean 'train'?"}},
         {"pred", 2, {"did you mean 'predict'?"}},
         {"somethingelse", 2, {"unknown command 'somethingelse'\n"}},
         {"--preset mini train", 2, {"the command comes first, then --preset"}},
         {"--prest mini train", 2, {"a command is expected first, got '--prest'"}},
         {"train", 2, {"train needs --manifest and --run", "Example: mgtrain train "}},
         {"train --manifest m.csv", 2, {"train needs --run\n"}},
         {"predict --run r", 2, {"predict needs VIDEO"}},
         {"train --prset nano", 2, {"unknown option --prset, did you mean --preset?"}},
         {"train -preset nano", 2, {"unknown option -preset, did you mean --preset?"}},
         {"train --Manifest m.csv", 2, {"did you mean --manifest?"}},
         {"train --epochs 30", 2, {"unknown option --epochs; here it is --set contrastive.epochs=30"}},
         {"train --epochs=30", 2, {"--set contrastive.epochs=30"}},
         {"train --epochs", 2, {"--set contrastive.epochs=N"}},
         {"train --batch_size 8", 2, {"--set contrastive.batch=8"}},
         {"train --learning-rate 0.1", 2, {"--set contrastive.lr_video=0.1"}},
         {"train --num-workers 4", 2, {"--threads 4"}},
         {"train --gpu 0", 2, {"--device cuda"}},
         {"train --fp16", 2, {"--set precision=bf16"}},
         {"train --output out", 2, {"--run FOLDER"}},
         {"eval --output out", 2, {"--json FILE"}},
         {"synth --output out", 2, {"--out FOLDER"}},
         {"train --data d", 2, {"--manifest FILE.csv"}},
         {"predict --data d", 2, {"the videos themselves"}},
         {"train --pretrained w", 2, {"--from RUN, or --video-weights FOLDER"}},
         {"eval --weights w", 2, {"here it is --run FOLDER\n"}},
         {"train --mixup 0.4", 2, {"--set augment.mixup=0.4"}},
         {"train --contrastive.epochs 3", 2, {"--set contrastive.epochs=3"}},
         {"eval --epochs 3", 2, {"unknown option --epochs\n"}},
         {"train --split test", 2, {"--split is an option of eval, not of train"}},
         {"train --run r --manifest m.csv extra", 2, {"unexpected argument 'extra'"}},
         {"train manifest m.csv", 2, {"unexpected argument 'manifest'", "Did you mean --manifest?"}},
         {"train --run --manifest m.csv", 2, {"--run needs a value"}},
         {"train --set= --run r --manifest m.csv", 2, {"--set needs a value"}},
         {"train --run a --run b --manifest m.csv", 2, {"--run is given twice"}},
         {"train --resume=yes", 2, {"--resume takes no value, got 'yes'"}},
         {"train --run r --manifest m --set contrastive.epochs 3", 2, {"--set contrastive.epochs=3"}},
         {"train --run r --manifest m --set contrastive.epochs = 3", 2, {"--set contrastive.epochs=3"}},
         {"train --run r --manifest m --stage contrstive",
          2,
          {"got 'contrstive', did you mean 'contrastive'?"}},
         {"train --run r --manifest m --on-bad skipp", 2, {"did you mean 'skip'?"}},
         {"train --run r --manifest m --device gpu", 2, {"expected one of auto, cpu, cuda, got 'gpu'"}},
         {"predict --run r --top many v.mp4", 2, {"--top: expected a number, got 'many'"}},
         {"eval --run r --manifest m --mode classfier", 2, {"did you mean 'classifier'?"}}});
}

TEST_CASE("mgtrain says what was meant by a wrong key or value") {
  const std::string train = "train --run r --manifest m.csv ";
  check(MG_MGTRAIN, "mgtrain",
        {{train + "--set epochs=3", 3, {"'contrastive.epochs' or 'classifier.epochs' or 'emotion.epochs'?"}},
         {train + "--set epoch=3", 3, {"'contrastive.epochs'"}},
         {train + "--set contrastve.epochs=3", 3, {"did you mean 'contrastive.epochs'?"}},
         {train + "--set train.epochs=3", 3, {"'contrastive.epochs'"}},
         {train + "--set lr=1", 3, {"'contrastive.lr_video' or 'classifier.lr' or 'emotion.lr'?"}},
         {train + "--set contrastive.lr=1", 3, {"'contrastive.lr_video' or 'contrastive.lr_text'"}},
         {train + "--set batch_size=3", 3, {"'contrastive.batch'"}},
         {train + "--set workers=3", 3, {"--threads N"}},
         {train + "--set mixpu=3", 3, {"'augment.mixup'"}},
         {train + "--set xyzzy=3", 3, {"unknown key 'xyzzy'; `mgtrain info`"}},
         {train + "--set contrastive.epochs", 3, {"expected section.name=value"}},
         {train + "--set video.input=mtion", 3, {"got 'mtion', did you mean 'motion'?"}},
         {train + "--preset nanno", 3, {"got 'nanno', did you mean 'nano'?"}},
         {"info --preset papre", 3, {"did you mean 'paper'?"}}});
}

TEST_CASE("mgconvert says what was meant") {
  check(MG_MGCONVERT, "mgconvert",
        {{"improt x", 2, {"unknown command 'improt', did you mean 'import'?"}},
         {"import x --as r2plus1 --out o", 2, {"did you mean 'r2plus1d'?"}},
         {"import x --out o", 2, {"import needs --as", "Example: mgconvert import"}},
         {"import x --as bert --output o", 2, {"here it is --out FOLDER"}},
         {"import x --kind bert --out o", 2, {"here it is --as KIND"}},
         {"export r --to pytorch --out o", 2, {"expected one of torchvision, transformers, safetensors"}},
         {"export r --too torchvision --out o", 2, {"did you mean --to?"}},
         {"inspect a b", 2, {"unexpected argument 'b'"}},
         {"diff a", 2, {"diff needs b"}},
         {"diff a b --tolerance much", 2, {"--tolerance"}},
         {"verify x --json", 2, {"--json is an option of inspect, diff, not of verify"}}});
}

TEST_CASE("help fits 80 columns") {
  const std::vector<std::pair<std::string, std::vector<std::string>>> programs{
      {MG_MGTRAIN, {"", "demo", "synth", "cache", "train", "eval", "predict", "report", "info"}},
      {MG_MGCONVERT, {"", "import", "export", "inspect", "diff", "verify"}}};
  for (const auto& [program, commands] : programs) {
    for (const std::string& command : commands) {
      CAPTURE(program);
      CAPTURE(command);
      const Output help = run_program(program, command.empty() ? std::vector<std::string>{"--help"}
                                                               : std::vector<std::string>{command, "--help"});
      CHECK(help.code == 0);
      std::istringstream lines(help.out);
      for (std::string line; std::getline(lines, line);) {
        CAPTURE(line);
        CHECK(line.size() <= 80);
      }
    }
  }
  const std::string help = mgtrain({"--help"}).out;
  std::size_t at = 0;  // an order of work
  for (const char* command :
       {"mgtrain synth", "mgtrain train", "mgtrain eval", "mgtrain predict", "mgtrain report"}) {
    CAPTURE(command);
    CHECK(help.find(command, at) != std::string::npos);
    at = std::min(help.find(command, at), help.size());
  }
}

}  // namespace mg::test
